"""How sure a metric is, and a difference between two models on the same rows.

Rows of one day share weather, prices and outages, so they are no independent draws: an interval that takes them
for such is too narrow, and promotes luck. The variance here is robust to any dependence within a day. Days are
taken as independent of each other; with G days the t distribution has G - 1 degrees of freedom, so few days
give wide intervals, and a single day gives none. Days of unequal size count as fewer.

With the influence u_i of row i on the estimate, n rows and equal days, the squared standard error is
``G / (G - 1) * sum over days of (sum of u_i in the day)^2 / n^2``; :mod:`everloop.statistics.clusters` has it for
unequal ones. It is a closed form: no resampling, no seed.

That error is blind to what has not happened: without a positive among the rows it is nearly zero. The intervals
therefore take the bounds of :mod:`everloop.evaluation.bounds`, and there are none with too few rows of a class.

References
----------
A. C. Cameron, J. B. Gelbach, D. L. Miller, "Robust inference with multiway clustering", Journal of Business & Economic
Statistics 29 (2011).
A. C. Cameron, D. L. Miller, "A practitioner's guide to cluster-robust inference", Journal of Human Resources 50
(2015), sections II.B and VI.D.
"""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np

from everloop.evaluation.bounds import (
    FEWEST_OF_A_CLASS,
    NEXT_OF_HEAVY,
    NEXT_OF_REGRESSION,
    area_bounds,
    least_area_error,
    lower_bound,
    most_of_squares,
    upper_bound,
)
from everloop.evaluation.exceptions import EvaluationError
from everloop.evaluation.measured import AREAS
from everloop.evaluation.metrics import Estimate
from everloop.evaluation.report import ClassCounts, MetricValue, PairedDifference, Parts
from everloop.numbers_of import number_of
from everloop.statistics.clusters import error_of_mean
from everloop.statistics.sign_change import negative_from
from everloop.statistics.student_t import t_cdf, t_quantile

CONFIDENCE = 0.95
"""Of the two-sided intervals that are reported. The gate takes its own, declared, from the standard error."""


def standard_error(influence: np.ndarray, days: np.ndarray, groups: np.ndarray | None = None) -> tuple[float, int]:
    """The standard error of an estimate, and its degrees of freedom.

    Rows of one group may depend on each other as well as those of one day. Then the variances by days and by groups are
    added, and that of their intersections is taken off (Cameron, Gelbach and Miller); the error is never less than by
    one of the two alone, and its degrees of freedom are the fewer ones.

    Parameters
    ----------
    influence : ndarray, shape (rows,)
    days : ndarray, shape (rows,)
        The day of each row: anything that is equal within a day and differs between days.
    groups : ndarray, shape (rows,), optional
        The group of each row.

    Returns
    -------
    tuple of float and int
        NaN and 0 where all rows are of one day, or of one group.
    """
    if groups is not None:
        return _by_both(influence, days, groups)
    if len(influence) != len(days) or not len(days):
        raise EvaluationError(f"{len(influence)} rows with {len(days)} days")
    _, index = np.unique(days, return_inverse=True)
    sums, rows = np.bincount(index, weights=influence), np.bincount(index)
    return error_of_mean(sums.tolist(), rows.tolist())


def _by_both(influence: np.ndarray, days: np.ndarray, groups: np.ndarray) -> tuple[float, int]:
    of_days, of_groups = (np.unique(by, return_inverse=True)[1] for by in (days, groups))
    by_day, by_group = standard_error(influence, of_days), standard_error(influence, of_groups)
    freedom = min(by_day[1], by_group[1])
    if not freedom:
        return math.nan, 0
    both, _ = standard_error(influence, of_days * (of_groups.max() + 1) + of_groups)
    squared = by_day[0] ** 2 + by_group[0] ** 2 - both**2
    return max(math.sqrt(max(squared, 0.0)), by_day[0], by_group[0]), freedom


def class_counts(labels: np.ndarray, days: np.ndarray) -> ClassCounts:
    """How many rows there are of each class, and on how many days."""
    ones = labels == 1
    return ClassCounts(int(ones.sum()), int((~ones).sum()), len(np.unique(days[ones])), len(np.unique(days[~ones])))


