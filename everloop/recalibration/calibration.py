"""A calibration: a fixed function from what a model said (the raw score) to what its caller gets (the served score).

The request path imports this.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import numpy as np

from everloop.recalibration.exceptions import ScoreOutOfRangeError
from everloop.recalibration.written import (
    LARGEST_LOG_ODDS,
    LARGEST_NUMBER,
    LONGEST_TEXT,
    MOST_PARTS,
    SIGNIFICANT_DIGITS,
    Kind,
    Part,
    WrittenCalibration,
    calibration_name,
)

__all__ = [
    "LARGEST_LOG_ODDS",
    "LARGEST_NUMBER",
    "LONGEST_TEXT",
    "MOST_PARTS",
    "SIGNIFICANT_DIGITS",
    "Calibration",
    "Kind",
    "Part",
    "calibration_name",
    "identity",
]

_SATURATED = 500.0
"""Log odds whose exponential is still a number, and whose probability is 0 or 1 to all digits."""


class Calibration(WrittenCalibration):
    """One that can be applied to scores."""

    def apply(self, scores: np.ndarray) -> np.ndarray:
        """The scores to serve for raw ones.

        Each score is moved by itself: what stands beside it in the array makes no difference. The order of scores is
        kept; two that differ by less than rounding may be served as equal, or change places by as much. The identity
        gives every score back as it is; any other calibration serves probabilities above 0 and below 1, and takes those
        beyond ``LARGEST_LOG_ODDS`` as if they stood there.

        Parameters
        ----------
        scores : float array, any shape
            Probabilities from 0 to 1, or finite values.

        Returns
        -------
        float64 array of the same shape

        Raises
        ------
        ScoreOutOfRangeError
            When a score is none of these.
        """
        raw = np.asarray(scores, dtype=np.float64)
        self._check(raw)
        return raw.copy() if self.is_identity else self._function(raw)

    def _check(self, raw: np.ndarray) -> None:
        if not raw.size:
            return
        least, most = float(raw.min()), float(raw.max())
        lowest, highest, wanted = (
            (0.0, 1.0, "probability") if self.kind == "log_odds" else (-math.inf, math.inf, "finite number")
        )
        # NaN is in no range, and the least and the most of an array that has one are NaN.
        if not (lowest <= least and most <= highest and math.isfinite(least) and math.isfinite(most)):
            raise ScoreOutOfRangeError(f"a score among those from {least} to {most} is no {wanted}")

    @cached_property
    def _function(self) -> Callable[[np.ndarray], np.ndarray]:
        weight, level, slope = (
            np.array([getattr(part, name) for part in self.parts]) for name in ("weight", "level", "slope")
        )
        weight /= weight.sum()
        most = self.max_shift

        # np.minimum and np.maximum cost a third of np.clip, and a request has few rows.
        def of_value(raw: np.ndarray) -> np.ndarray:
            each, low, high = raw[..., None], raw - most, raw + most
            with np.errstate(over="ignore"):
                lines = np.minimum(np.maximum(level + slope * each, low[..., None]), high[..., None])
                # Rounded, a mean may lie a last digit outside of what it is the mean of.
                served: np.ndarray = np.minimum(np.maximum(_weighted(lines, weight), low), high)
            return served

        def of_log_odds(raw: np.ndarray) -> np.ndarray:
            with np.errstate(divide="ignore"):
                z = np.log(raw) - np.log1p(-raw)
            z = np.minimum(np.maximum(z, -LARGEST_LOG_ODDS), LARGEST_LOG_ODDS)[..., None]
            x = np.minimum(np.maximum(level + slope * z, z - most), z + most)
            x = np.minimum(np.maximum(x, -_SATURATED), _SATURATED)
            # The two sides by themselves, so that neither loses its digits next to 1.
            odds = _weighted(1 / (1 + np.exp(-x)), weight) / _weighted(1 / (1 + np.exp(x)), weight)
            mixed = np.minimum(np.maximum(np.log(odds), -LARGEST_LOG_ODDS), LARGEST_LOG_ODDS)
            served: np.ndarray = 1 / (1 + np.exp(-mixed))
            return served

        return of_log_odds if self.kind == "log_odds" else of_value


def identity(kind: Kind) -> Calibration:
    """The calibration that serves what the model said."""
    return Calibration(kind, (Part(1.0, 0.0, 1.0),), 1.0)


def _weighted(lines: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The mean over the last axis, summed in one order whatever the shape: a matrix product is not."""
    total: np.ndarray = (lines * weight).cumsum(axis=-1)[..., -1]
    return total
