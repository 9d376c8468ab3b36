"""The prediction endpoint."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from everloop.model_file.sections.base import OpenFraction, Section


class Serving(Section):
    """The prediction endpoint."""

    memory_mb: int = Field(default=1024, ge=128, le=10240)
    timeout_seconds: int = Field(default=10, ge=1, le=29)
    threshold: OpenFraction = 0.5
    max_rows: int = Field(default=500, ge=1, le=5000)
    authorization: Literal["iam", "none"] = "iam"
