"""What the monitor records of recalibration in a window."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypedDict

from everloop.reasons import ReasonDocument

RecalibrationDecision = Literal["publish", "held_back", "none"]


class LossesDocument(TypedDict):
    """Sums over the labelled rows of a version's windows so far: log loss, or the squared error of a regression.

    ``raw`` is by what the model said, ``calibrated`` by what its calibration made of it, each window by the one learned
    from those before it. Of rows before the first calibration both are the same.
    """

    windows: int
    rows: int
    raw: float
    calibrated: float


class RecalibrationDocument(TypedDict):
    """What the labelled window taught, and what came of it.

    ``sums`` are those of :mod:`everloop.recalibration.sums` over the window, by raw score; ``state`` is the learner's
    afterwards (None where nothing can be learned), ``calibration`` the text of what it would serve, and ``in_force``
    the name of what serves.
    """

    sums: Mapping[str, object]
    state: Mapping[str, object] | None
    losses: LossesDocument
    calibration: str | None
    in_force: str | None
    decision: RecalibrationDecision
    reasons: list[ReasonDocument]
