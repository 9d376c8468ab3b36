"""What a declaration says of recalibration, for those who have no numpy in their packages."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration

LONGEST_DELAY = 31
"""Windows that labels may be late. Each keeps its forecast until it is labelled."""

Scores = Literal["raw", "served"]
"""What a model says by itself, or what its callers get."""


def windows_late(declaration: ModelDeclaration) -> int:
    """Whole windows that pass before all labels of a window are there, by the declared lag.

    A window that is labelled in the course of another one counts as labelled at its end.
    """
    return math.ceil(declaration.data.label_lag_hours / declaration.monitoring.window_hours)


def judged_scores(declaration: ModelDeclaration) -> Scores:
    """The scores by which candidate and champion are compared: as served, unless nothing would be recalibrated."""
    if declaration.recalibration is None or windows_late(declaration) > LONGEST_DELAY:
        return "raw"
    return "served"
