"""How sure a metric is, and a difference between two models on the same rows.

Rows of one day share weather, prices and outages, so they are no independent draws: an interval that takes them
for such is too narrow, and promotes luck. The variance here is robust to any dependence within a day. Days are
taken as independent of each other; with G days the t distribution has G - 1 degrees of freedom, so few days
give wide intervals, and a single day gives none.

With the influence u_i of row i on the estimate and n rows, the squared standard error is
``G / (G - 1) * sum over days of (sum of u_i in the day)^2 / n^2``. It is a closed form: no resampling, no seed.

References
----------
A. C. Cameron, D. L. Miller, "A practitioner's guide to cluster-robust inference", Journal of Human Resources 50
(2015), sections II.B and VI.D.
"""

from __future__ import annotations

import math

import numpy as np

from everloop.evaluation.exceptions import EvaluationError
from everloop.evaluation.metrics import Estimate
from everloop.evaluation.report import MetricValue, PairedDifference
from everloop.evaluation.student_t import t_cdf, t_quantile

CONFIDENCE = 0.95
"""Of the two-sided intervals that are reported. The gate takes its own, declared, from the standard error."""


def standard_error(influence: np.ndarray, days: np.ndarray) -> tuple[float, int]:
    """The standard error of an estimate, and its degrees of freedom.

    Parameters
    ----------
    influence : ndarray, shape (rows,)
    days : ndarray, shape (rows,)
        The day of each row: anything that is equal within a day and differs between days.

    Returns
    -------
    tuple of float and int
        NaN and 0 where all rows are of one day.
    """
    if len(influence) != len(days) or not len(days):
        raise EvaluationError(f"{len(influence)} rows with {len(days)} days")
    _, index = np.unique(days, return_inverse=True)
    sums = np.bincount(index, weights=influence)
    groups = len(sums)
    if groups < 2:
        return float("nan"), 0
    variance = groups / (groups - 1) * float(np.sum(sums**2)) / len(influence) ** 2
    return math.sqrt(variance), groups - 1


def metric_value(estimate: Estimate, days: np.ndarray) -> MetricValue:
    """The metric with its two-sided interval at ``CONFIDENCE``; None where something is not defined."""
    if not math.isfinite(estimate.value):
        return MetricValue(None, None, None)
    error, freedom = standard_error(estimate.influence, days)
    if not freedom:
        return MetricValue(estimate.value, None, None)
    half = t_quantile((1 + CONFIDENCE) / 2, freedom) * error
    return MetricValue(estimate.value, estimate.value - half, estimate.value + half)


def paired_difference(candidate: Estimate, other: Estimate, days: np.ndarray) -> PairedDifference:
    """Candidate minus other, on the same rows.

    Raises
    ------
    EvaluationError
        When the two are not of the same metric and rows.
    """
    if candidate.metric != other.metric or candidate.influence.shape != other.influence.shape:
        raise EvaluationError(
            f"{candidate.metric} of {candidate.influence.shape} rows is not compared with "
            f"{other.metric} of {other.influence.shape}"
        )
    difference = candidate.value - other.value
    error, freedom = standard_error(candidate.influence - other.influence, days)
    if not freedom or not math.isfinite(difference):
        return PairedDifference(candidate.metric, difference, None, 0, None, None, None)
    half = t_quantile((1 + CONFIDENCE) / 2, freedom) * error
    return PairedDifference(
        metric=candidate.metric,
        difference=difference,
        standard_error=error,
        degrees_of_freedom=freedom,
        low=difference - half,
        high=difference + half,
        p_value=_two_sided(difference, error, freedom),
    )


def _two_sided(difference: float, error: float, freedom: int) -> float:
    """The probability of a difference at least this large if there were none."""
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return 2 * t_cdf(-abs(difference) / error, freedom)
