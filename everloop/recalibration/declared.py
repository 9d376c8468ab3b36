"""What a declaration says of recalibration, for those who have no numpy in their packages."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from everloop.recalibration.grouped_by import GroupBy

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration
    from everloop.model_file.sections.recalibration import Grouped

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


def declared_groups(declaration: ModelDeclaration) -> GroupBy | None:
    """The groups that are recalibrated apart; None where all rows are recalibrated together."""
    recalibration = declaration.recalibration
    return None if recalibration is None else _groups(declaration, recalibration)


def compared_groups(declaration: ModelDeclaration) -> GroupBy | None:
    """The groups between which fairness is measured: those that are recalibrated apart, unless others are named."""
    recalibration = declaration.recalibration
    if recalibration is None or recalibration.by is None:
        return None
    fairness = recalibration.fairness
    return (None if fairness is None else _groups(declaration, fairness)) or _groups(declaration, recalibration)


def _groups(declaration: ModelDeclaration, section: Grouped) -> GroupBy | None:
    if section.by is None:
        return None
    feature = next(f for f in declaration.data.features if f.name == section.by)
    return GroupBy.of(
        section.by, number=feature.type == "number", groups=section.groups or feature.values, edges=section.edges
    )
