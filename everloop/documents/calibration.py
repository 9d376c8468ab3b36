"""What the monitor sends when a window's labels taught it how scores should be served."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict


@dataclass(frozen=True)
class LearnedFacts:
    """A calibration, and what it was learned from.

    ``version`` is the one it was learned for, ``window_end`` the end of the monitoring window, ``learned_until`` that
    of the labelled days. ``loss_raw`` and ``loss_recalibrated`` are mean losses over their rows: by what the model
    said, and by each day's calibration, made of the days before it, whether it was published or held back.
    """

    version: int
    window_end: datetime
    learned_until: datetime
    calibration: str
    days: int
    rows: int
    loss_raw: float | None
    loss_recalibrated: float | None


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
