"""A declaration's sections together.

What they ask of each other is :mod:`everloop.model_file.schema`'s, which is imported instead of this.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from everloop.model_file.sections.base import ADD, Name, Section
from everloop.model_file.sections.cost import Cost
from everloop.model_file.sections.data import Data
from everloop.model_file.sections.gate import Gate
from everloop.model_file.sections.monitoring import Monitoring
from everloop.model_file.sections.owner import Owner
from everloop.model_file.sections.problem import Problem, Risk
from everloop.model_file.sections.recalibration import Recalibration
from everloop.model_file.sections.retirement import Retirement
from everloop.model_file.sections.retraining import Retraining
from everloop.model_file.sections.rollout import Rollout
from everloop.model_file.sections.serving import Serving
from everloop.model_file.sections.training import Training
from everloop.problem_types import MULTICLASS


def _none_as_null(value: object) -> object:
    """``none`` as it is written in the file."""
    return None if value == "none" else value


ADD_RISK = (
    "`risk: {tier: light}` for a model that harms nobody, standard where a mistake costs money or time, high where"
    " answers decide about people (`everloop docs risk`)"
)


class AllSections(Section):
    """One model, declared, before its sections are compared with each other."""

    model: Name
    risk: Annotated[Risk, Field(json_schema_extra={ADD: ADD_RISK})]
    problem: Problem
    owner: Owner
    data: Data
    training: Training
    gate: Gate
    rollout: Rollout
    serving: Serving
    monitoring: Monitoring
    recalibration: Annotated[Recalibration | None, BeforeValidator(_none_as_null)] = Field(
        default_factory=Recalibration
    )
    retraining: Retraining
    retirement: Retirement
    cost: Cost

    @model_validator(mode="before")
    @classmethod
    def completed(cls, document: Any) -> Any:
        """The document with what depends on other sections where it says nothing.

        A model that decides about people is not recalibrated: its scores stay as they were judged. Nor is one of
        several classes, which recalibration does not know yet.
        """
        if not isinstance(document, dict):
            return document
        risk, problem = document.get("risk"), document.get("problem")
        high = isinstance(risk, dict) and risk.get("tier") == "high"
        if high or (isinstance(problem, dict) and problem.get("type") == MULTICLASS):
            return {"recalibration": "none", **document}
        return document