def metric_value(estimate: Estimate, days: np.ndarray, groups: np.ndarray | None = None) -> MetricValue:
    """The metric with its two-sided interval at ``CONFIDENCE``; None, with a reason, where something is not defined.

    With ``groups`` rows of one group may depend on each other as well; see :func:`standard_error`.
    """
    if not math.isfinite(estimate.value):
        return MetricValue(None, None, None, reason=_not_defined(estimate))
    error, freedom = standard_error(estimate.influence, days, groups)
    if not freedom:
        return MetricValue(estimate.value, None, None, reason=_one_of(days))
    few = _too_few(estimate)
    if estimate.metric in AREAS:
        error, freedom = _area_error(estimate, error, freedom)
        low, high = area_bounds(estimate.value, error, freedom, (1 + CONFIDENCE) / 2)
        parts = None
    else:
        parts = parts_of(estimate, None, estimate.influence, days, groups)
        low, high = _interval(estimate.value, error, freedom, parts, estimate)
    if few:
        return MetricValue(estimate.value, None, None, error, freedom, parts, few)
    return MetricValue(estimate.value, low, high, error, freedom, parts)


def paired_difference(
    candidate: Estimate, other: Estimate, days: np.ndarray, groups: np.ndarray | None = None
) -> PairedDifference:
    """Candidate minus other, on the same rows; ``groups`` as for :func:`metric_value`.

    Raises
    ------
    EvaluationError
        When the two are not of the same metric and rows.
    """
    if candidate.metric != other.metric or candidate.influence.shape != other.influence.shape:
        raise EvaluationError(
            f"{candidate.metric} of {candidate.influence.shape} rows can't be compared with {other.metric} of"
            f" {other.influence.shape}"
        )
    difference = candidate.value - other.value
    influence = candidate.influence - other.influence
    error, freedom = standard_error(influence, days, groups)
    count = len(np.unique(days))
    if not freedom or not math.isfinite(difference):
        why = _one_of(days) if not freedom else _not_defined(candidate)
        return PairedDifference(candidate.metric, difference, None, 0, None, None, None, reason=why, days=count)
    found = PairedDifference(candidate.metric, difference, error, freedom, None, None, None, days=count)
    few = _too_few(candidate)
    if candidate.metric in AREAS:
        half = t_quantile((1 + CONFIDENCE) / 2, freedom) * error
        if few:
            return replace(found, reason=few)
        p_value = _two_sided(difference, error, freedom)
        return replace(found, low=difference - half, high=difference + half, p_value=p_value)
    parts = parts_of(candidate, other, influence, days, groups)
    if few:
        return replace(found, parts=parts, reason=few)
    low, high = _interval(difference, error, freedom, parts, candidate)
    p_value = _of_no_difference(difference, error, freedom, parts, _seen(candidate))
    return replace(found, low=low, high=high, p_value=p_value, parts=parts)


def _one_of(days: np.ndarray) -> str:
    what = "day" if len(np.unique(days)) == 1 else "group"
    return f"all rows are of one {what}, which says nothing about other {what}s"


def _not_defined(estimate: Estimate) -> str:
    if estimate.class_rows is None:
        return "all rows are of one class, so it is not defined"
    absent = number_of(estimate.class_rows.count(0), "class has", "classes have")
    return f"{absent} no row, so it is not defined"


def _too_few(estimate: Estimate) -> str:
    if estimate.class_rows is not None:
        fewest = min(estimate.class_rows)
        if fewest >= FEWEST_OF_A_CLASS:
            return ""
        told = number_of(fewest, "row of the rarest class is", "rows of the rarest class are")
        return f"{told} too few: {FEWEST_OF_A_CLASS} are needed"
    if estimate.labels is None:
        return ""
    ones = int(estimate.labels.sum())
    label, rows = min((1, ones), (0, len(estimate.labels) - ones), key=lambda found: found[1])
    if rows >= FEWEST_OF_A_CLASS:
        return ""
    return f"{number_of(rows, 'row of class', 'rows of class')} {label} are too few: {FEWEST_OF_A_CLASS} are needed"


def _interval(value: float, error: float, freedom: int, parts: Parts, estimate: Estimate) -> tuple[float, float]:
    each, seen = (1 + CONFIDENCE) / 2, _seen(estimate)
    low = lower_bound(value, error, freedom, parts, each, seen=seen)
    return low, upper_bound(value, error, freedom, parts, each, seen=seen)


def _seen(estimate: Estimate) -> int:
    """The rows of a class without which there would be no interval."""
    return 0 if estimate.labels is None else FEWEST_OF_A_CLASS


