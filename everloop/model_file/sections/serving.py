"""The prediction endpoint."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from everloop.model_file.cost_threshold import number_only
from everloop.model_file.sections.base import OpenFraction, Section


class Serving(Section):
    """The prediction endpoint.

    A row is answered 1 from a score of ``threshold`` on. ``threshold: from_costs`` is the number that follows from the
    prices of ``problem.value``; it stands in the contract and in all records as a number.
    """

    memory_mb: int = Field(default=1024, ge=128, le=10240)
    timeout_seconds: int = Field(default=10, ge=1, le=29)
    threshold: Annotated[OpenFraction, BeforeValidator(number_only)] = 0.5
    max_rows: int = Field(default=500, ge=1, le=5000)
    authorization: Literal["iam", "none"] = "iam"
