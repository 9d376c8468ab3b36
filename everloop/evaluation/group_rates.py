"""Rates of several groups, and how sure differences between them are.

Two errors are known of a difference, and the larger one counts on each side. *Over days*: Student's t with an error
that is robust to any dependence within a day, of groups that may share days. *By chance*: Wilson's score intervals of
both rates, joined as Newcombe does; they know an error where no row has been selected, or every one.

References
----------
R. G. Newcombe, "Interval estimation for the difference between independent proportions: comparison of eleven methods",
Statistics in Medicine 17 (1998), method 10.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from everloop.statistics.clusters import error_of_mean
from everloop.statistics.student_t import t_quantile


@dataclass(frozen=True)
class GroupRates:
    """The means of some value over rows of each group.

    Attributes
    ----------
    rows : ndarray of int, shape (groups,)
    means : ndarray, shape (groups,)
        NaN without rows.
    chance : ndarray, shape (groups,)
        The rate whose Wilson interval bounds the mean by chance: the mean itself, or of a mean of score less outcome
        the rate of the outcome.
    day_sums : ndarray, shape (days, groups)
        Of the influence of each row on its group's mean, times all rows.
    day_rows : tuple of int
    spreads : ndarray, shape (groups,)
        The standard error of each mean, were rows independent.
    are_shares : bool
        Whether the means are shares of rows.
    """

    rows: np.ndarray
    means: np.ndarray
    chance: np.ndarray | None
    day_sums: np.ndarray
    day_rows: tuple[int, ...]
    spreads: np.ndarray
    are_shares: bool = False


def group_rates(
    values: np.ndarray, places: np.ndarray, groups: int, days: np.ndarray, outcomes: np.ndarray | None
) -> GroupRates:
    """The rates of each group.

    Parameters
    ----------
    values : ndarray, shape (rows,)
        What is averaged.
    places : ndarray of int, shape (rows,)
        The group of each row, below 0 of rows that are in none.
    days : ndarray of int, shape (rows,)
        From 0 on.
    outcomes : ndarray, shape (rows,), or None
        The 0 or 1 whose rate bounds the mean by chance; None where values have no limits.
    """
    values_are_shares = outcomes is values
    inside = places >= 0
    values, places, days = values[inside].astype(np.float64), places[inside], days[inside]
    rows = np.bincount(places, minlength=groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.bincount(places, weights=values, minlength=groups) / rows
        chance = None
        if outcomes is not None:
            chance = np.bincount(places, weights=outcomes[inside].astype(np.float64), minlength=groups) / rows
    total = len(values)
    found, day = np.unique(days, return_inverse=True)
    deviations = (values - means[places]) * (total / np.maximum(rows[places], 1))
    sums = np.bincount(day * groups + places, weights=deviations, minlength=len(found) * groups)
    squares = np.bincount(places, weights=(values - means[places]) ** 2, minlength=groups)
    return GroupRates(
        rows,
        means,
        chance,
        sums.reshape(len(found), groups),
        tuple(np.bincount(day).tolist()) if total else (),
        np.sqrt(squares / np.maximum(rows * np.maximum(rows - 1, 1), 1)),
        values_are_shares,
    )


def mean_bounds(rates: GroupRates, group: int, confidence: float) -> tuple[float, float] | None:
    """What a group's mean lies at or above, and at or below, one-sided each; None of rows of one day."""
    return _bounds(rates, rates.day_sums[:, group], float(rates.means[group]), [group], [], confidence)


def difference_bounds(rates: GroupRates, one: int, other: int, confidence: float) -> tuple[float, float] | None:
    """The same of the mean of ``one`` less that of ``other``."""
    sums = rates.day_sums[:, one] - rates.day_sums[:, other]
    difference = float(rates.means[one] - rates.means[other])
    return _bounds(rates, sums, difference, [one], [other], confidence)


def _bounds(
    rates: GroupRates, sums: np.ndarray, value: float, plus: list[int], minus: list[int], confidence: float
) -> tuple[float, float] | None:
    error, freedom = error_of_mean(sums.tolist(), rates.day_rows)
    if not freedom:
        return None
    # One degree of freedom less, as everywhere: means of few days are skewed.
    half = t_quantile(confidence, max(1, freedom - 1)) * error
    below = math.hypot(
        *(_chance(rates, g, confidence)[0] for g in plus), *(_chance(rates, g, confidence)[1] for g in minus)
    )
    above = math.hypot(
        *(_chance(rates, g, confidence)[1] for g in plus), *(_chance(rates, g, confidence)[0] for g in minus)
    )
    low, high = value - max(half, below), value + max(half, above)
    # A share lies between 0 and 1, and a difference of two between -1 and 1.
    return (max(low, -1.0 if minus else 0.0), min(high, 1.0)) if rates.are_shares else (low, high)


def _chance(rates: GroupRates, group: int, confidence: float) -> tuple[float, float]:
    """How far below and above its estimate a group's mean may lie by chance."""
    rows = int(rates.rows[group])
    if rates.chance is None:
        half = t_quantile(confidence, max(1, rows - 1)) * float(rates.spreads[group])
        return half, half
    share = float(rates.chance[group])
    low, high = wilson(share, rows, confidence)
    return share - low, high - share


def wilson(share: float, rows: int, confidence: float) -> tuple[float, float]:
    """Wilson's score interval of a share, one-sided each."""
    z = NormalDist().inv_cdf(confidence)
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    return max(0.0, middle - half), min(1.0, middle + half)