def parts_of(
    candidate: Estimate,
    other: Estimate | None,
    influence: np.ndarray,
    days: np.ndarray,
    groups: np.ndarray | None = None,
) -> Parts:
    """What the mean of a loss, or with ``other`` the difference of two, is made of; see :class:`Parts`.

    ``influence``, float array (rows,), is that of the mean or of the difference; ``days``, array (rows,), each row's.
    """
    rows = len(influence)
    if candidate.labels is None or candidate.weights is None:
        return _by_row(influence, bounded=False)
    ones, theirs = candidate.labels, None if other is None else other.weights
    weights = candidate.weights if theirs is None else candidate.weights - theirs
    # What costs more with the label 1 takes 0 for likelier. Only the scores decide it, never the labels.
    likely_zero = candidate.weights + (0 if theirs is None else theirs) >= 0
    surprising = np.where(likely_zero, ones, 1 - ones)
    weights = np.where(likely_zero, weights, -weights)
    share = float(surprising.mean())
    share_error = standard_error(surprising - share, days, groups)[0] / share if share else 0.0
    counted = int(min(ones.sum(), rows - ones.sum()))
    by_row = _by_row(influence, bounded=True)
    up, down = _sums(surprising, weights), _sums(surprising, -weights)
    return Parts(rows, counted, share, share_error, *up, *down, by_row=by_row)


def _by_row(influence: np.ndarray, *, bounded: bool) -> Parts:
    """Every row with its distance from the median; ``bounded`` where the rows are of losses that have a limit."""
    rows, distance = len(influence), influence - np.median(influence)
    up, up_squares, up_next, up_largest = _side(np.maximum(distance, 0), bounded)
    down, down_squares, down_next, down_largest = _side(np.maximum(-distance, 0), bounded)
    return Parts(
        rows=rows,
        counted=rows,
        share=0.0,
        share_error=0.0,
        up=up,
        up_squares=up_squares,
        up_next=up_next,
        down=down,
        down_squares=down_squares,
        down_next=down_next,
        up_largest=up_largest,
        down_largest=down_largest,
    )


def _side(weights: np.ndarray, bounded: bool) -> tuple[float, float, float, float]:
    """Sum, squares, what one more row would weigh, and the largest."""
    squares, largest = float(weights @ weights), float(weights.max())
    heavy = largest**2 > most_of_squares(len(weights)) * squares
    times = 1 if bounded else NEXT_OF_HEAVY if heavy else NEXT_OF_REGRESSION
    return float(weights.sum()), squares, times * largest, largest


def _sums(surprising: np.ndarray, weights: np.ndarray) -> tuple[float, float, float]:
    """Of the positive ones among the weights; see :class:`Parts`."""
    up = np.maximum(weights, 0)
    return float(surprising @ up), float(surprising @ up**2), _next(up)


def _next(weights: np.ndarray) -> float:
    total = float(weights.sum())
    return float(weights @ weights) / total if total else 0.0


def _area_error(estimate: Estimate, error: float, freedom: int) -> tuple[float, int]:
    """The error of an AUC, and its degrees of freedom; never less than independent rows have."""
    if estimate.class_rows is not None:
        return max(error, estimate.least_error), min(freedom, max(1, min(estimate.class_rows) - 1))
    assert estimate.labels is not None
    ones = int(estimate.labels.sum())
    zeros = len(estimate.labels) - ones
    return max(error, least_area_error(estimate.value, ones, zeros)), min(freedom, max(1, min(ones, zeros) - 1))


_LEAST_P_VALUE = 1e-9
"""Smaller ones are not told apart."""


def _of_no_difference(difference: float, error: float, freedom: int, parts: Parts, seen: int) -> float:
    """Twice the smallest one-sided error with which the bound on the far side leaves out zero."""
    if difference == 0:
        return 1.0
    mirrored = parts.mirrored() if difference > 0 else parts

    def far_side(z: float) -> float:
        """The bound with the one-sided error that a normal variable has beyond ``-z``."""
        return upper_bound(-abs(difference), error, freedom, mirrored, 1 - _beyond(z), seen=seen)

    # A bound grows nearly in proportion to z, so the place is found in a few steps.
    largest = -NormalDist().inv_cdf(_LEAST_P_VALUE / 2)
    return 2 * _beyond(-negative_from(lambda minus_z: far_side(-minus_z), -largest, 0.0, within=1e-7))


def _beyond(z: float) -> float:
    """The probability that a normal variable is above ``z``, to every digit."""
    return math.erfc(z / math.sqrt(2)) / 2


def _two_sided(difference: float, error: float, freedom: int) -> float:
    """The probability of a difference at least this large if there were none."""
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return 2 * t_cdf(-abs(difference) / error, freedom)
