"""Why something was decided: one form for the gate, the guardrail and the retraining decision."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


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
    """

    code: str
    sentence: str
    value: float | None = None
    limit: float | None = None
    passed: bool | None = None

    def as_dict(self) -> dict[str, Any]:
        """The reason as JSON values, without what it does not say."""
        document: dict[str, Any] = {"code": self.code}
        if self.passed is not None:
            document["passed"] = self.passed
        document["sentence"] = self.sentence
        for name, number in (("value", self.value), ("limit", self.limit)):
            if number is not None and math.isfinite(number):
                document[name] = number
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read what :meth:`as_dict` wrote."""
        return cls(**document)


def checked(code: str, passed: bool, sentence: str, value: float | None = None, limit: float | None = None) -> Reason:
    """The reason that a check leaves, passed or failed."""
    return Reason(code, sentence, value, limit, passed)
