"""A version's reference profile, ``profile.json``: written by the training job, read by evaluation and monitor."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from everloop.documents.window import OutcomesDocument


class NaturalDocument(TypedDict):
    """How far a span of days naturally is; see :class:`everloop.monitoring.reference.Natural`."""

    days: int
    distance: float
    freedom: float
    spans: float


class FeatureReferenceDocument(TypedDict):
    """One feature: its bins, their counts, and its natural variation. ``kind`` says which of the two names the bins."""

    kind: Literal["number", "category"]
    edges: NotRequired[list[float]]
    categories: NotRequired[list[str]]
    counts: list[int]
    missing: int
    natural: list[NaturalDocument]


class ReferenceDocument(TypedDict):
    """The document; see :class:`everloop.monitoring.reference.Reference`. One of an earlier release may lack a key."""

    format: int
    rows: int
    days: int
    features: dict[str, FeatureReferenceDocument]
    score: FeatureReferenceDocument | None
    metric: str | None
    outcomes: OutcomesDocument | None
    outcome_days: int
    score_unjudged: NotRequired[str]
