"""The declaration of a model: everything the product knows about it, and nothing else does.

Its keys are in :mod:`everloop.model_file.sections`, with what they ask of each other in
:mod:`everloop.model_file.section_rules`; what sections ask of each other is in :mod:`everloop.model_file.fit`. These
rules know the sections, and only what is here knows both.

Functions and jobs read a declaration as the JSON that it writes of itself, so whatever is accepted here must come
back from there the same.
"""

from __future__ import annotations

from everloop.model_file.fit import WHOLE_RULES
from everloop.model_file.partial import Rule
from everloop.model_file.sections import (
    ADD,
    DEFAULT_SCRIPT,
    READ_BY,
    AllSections,
    DriftTrigger,
    Feature,
    Gate,
    Guardrail,
    Investment,
    QualityTrigger,
    Quota,
    Recalibration,
    Retraining,
    Rollout,
    Training,
    Value,
    VolumeTrigger,
    WarmStart,
)

__all__ = [
    "ADD",
    "DEFAULT_SCRIPT",
    "READ_BY",
    "DriftTrigger",
    "Feature",
    "Gate",
    "Guardrail",
    "Investment",
    "ModelDeclaration",
    "QualityTrigger",
    "Quota",
    "Recalibration",
    "Retraining",
    "Rollout",
    "Training",
    "Value",
    "VolumeTrigger",
    "WarmStart",
]


class ModelDeclaration(AllSections):
    """One model, declared."""

    @classmethod
    def rules(cls) -> tuple[Rule, ...]:
        """What its sections ask of each other."""
        return WHOLE_RULES
