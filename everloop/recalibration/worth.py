"""What a calibration is worth on a window: the loss of its rows by what the model said, and by what it makes of it."""

from __future__ import annotations

import numpy as np

from everloop.recalibration.calibration import Calibration
from everloop.recalibration.exceptions import SumsDifferError
from everloop.recalibration.grouped_by import OTHERS
from everloop.recalibration.rescored import rescored
from everloop.recalibration.sums import LogOddsSums, Sums

GRID = 199
"""Points at which two calibrations are compared."""


def losses(calibration: Calibration, sums: Sums, place: int = OTHERS) -> tuple[float, float]:
    """The rows' losses, summed: by the raw scores, and by the calibrated ones of the group at ``place``.

    Log loss, taken at the mean log odds of each bin, or squared error: :mod:`everloop.recalibration.sums` says how near
    they are.

    Raises
    ------
    SumsDifferError
        When the two are not of one kind.
    """
    if calibration.kind != sums.kind:
        raise SumsDifferError(f"a calibration of {calibration.kind} can't be judged on sums of {sums.kind}")
    if not sums.rows:
        return 0.0, 0.0
    if isinstance(sums, LogOddsSums):
        z, outcome, rows = sums.cells()
        raw = 1 / (1 + np.exp(-z))
        served = calibration.apply(raw, np.full(raw.shape, place))
        return _log_loss(raw, outcome, rows), _log_loss(served, outcome, rows)
    return sums.error_squares, rescored(sums, calibration, place).error_squares


def largest_move(one: Calibration, other: Calibration, *, unit: float = 1.0, center: float = 0.0) -> float:
    """How far the two lie apart at most, in any group: in probability, or in ``unit`` within four of them around
    ``center``.
    """
    if one.kind == "log_odds":
        raw = 1 / (1 + np.exp(-np.linspace(-8, 8, GRID)))
        unit = 1.0
    else:
        raw = center + unit * np.linspace(-4, 4, GRID)
    names = {name for each in (one, other) if each.by is not None for name in each.by.names}
    moves = [np.abs(_served(one, name, raw) - _served(other, name, raw)).max() for name in (None, *names)]
    return float(max(moves)) / unit


def _served(calibration: Calibration, name: str | None, raw: np.ndarray) -> np.ndarray:
    by = calibration.by
    place = by.names.index(name) if by is not None and name in by.names else OTHERS
    return calibration.apply(raw, np.full(raw.shape, place))


def _log_loss(probability: np.ndarray, outcome: np.ndarray, rows: np.ndarray) -> float:
    right = np.where(outcome == 1, probability, 1 - probability)
    return float(-(np.log(np.maximum(right, np.finfo(float).tiny)) * rows).sum())
