"""Why something was decided: one form for the gate, the guardrail and the retraining decision."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NotRequired, Self, TypedDict

from everloop.typed_json import ADDED


class ReasonDocument(TypedDict):
    """A reason as it travels and is kept."""

    code: str
    sentence: str
    value: NotRequired[float]
    limit: NotRequired[float]
    passed: NotRequired[bool]
    waived: NotRequired[bool]


@dataclass(frozen=True)
class Reason:
    """One reason of a decision.

    Attributes
    ----------
    code : str
        For programs; stable.
    sentence : str
        For people.
    value, limit : float or None
        What was found and what it was held against, where these are numbers.
    passed : bool or None
        The outcome, where the reason is a check; None where it is a cause.
    waived : bool
        It failed, and passes by a person's waiver (:mod:`everloop.evaluation.waivers`).
    """

    code: str
    sentence: str
    value: float | None = field(default=None, metadata=ADDED)
    limit: float | None = field(default=None, metadata=ADDED)
    passed: bool | None = field(default=None, metadata=ADDED)
    waived: bool = field(default=False, metadata=ADDED)

    def as_dict(self) -> ReasonDocument:
        """The reason as JSON values, without what it does not say."""
        document: ReasonDocument = {"code": self.code, "sentence": self.sentence}
        if self.passed is not None:
            document = {"code": self.code, "passed": self.passed, "sentence": self.sentence}
        if self.value is not None and math.isfinite(self.value):
            document["value"] = self.value
        if self.limit is not None and math.isfinite(self.limit):
            document["limit"] = self.limit
        if self.waived:
            document["waived"] = True
        return document

    @classmethod
    def from_dict(cls, document: ReasonDocument) -> Self:
        """Read what :meth:`as_dict` wrote."""
        return cls(**document)


def checked(code: str, passed: bool, sentence: str, value: float | None = None, limit: float | None = None) -> Reason:
    """The reason that a check leaves, passed or failed."""
    return Reason(code, sentence, value, limit, passed)
