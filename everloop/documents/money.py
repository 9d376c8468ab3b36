"""What 1,000 decisions cost, as verdicts, versions and windows keep it; below 0 where they earn."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


class CostDocument(TypedDict):
    """A cost with its two-sided 95% interval over days; None where there is none, and ``reason`` says why."""

    value: float | None
    low: float | None
    high: float | None
    reason: str


class ChampionCosts(TypedDict):
    """Candidate and champion on the test rows that the champion has not learned from.

    ``scores`` says whether by what the models say, or by what their callers would have got.
    """

    version: int
    rows: int
    scores: Literal["raw", "served"]
    candidate: CostDocument
    champion: CostDocument


class MoneyDocument(TypedDict):
    """The money of an evaluation; see :class:`everloop.evaluation.report.Money`.

    ``candidate`` and ``baseline`` are by raw scores, on all ``rows`` of ``days`` days. ``decisions``
    is there of several classes alone.
    """

    currency: str
    threshold: float | None
    rows: int
    days: int
    candidate: CostDocument
    baseline: CostDocument
    best_threshold: float | None
    candidate_at_best: CostDocument | None
    beside_champion: ChampionCosts | None
    decisions: NotRequired[str]
