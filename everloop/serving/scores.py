"""The two scores of a row: what the model said, and what its caller gets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from everloop.prediction_ids import ALL
from everloop.recalibration.calibration import Calibration, calibration_name
from everloop.recalibration.interval import Interval
from everloop.recalibration.written import UNSPREAD

_LARGEST = np.finfo(np.float64).max
"""JSON has no infinity, and a value next to this is answered too."""


class Bounds(NamedTuple):
    """Between what the outcomes of a request's rows are expected.

    Attributes
    ----------
    coverage : float
        The share of outcomes that is meant to lie inside.
    low, high : float64 array, shape (rows,)
        Around the served scores: ``low <= served <= high``.
    """

    coverage: float
    low: np.ndarray
    high: np.ndarray


class Scores(NamedTuple):
    """The scores of a request's rows.

    Attributes
    ----------
    raw : float64 array, shape (rows,), or (rows, classes) of a multiclass classification
        As the model gave them.
    served : float64 array, of the same shape
        As they are answered and decided on; the raw ones where nothing is calibrated.
    calibration_sha256 : str or None
        The hash of the calibration between the two; None where there is none.
    bounds : Bounds or None
        Where the version has an interval.
    acts : bool array, shape (rows,), or None
        The decisions of a rule that decides by itself; None where they follow from the served scores.
    fallback : str or None
        What gave the scores in place of the model; None where the model did.
    captured_share : float
        Of how many of these rows the lake gets what was asked and answered: their names say of which ones.
    """

    raw: np.ndarray
    served: np.ndarray
    calibration_sha256: str | None = None
    bounds: Bounds | None = None
    acts: np.ndarray | None = None
    fallback: str | None = None
    captured_share: float = ALL

    @classmethod
    def of(
        cls,
        raw: np.ndarray,
        calibration: Calibration | None,
        places: np.ndarray | None = None,
        interval: Interval | None = None,
    ) -> Scores:
        """The scores to serve for raw ones; ``places`` are the groups of the rows, where the calibration has any."""
        served = raw if calibration is None else calibration.apply(raw, places)
        sha256 = None if calibration is None else calibration.sha256
        if interval is None:
            return cls(raw, served, sha256)
        below, above = UNSPREAD if calibration is None else calibration.spread
        with np.errstate(over="ignore"):
            low = np.maximum(served - below * interval.below, -_LARGEST)
            high = np.minimum(served + above * interval.above, _LARGEST)
        return cls(raw, served, sha256, Bounds(interval.coverage, low, high))

    @property
    def calibration(self) -> str | None:
        """The calibration's name, as answers and people say it: the first digits of its hash."""
        return None if self.calibration_sha256 is None else calibration_name(self.calibration_sha256)
