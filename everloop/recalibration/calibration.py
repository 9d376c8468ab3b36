"""A calibration: a fixed function from what a model said (the raw score) to what its caller gets (the served score).

The request path imports this.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import numpy as np

from everloop.recalibration.exceptions import ScoreOutOfRangeError
from everloop.recalibration.grouped_by import OTHERS, GroupBy
from everloop.recalibration.written import (
    LARGEST_LOG_ODDS,
    LARGEST_NUMBER,
    LONGEST_GROUPED_TEXT,
    LONGEST_TEXT,
    MOST_GROUP_PARTS,
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
    "LONGEST_GROUPED_TEXT",
    "LONGEST_TEXT",
    "MOST_GROUP_PARTS",
    "MOST_PARTS",
    "SIGNIFICANT_DIGITS",
    "Calibration",
    "Kind",
    "Part",
    "calibration_name",
    "group_places",
    "identity",
]

_LEAST = 1 / (1 + math.exp(LARGEST_LOG_ODDS))
_MOST = 1 / (1 + math.exp(-LARGEST_LOG_ODDS))
"""The probabilities of the largest log odds of either sign."""

_SATURATED = 500.0
"""Log odds whose exponential is still a number, and whose probability is 0 or 1 to all digits."""


class Calibration(WrittenCalibration):
    """One that can be applied to scores."""

    def apply(self, scores: np.ndarray, places: np.ndarray | None = None) -> np.ndarray:
        """The scores to serve for raw ones.

        Each score is moved by itself: what stands beside it in the array makes no difference. The order of scores is
        kept within each group; two that differ by less than rounding may be served as equal, or change places by as
        much. The identity gives every score back as it is; any other calibration serves probabilities above 0 and below
        1, and takes those beyond ``LARGEST_LOG_ODDS`` as if they stood there.

        Parameters
        ----------
        scores : float array, any shape
            Probabilities from 0 to 1, or finite values.
        places : int array of the same shape, optional
            The group of each, as :func:`group_places` gives it. Rows of no group, of one without a mixture of its own,
            and all rows where nothing is given, are served as the shared calibration does.

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
        if self.is_identity:
            return raw.copy()
        served = self._function(raw)
        if self.by is None or places is None:
            return served
        kind = np.asarray(places).reshape(-1)
        own = np.flatnonzero(self._own[kind])
        if own.size:
            # A function's answer is an array of its own, so its view can be written to.
            served.reshape(-1)[own] = self._of_groups(raw.reshape(-1)[own], served.reshape(-1)[own], kind[own])
        return served

    def _check(self, raw: np.ndarray) -> None:
        if not raw.size:
            return
        least, most = np.minimum.reduce(raw, axis=None), np.maximum.reduce(raw, axis=None)
        lowest, highest, wanted = (
            (0.0, 1.0, "a probability") if self.kind == "log_odds" else (-math.inf, math.inf, "a finite number")
        )
        # NaN is in no range, and the least and the most of an array that has one are NaN.
        if not (lowest <= least and most <= highest and math.isfinite(least) and math.isfinite(most)):
            raise ScoreOutOfRangeError(f"a score among those from {float(least)} to {float(most)} is not {wanted}")

    @cached_property
    def _own(self) -> np.ndarray:
        """Whether a group has a mixture of its own, by its place; the last entry is that of the rows in none."""
        return np.array([*(parts is not None for parts in self.groups), False])

    @cached_property
    def _of_groups(self) -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
        lines = max(len(parts or ()) for parts in self.groups)
        weight, level, slope = np.zeros((3, lines, len(self.groups)))
        slope += 1
        for place, parts in enumerate(self.groups):
            for line, part in enumerate(parts or ()):
                weight[line, place], level[line, place], slope[line, place] = part.weight, part.level, part.slope
        weight /= np.maximum(weight.sum(0), 0.5)
        make = _log_odds_of_groups if self.kind == "log_odds" else _values_of_groups
        return make(weight, level, slope, self.max_shift)

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


def group_places(by: GroupBy, column: np.ndarray) -> np.ndarray:
    """The group of each row.

    Parameters
    ----------
    column : array (rows,)
        The values of ``by.feature``: texts, where the empty one is missing, or floats, where NaN is.

    Returns
    -------
    int array (rows,)
        The place of its group, or ``OTHERS``.
    """
    if by.edges:
        numbers = np.asarray(column, dtype=np.float64)
        places = np.searchsorted(np.array(by.edges), numbers, side="right")
        found: np.ndarray = np.where(np.isnan(numbers), OTHERS, places)
        return found
    place = {value: i for i, value in enumerate(by.values)}
    return np.array([place.get(value, OTHERS) for value in column], dtype=int)


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
        z = _log_odds(raw.reshape(-1))
        x = steeper * z
        x += level
        if limited:
            np.minimum(np.maximum(x, -furthest, out=x), furthest, out=x)
        x += z
        return _mixed(x, weight).reshape(raw.shape)

    return function


def _values_of_groups(
    weight: np.ndarray, level: np.ndarray, slope: np.ndarray, most: float
) -> Callable[..., np.ndarray]:
    def function(raw: np.ndarray, shared: np.ndarray, places: np.ndarray) -> np.ndarray:
        low, high = raw - most, raw + most
        with np.errstate(over="ignore"):
            lines = slope[:, places] * shared
            lines += level[:, places]
            np.minimum(np.maximum(lines, low, out=lines), high, out=lines)
            lines *= weight[:, places]
            served = _summed(lines)
        np.minimum(np.maximum(served, low, out=served), high, out=served)
        return served

    return function


def _log_odds_of_groups(
    weight: np.ndarray, level: np.ndarray, slope: np.ndarray, most: float
) -> Callable[..., np.ndarray]:
    furthest = min(most, _SATURATED)

    def function(raw: np.ndarray, shared: np.ndarray, places: np.ndarray) -> np.ndarray:
        z = _log_odds(raw)
        x = slope[:, places] * _log_odds(shared)
        x += level[:, places]
        # Both limits are those around what the model itself said.
        x -= z
        np.minimum(np.maximum(x, -furthest, out=x), furthest, out=x)
        x += z
        return _mixed(x, weight[:, places])

    return function


def _log_odds(probability: np.ndarray) -> np.ndarray:
    p = np.maximum(probability, _LEAST)
    np.minimum(p, _MOST, out=p)
    z: np.ndarray = np.log(p)
    z -= np.log1p(np.negative(p, out=p), out=p)
    return z


def _mixed(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The weighted mean over the lines of the probabilities with the log odds ``x``, which is written over."""
    # Chances and counter-chances by themselves, so that neither loses its digits next to 1.
    against = np.exp(np.negative(x, out=x), out=x)
    chance = weight / (1 + against)
    against *= chance
    served = _summed(chance)
    served /= served + _summed(against)
    np.minimum(np.maximum(served, _LEAST, out=served), _MOST, out=served)
    return served


def _summed(lines: np.ndarray) -> np.ndarray:
    """The sum over the lines, in one order: that of a reduction or of a matrix product depends on the shape."""
    total: np.ndarray = np.add.accumulate(lines, axis=0, out=lines)[-1]
    return total
