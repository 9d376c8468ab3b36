"""What every section is, the kinds of values that several of them have, and marks of keys.

Every key is checked and unknown keys are mistakes. Durations carry their unit in their name.
"""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from everloop.model_file.misfit import refuse
from everloop.model_file.names import NAME_PATTERN
from everloop.model_file.partial import Rule, broken
from everloop.model_file.section_rules import SECTION_RULES
from everloop.model_file.sentences import CRITERION, NAMED, SENTENCE

ADD = "add"
"""Marks a required key with what to write there, for declarations of releases that did not have it."""

LONGEST_DAYS = 36_500
"""A hundred years: beyond them, dates that are counted back from today come to an end."""


def _script(text: str) -> str:
    # Hidden files are not shipped with the job.
    part = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
    if not re.fullmatch(rf"({part}/){{0,9}}{part}", text) or not text.endswith(".py"):
        raise ValueError("a Python file inside the model's folder, e.g. train.py or src/train.py")
    return text


Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Text = Annotated[str, Field(min_length=3), AfterValidator(NAMED)]
Sentence = Annotated[str, AfterValidator(SENTENCE)]
Criterion = Annotated[str, AfterValidator(CRITERION)]
ShortText = Annotated[str, Field(min_length=3, max_length=256), AfterValidator(NAMED)]
"""What the description of an alarm repeats, for which CloudWatch has 1,024 characters."""

Fraction = Annotated[float, Field(ge=0, le=1)]
OpenFraction = Annotated[float, Field(gt=0, lt=1)]
Days = Annotated[int, Field(ge=1, le=LONGEST_DAYS)]
Script = Annotated[str, AfterValidator(_script)]
InstanceType = Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")]

Confidence = Annotated[float, Field(ge=0.5, lt=1)]
"""Below a half, a bound with that confidence lies on the good side of the estimate, and what is worse would pass."""


class Section(BaseModel):
    """A part of the declaration: frozen, closed to unknown keys, and without conversions.

    Infinity is not a value either: JSON has none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)

    @model_validator(mode="after")
    def _keys_fit_each_other(self) -> Self:
        refuse(type(self).__name__, broken(self.rules(), self))
        return self

    @classmethod
    def rules(cls) -> tuple[Rule, ...]:
        """What its keys ask of each other."""
        return SECTION_RULES.get(cls.__name__, ())
