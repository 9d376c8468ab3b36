"""What the monitor sends when a window's labels taught it how scores should be served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypedDict

from everloop.documents.recalibration import FairnessDocument, IntervalDocument, SpreadFigures
from everloop.typed_json import ADDED


class GroupsLearned(TypedDict):
    """What is served by group: ``rows`` that each was learned from, ``waits_for`` why one is served as all others are,
    ``fairness`` before and after, ``withheld`` why none is served apart.
    """

    by: str
    rows: dict[str, int]
    waits_for: Mapping[str, str]
    fairness: FairnessDocument | None
    withheld: str | None


class IntervalLearned(TypedDict):
    """What is served of intervals: the one of the version's birth, by how much both sides are wider, and how intervals
    did over the version's labelled windows, as they were ``served`` and as they were at birth (``raw``).
    """

    interval: IntervalDocument
    factors: list[float]
    served: SpreadFigures | None
    raw: SpreadFigures | None


@dataclass(frozen=True)
class LearnedFacts:
    """A calibration, and what it was learned from.

    ``version`` is the one it was learned for, ``window_end`` the end of the monitoring window, ``learned_until`` that
    of the labelled days. ``loss_raw`` and ``loss_recalibrated`` are mean losses over their rows: by what the model
    said, and by each day's calibration, made of the days before it, whether it was published or held back. ``groups``
    is None where nothing is recalibrated by group, ``interval`` where answers have none.
    """

    version: int
    window_end: datetime
    learned_until: datetime
    calibration: str
    days: int
    rows: int
    loss_raw: float | None
    loss_recalibrated: float | None
    groups: GroupsLearned | None = field(default=None, kw_only=True, metadata=ADDED)
    interval: IntervalLearned | None = field(default=None, kw_only=True, metadata=ADDED)


@dataclass(frozen=True)
class LearnedCalibration(LearnedFacts):
    """The detail of the event."""

    model: str


class CalibrationAnswer(TypedDict):
    """What came of it: published, or held back and why; and what serves now."""

    published: bool
    version: int | None
    calibration: str | None
    lambda_version: str | None
    reason: str | None
