"""What a calibration is worth on a window: the loss of its rows by what the model said, and by what it makes of it."""

from __future__ import annotations

import numpy as np

from everloop.recalibration.calibration import Calibration
from everloop.recalibration.exceptions import SumsDifferError
from everloop.recalibration.losses import squared_errors
from everloop.recalibration.sums import LogOddsSums, Sums

GRID = 199
"""Points at which two calibrations are compared."""


def losses(calibration: Calibration, sums: Sums) -> tuple[float, float]:
    """The rows' losses, summed: by the raw scores, and by the calibrated ones.

    Log loss, taken at the mean log odds of each bin, or squared error: :mod:`everloop.recalibration.sums` says how near
    they are.

    Raises
    ------
    SumsDifferError
        When the two are not of one kind.
    """
    if calibration.kind != sums.kind:
        raise SumsDifferError(f"sums of {sums.kind} can't be judged by a calibration of {calibration.kind}")
    if not sums.rows:
        return 0.0, 0.0
    if isinstance(sums, LogOddsSums):
        z, outcome, rows = sums.cells()
        raw = 1 / (1 + np.exp(-z))
        return _log_loss(raw, outcome, rows), _log_loss(calibration.apply(raw), outcome, rows)
    weights = np.array([[part.weight for part in calibration.parts]])
    lines = np.array([[part.level, part.slope] for part in calibration.parts])
    (moved,) = squared_errors(sums, weights / weights.sum(), lines, calibration.max_shift)
    return sums.error_squares, float(moved)


def largest_move(one: Calibration, other: Calibration, *, unit: float = 1.0, center: float = 0.0) -> float:
    """How far the two lie apart at most: in probability, or in ``unit`` within four of them around ``center``."""
    if one.kind == "log_odds":
        raw = 1 / (1 + np.exp(-np.linspace(-8, 8, GRID)))
        unit = 1.0
    else:
        raw = center + unit * np.linspace(-4, 4, GRID)
    return float(np.abs(one.apply(raw) - other.apply(raw)).max()) / unit


def _log_loss(probability: np.ndarray, outcome: np.ndarray, rows: np.ndarray) -> float:
    right = np.where(outcome == 1, probability, 1 - probability)
    return float(-(np.log(np.maximum(right, np.finfo(float).tiny)) * rows).sum())
