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

_LEAST = 1 / (1 + math.exp(LARGEST_LOG_ODDS))
_MOST = 1 / (1 + math.exp(-LARGEST_LOG_ODDS))
"""The probabilities of the largest log odds of either sign."""

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
        least, most = np.minimum.reduce(raw, axis=None), np.maximum.reduce(raw, axis=None)
        lowest, highest, wanted = (
            (0.0, 1.0, "probability") if self.kind == "log_odds" else (-math.inf, math.inf, "finite number")
        )
        # NaN is in no range, and the least and the most of an array that has one are NaN.
        if not (lowest <= least and most <= highest and math.isfinite(least) and math.isfinite(most)):
            raise ScoreOutOfRangeError(f"a score among those from {float(least)} to {float(most)} is no {wanted}")

    @cached_property
    def _function(self) -> Callable[[np.ndarray], np.ndarray]:
        weight, level, slope = (
            np.array([[getattr(part, name)] for part in self.parts]) for name in ("weight", "level", "slope")
        )
        make = _of_log_odds if self.kind == "log_odds" else _of_value
        return make(weight / weight.sum(), level, slope, self.max_shift)


def identity(kind: Kind) -> Calibration:
    """The calibration that serves what the model said."""
    return Calibration(kind, (Part(1.0, 0.0, 1.0),), 1.0)


# A request has few rows, so what counts is how many operations there are: one exponential a line, arrays written over,
# np.minimum and np.maximum, which cost a third of np.clip. Lines run along the first axis, scores along the last.


def _of_value(weight: np.ndarray, level: np.ndarray, slope: np.ndarray, most: float) -> Callable[..., np.ndarray]:
    def function(raw: np.ndarray) -> np.ndarray:
        scores = raw.reshape(-1)
        low, high = scores - most, scores + most
        with np.errstate(over="ignore"):
            lines = slope * scores
            lines += level
            np.minimum(np.maximum(lines, low, out=lines), high, out=lines)
            lines *= weight
            served = _summed(lines)
        # Rounded, a mean may lie a last digit outside of what it is the mean of.
        np.minimum(np.maximum(served, low, out=served), high, out=served)
        return served.reshape(raw.shape)

    return function


def _of_log_odds(weight: np.ndarray, level: np.ndarray, slope: np.ndarray, most: float) -> Callable[..., np.ndarray]:
    # How far a line moves the log odds is a line as well; the limit is left out where none of them reaches it.
    steeper = slope - 1
    furthest = min(most, _SATURATED)
    limited = bool((np.abs(steeper) * (LARGEST_LOG_ODDS + 1) + np.abs(level)).max() > furthest)

    def function(raw: np.ndarray) -> np.ndarray:
        p = np.maximum(raw.reshape(-1), _LEAST)
        np.minimum(p, _MOST, out=p)
        z = np.log(p)
        z -= np.log1p(np.negative(p, out=p), out=p)
        x = steeper * z
        x += level
        if limited:
            np.minimum(np.maximum(x, -furthest, out=x), furthest, out=x)
        x += z
        # Chances and counter-chances by themselves, so that neither loses its digits next to 1.
        against = np.exp(np.negative(x, out=x), out=x)
        chance = weight / (1 + against)
        against *= chance
        served = _summed(chance)
        served /= served + _summed(against)
        np.minimum(np.maximum(served, _LEAST, out=served), _MOST, out=served)
        return served.reshape(raw.shape)

    return function


def _summed(lines: np.ndarray) -> np.ndarray:
    """The sum over the lines, in one order: that of a reduction or of a matrix product depends on the shape."""
    total: np.ndarray = np.add.accumulate(lines, axis=0, out=lines)[-1]
    return total
