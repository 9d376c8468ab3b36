"""How well scores order the rows of a list: a query's results, a session's items, a day's cases.

Each list (group) has a value of its own, and a metric is their mean: a long list counts as much as a short one. Rows of
equal score have no order, so a value is what their order by chance gives on average; a model that answers the same to
everything is no better than chance.

- ``ndcg``: the sum of gains, each discounted by its place (1 / log2(place + 1)), of the first ``at`` places, over that
  of the best order. The gain is the label. As scikit-learn's ``ndcg_score``.
- ``map``: the mean average precision, as scikit-learn's ``average_precision_score``: equal scores are one step.
- ``mrr``: one over the place of the first relevant row.
- ``precision``: the share of relevant rows among the first ``at``, or among all where there are fewer.

References
----------
K. Jarvelin, J. Kekalainen, "Cumulated gain-based evaluation of IR techniques", ACM Transactions on Information Systems
20 (2002).
F. McSherry, M. Najork, "Computing information retrieval performance measures efficiently in the presence of tied
scores", ECIR 2008.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from everloop.evaluation.measured import MetricValue, PairedDifference
from everloop.evaluation.ranking_report import RANKING_METRICS
from everloop.evaluation.significance import CONFIDENCE, standard_error
from everloop.numbers_of import number_of
from everloop.statistics.student_t import t_cdf, t_quantile

FEWEST_GROUPS = 30
"""Fewer have no interval: what a list like no other does to the mean would not be seen."""


@dataclass(frozen=True)
class Lists:
    """The lists of some rows that an order can be right or wrong about.

    Attributes
    ----------
    rows : ndarray of bool, shape (rows,)
        Of such a list. The others are of a list of one row, or whose rows all have one label, or of none.
    place : ndarray of int64, shape (rows of lists,)
        The number of each row's list.
    cluster : ndarray, shape (lists,)
        What lists may depend on each other by: their days, where each list is of one day, else each is its own.
    by_day : bool
        Which of the two.
    one_row, one_label, without : int
        Lists of one row and those of one label, which are left out, and rows of no list.
    """

    rows: np.ndarray
    place: np.ndarray
    cluster: np.ndarray
    by_day: bool
    one_row: int
    one_label: int
    without: int

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.cluster)


def lists_of(gains: np.ndarray, groups: np.ndarray, days: np.ndarray) -> Lists:
    """Take rows apart into lists.

    Parameters
    ----------
    gains : ndarray of float64, shape (rows,)
        Labels.
    groups : ndarray, shape (rows,)
        What list each row is of; ``""`` is none.
    days : ndarray, shape (rows,)
    """
    named = groups != "" if groups.dtype.kind in "OU" else np.ones(len(groups), dtype=bool)
    _, place = np.unique(groups[named], return_inverse=True)
    count = int(place.max()) + 1 if len(place) else 0
    size = np.bincount(place, minlength=count)
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(low, place, gains[named])
    np.maximum.at(high, place, gains[named])
    kept = (size > 1) & (low < high)
    rows = named.copy()
    rows[named] = kept[place]
    place = (np.cumsum(kept) - 1)[place[kept[place]]]
    count = int(kept.sum())
    _, day = np.unique(days[rows], return_inverse=True)
    first, last = np.full(count, len(days)), np.full(count, -1)
    np.minimum.at(first, place, day)
    np.maximum.at(last, place, day)
    by_day = bool(count) and bool((first == last).all())
    alike = int(((size > 1) & (low == high)).sum())
    return Lists(
        *(rows, place, first if by_day else np.arange(count), by_day),
        one_row=int((size == 1).sum()),
        one_label=alike,
        without=int((~named).sum()),
    )


def ranked(gains: np.ndarray, relevant: np.ndarray | None, scores: np.ndarray, lists: Lists, at: int) -> Values:
    """The value of each list in each metric, float64 [lists].

    Parameters
    ----------
    gains, scores : ndarray of float64, shape (rows of lists,)
    relevant : ndarray of bool, shape (rows of lists,), or None
        None where gains alone are known.
    """
    if not lists.count:
        return {name: np.zeros(0) for name in (RANKING_METRICS if relevant is not None else ("ndcg",))}
    order = np.lexsort((-scores, lists.place))
    place, size = lists.place[order], np.bincount(lists.place, minlength=lists.count)
    begin = np.concatenate([[0], np.cumsum(size)[:-1]])
    rank = np.arange(len(place)) - begin[place]
    ordered = scores[order]
    new = np.ones(len(place), dtype=bool)
    new[1:] = (place[1:] != place[:-1]) | (ordered[1:] != ordered[:-1])
    tie = np.cumsum(new) - 1
    block = _Blocks(tie, np.bincount(tie), place[new], rank, rank[new])
    best = np.lexsort((-gains, lists.place))
    discount = np.where(rank < at, 1 / np.log2(rank + 2.0), 0.0)
    ideal = np.bincount(place, weights=gains[best] * discount, minlength=lists.count)
    reached = block.added(gains[order], discount, lists.count)
    values = {"ndcg": np.divide(reached, ideal, out=np.ones(lists.count), where=ideal > 0)}
    if relevant is None:
        return values
    hits = relevant[order].astype(np.float64)
    values["precision"] = block.added(hits, (rank < at).astype(np.float64), lists.count) / np.minimum(size, at)
    values["map"] = _average_precision(block, hits, lists.count)
    values["mrr"] = _reciprocal_rank(block, hits, lists.count)
    return values


Values = dict[str, np.ndarray]


@dataclass(frozen=True)
class _Blocks:
    """Rows in order, in blocks of equal score: each row's block, and each block's size, list and first rank from 0."""

    of: np.ndarray
    size: np.ndarray
    list: np.ndarray
    rank: np.ndarray
    first: np.ndarray

    def sum(self, values: np.ndarray) -> np.ndarray:
        return np.bincount(self.of, weights=values, minlength=len(self.size))

    def added(self, gains: np.ndarray, weights: np.ndarray, lists: int) -> np.ndarray:
        """By list, the gains at the weights of their places, averaged over the orders of equal scores."""
        mean = self.sum(gains) / self.size
        return np.bincount(self.list, weights=mean * self.sum(weights), minlength=lists)


def _average_precision(block: _Blocks, hits: np.ndarray, lists: int) -> np.ndarray:
    found = block.sum(hits)
    total = np.bincount(block.list, weights=found, minlength=lists)
    so_far = np.cumsum(found)
    before = np.concatenate([[0.0], np.cumsum(total)[:-1]])
    precision = (so_far - before[block.list]) / (block.first + block.size)
    return np.bincount(block.list, weights=found * precision, minlength=lists) / total


def _reciprocal_rank(block: _Blocks, hits: np.ndarray, lists: int) -> np.ndarray:
    """Of the first block with a relevant row, the mean over its orders: J rows come before the first relevant one."""
    found = block.sum(hits)
    some = np.flatnonzero(found > 0)
    _, at = np.unique(block.list[some], return_index=True)
    first = some[at]
    size, relevant, start = block.size[first].astype(np.float64), found[first], block.first[first]
    value, left = np.zeros(lists), np.ones(lists)
    for before in range(int((size - relevant).max()) + 1):
        none = np.clip((size - relevant - before) / np.maximum(size - before, 1.0), 0.0, 1.0)
        value += left * (1 - none) / (start + before + 1)
        left = left * none
    return value


def mean_over(values: np.ndarray, lists: Lists) -> MetricValue:
    """The mean over lists, with its two-sided 95% interval, within 0 and 1."""
    if not lists.count:
        return MetricValue(None, None, None, reason="no list has rows that an order could be right or wrong about")
    mean = float(values.mean())
    error, freedom, why = _error(values - mean, lists, np.array([0.0, 0.0, 1.0, 1.0]) - mean)
    if why:
        return MetricValue(mean, None, None, reason=why)
    half = t_quantile((1 + CONFIDENCE) / 2, freedom) * error
    return MetricValue(mean, max(0.0, mean - half), min(1.0, mean + half), error, freedom)


def difference_over(metric: str, ours: np.ndarray, theirs: np.ndarray, lists: Lists) -> PairedDifference:
    """Candidate less other, list by list; above 0 where the candidate is better."""
    clusters = len(np.unique(lists.cluster))
    if not lists.count:
        nothing = "no list has rows that an order could be right or wrong about"
        return PairedDifference(metric, math.nan, None, 0, None, None, None, reason=nothing)
    apart = ours - theirs
    mean = float(apart.mean())
    error, freedom, why = _error(apart - mean, lists, np.array([-1.0, 1.0]))
    if why:
        return PairedDifference(metric, mean, None, 0, None, None, None, reason=why, days=clusters)
    half = t_quantile((1 + CONFIDENCE) / 2, freedom) * error
    p_value = 2 * (1 - t_cdf(abs(mean) / error, freedom))
    return PairedDifference(metric, mean, error, freedom, mean - half, mean + half, p_value, days=clusters)


def _error(deviations: np.ndarray, lists: Lists, unseen: np.ndarray) -> tuple[float, int, str]:
    """The standard error, its degrees of freedom, and why there is none.

    Never less than lists have that do not depend on each other, a few at the ends of the scale among them
    (``unseen``): of lists that are all alike, the next one need not be.
    """
    if lists.count < FEWEST_GROUPS:
        return math.nan, 0, f"{number_of(lists.count, 'list is', 'lists are')} too few: {FEWEST_GROUPS} are needed"
    error, freedom = standard_error(deviations, lists.cluster)
    if not freedom:
        return math.nan, 0, "all lists are of one day, which says nothing about other days"
    with_unseen = np.concatenate([deviations, unseen])
    least = float(with_unseen.std()) / math.sqrt(len(with_unseen))
    return max(error, least), freedom, ""
