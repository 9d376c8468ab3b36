"""The declaration of a model: everything the product knows about it, and nothing else does.

Its keys are in :mod:`everloop.model_file.sections`, with what they ask of each other in
:mod:`everloop.model_file.section_rules`; what sections ask of each other is in :mod:`everloop.model_file.fit`. These
rules know the sections, and only what is here knows both.

Functions and jobs read a declaration as the JSON that it writes of itself, so whatever is accepted here must come
back from there the same.
"""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from everloop.model_file.cost_threshold import with_threshold
from everloop.model_file.fit import WHOLE_RULES
from everloop.model_file.partial import Rule
from everloop.model_file.sections.all_sections import AllSections
from everloop.model_file.sections.base import ADD
from everloop.model_file.sections.data import Feature
from everloop.model_file.sections.gate import Gate
from everloop.model_file.sections.problem import Value
from everloop.model_file.sections.recalibration import Recalibration
from everloop.model_file.sections.retraining import (
    DriftTrigger,
    Investment,
    QualityTrigger,
    Quota,
    Retraining,
    VolumeTrigger,
)
from everloop.model_file.sections.rollout import Guardrail, Rollout
from everloop.model_file.sections.training import DEFAULT_SCRIPT, SearchRange, Training, Tuning, WarmStart

__all__ = [
    "ADD",
    "DEFAULT_SCRIPT",
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
    "SearchRange",
    "Training",
    "Tuning",
    "Value",
    "VolumeTrigger",
    "WarmStart",
]


class ModelDeclaration(AllSections):
    """One model, declared."""

    @model_validator(mode="before")
    @classmethod
    def _threshold_of_prices(cls, document: Any) -> Any:
        return with_threshold(document)

    @classmethod
    def rules(cls) -> tuple[Rule, ...]:
        """What its sections ask of each other."""
        return WHOLE_RULES
