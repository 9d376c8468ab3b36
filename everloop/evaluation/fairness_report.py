"""What the evaluation says of groups of people: how each fares, and how far apart they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from everloop.typed_json import ADDED

Measure = Literal[
    "selection_rate_gap",
    "selection_rate_ratio",
    "true_positive_rate_gap",
    "false_positive_rate_gap",
    "equalized_odds_gap",
    "calibration_gap",
]
"""What is held against a limit.

``selection_rate_gap`` and ``selection_rate_ratio`` are fairlearn's ``demographic_parity_difference`` and ``_ratio``;
``equalized_odds_gap`` is its ``equalized_odds_difference``: the larger of the gaps in true and false positive rate.
``calibration_gap`` is between the groups' means of score less outcome.
"""

MEASURES: tuple[Measure, ...] = get_args(Measure)


@dataclass(frozen=True)
class Rate:
    """A mean over some rows of a group.

    Attributes
    ----------
    rows : int
        Those it is a mean over.
    value : float or None
        None without rows.
    low, high : float or None
        The two-sided 95% interval, with days as clusters; None of rows of one day.
    """

    rows: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class ReliabilityBin:
    """Rows whose scores lie between two edges: the mean score, and the share of ones."""

    rows: int
    score: float
    share: float


@dataclass(frozen=True)
class GroupFacts:
    """How a group fares.

    Attributes
    ----------
    name : str
    rows, days : int
    selection_rate, true_positive_rate, false_positive_rate : Rate or None
        Shares of rows whose score reaches the threshold: of all, of those of class 1, of those of class 0. Of several
        classes, shares of rows for which the class is answered: of all, of its own rows, of others. None of a
        regression.
    calibration : Rate
        The mean of score less outcome.
    reliability : tuple of ReliabilityBin
        Of five bins with about as many rows each; none of a regression, or of fewer than 50 rows.
    """

    name: str
    rows: int
    days: int
    selection_rate: Rate | None
    true_positive_rate: Rate | None
    false_positive_rate: Rate | None
    calibration: Rate
    reliability: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class Gap:
    """How far apart the groups are in one measure.

    Attributes
    ----------
    measure : Measure
    value : float or None
        The highest group's rate less the lowest's (of the ratio: the lowest over the highest); None where fewer than
        two groups have rows enough.
    lowest, highest : str
        The two groups; empty where there is no value.
    low, high : float or None
        An interval that has it in at least 95 of 100 cases, with the number of pairs accounted for.
    at_least : float or None
        What it lies at or above, with ``confidence`` for all declared limits together.
    at_most : float or None
        What it lies at or below, with ``confidence``.
    left_out : tuple of str
        Groups with too few rows, each with how many.
    """

    measure: Measure
    value: float | None
    lowest: str
    highest: str
    low: float | None
    high: float | None
    at_least: float | None
    at_most: float | None
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class FairnessBy:
    """The groups of one feature.

    Attributes
    ----------
    feature : str
    groups : tuple of GroupFacts
    gaps : tuple of Gap
        One for each of ``MEASURES``; of a regression the last alone.
    left_out : str
        Rows in no group, in a sentence; empty where there are none.
    of_class : str
        Of several classes, the one that is held against all others; else empty.
    """

    feature: str
    groups: tuple[GroupFacts, ...]
    gaps: tuple[Gap, ...]
    left_out: str
    of_class: str = field(default="", metadata=ADDED)


@dataclass(frozen=True)
class Fairness:
    """All groups of an evaluation.

    Attributes
    ----------
    threshold : float or None
        From it on a row counts as selected; None of a regression, and of several classes: there the likeliest is.
    minimum_rows : int
        Rows that a group's rate must be a mean over to be compared.
    confidence : float
        Of the bounds.
    days : int
    by : tuple of FairnessBy
    """

    threshold: float | None
    minimum_rows: int
    confidence: float
    days: int
    by: tuple[FairnessBy, ...]
