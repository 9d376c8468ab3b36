"""What the evaluation says of prediction intervals: how wide they are at their birth, and what they covered."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MeasuredInterval:
    """How an interval did on the newer half of the test days, learned on the older half.

    Attributes
    ----------
    learned_rows, learned_days : int
        What it was learned on.
    rows, days : int
        What it is measured on: rows that neither the model nor the interval has learned from.
    share : float
        Of their outcomes inside.
    low, high : float or None
        The two-sided 95% interval of that share, where days and not rows are independent; None of one day.
    below, above : float
        Shares of outcomes below and above it.
    mean_width : float
        In the value's unit; all rows have the same.
    score : float
        The mean interval score (Gneiting and Raftery 2007): the width, and 2 / (1 - coverage) for each unit by which
        an outcome lies outside.
    """

    learned_rows: int
    learned_days: int
    rows: int
    days: int
    share: float
    low: float | None
    high: float | None
    below: float
    above: float
    mean_width: float
    score: float


@dataclass(frozen=True)
class IntervalFacts:
    """The interval of a candidate.

    Attributes
    ----------
    coverage : float
        As declared.
    rows, days : int
        Test rows that it was learned on.
    below, above : float or None
        How far it reaches below and above an answer, in the value's unit; None where they are too few, and ``reason``
        says how many are needed.
    measured : MeasuredInterval or None
        None where the halves are too small; ``unmeasured`` says why.
    """

    coverage: float
    rows: int
    days: int
    below: float | None
    above: float | None
    reason: str = ""
    measured: MeasuredInterval | None = None
    unmeasured: str = ""
