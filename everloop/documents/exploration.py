"""``exploration.json``: what a training set's page shows, beside its ``snapshot.json``."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class CellDocument(TypedDict):
    """Rows of a feature with one value, or between two: how many, and the sum of their outcomes."""

    rows: int
    sum: float
    value: NotRequired[str]
    least: NotRequired[float]
    greatest: NotRequired[float]


class FeatureDocument(TypedDict):
    """A feature; shares of missing cells are those of the rows to train on, and of the test part.

    ``alone`` is how well it tells the outcome alone (:mod:`everloop.dataset.leakage`), on ``looked_at`` rows.
    """

    name: str
    present: int
    missing: int
    early_missing: float | None
    late_missing: float | None
    alone: float | None
    looked_at: int
    cells: list[CellDocument]


class DayDocument(TypedDict):
    """Rows of a UTC day, which is counted from 1970, with the sums of outcomes and of their squares."""

    day: int
    rows: int
    sum: float
    squares: float


class ExplorationDocument(TypedDict):
    """Everything of a training set that was explored.

    ``repeated`` are rows whose features all are another row's too. ``correlations`` are those of the number features in
    ``correlated``; None where one of two does not vary.
    """

    model: str
    classification: bool
    target: str
    features: list[FeatureDocument]
    days: list[DayDocument]
    repeated: int
    correlated: list[str]
    correlations: list[list[float | None]]
