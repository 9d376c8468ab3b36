"""When the model ends."""

from __future__ import annotations

from pydantic import Field

from everloop.model_file.sections.base import LONGEST_DAYS, Section, Text


class Retirement(Section):
    """When the model ends. The card tells it; people decide, and nothing watches these keys."""

    notify_days: int = Field(default=30, ge=0, le=LONGEST_DAYS)
    criteria: list[Text] = Field(min_length=1)
