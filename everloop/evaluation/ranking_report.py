"""What the evaluation says of the order in which scores put the rows of a list."""

from __future__ import annotations

from dataclasses import dataclass

from everloop.evaluation.measured import MetricValue, PairedDifference

RELEVANCE = ("map", "mrr", "precision")
"""What needs to know which rows are relevant; ``ndcg`` takes labels for gains."""

RANKING_METRICS = ("ndcg", *RELEVANCE)


@dataclass(frozen=True)
class Ranking:
    """Candidate, baseline and champion by how they order the rows of each list, by raw scores.

    Attributes
    ----------
    group : str
        The feature whose values are the lists, or ``day``.
    at : int
        How many places ``ndcg`` and ``precision`` look at.
    lists : int
        Lists with rows of more than one label.
    one_row, one_label : int
        Lists that are left out, because no order of theirs is better than another.
    without : int
        Rows that are of no list.
    by_day : bool
        Whether intervals take days as clusters, because each list is of one day; otherwise lists.
    candidate, baseline : dict of str to MetricValue
        By metric; see :mod:`everloop.evaluation.ranking`.
    paired_baseline : dict of str to PairedDifference
        Candidate less baseline, list by list: above 0 where the candidate is better. ``days`` counts clusters.
    champion, paired_champion : dict or None
        On the rows that the champion has not learned from, ``champion_lists`` of them; None where there are none.
    """

    group: str
    at: int
    lists: int
    one_row: int
    one_label: int
    without: int
    by_day: bool
    candidate: dict[str, MetricValue]
    baseline: dict[str, MetricValue]
    paired_baseline: dict[str, PairedDifference]
    champion: dict[str, MetricValue] | None = None
    paired_champion: dict[str, PairedDifference] | None = None
    champion_lists: int | None = None
