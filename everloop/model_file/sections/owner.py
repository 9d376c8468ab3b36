"""Who answers for the model."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from everloop.model_file.sections.base import Section, ShortText


class HandOvers(Section):
    """Who owns each point at which work goes from one to another."""

    data: ShortText | None = None
    labels: ShortText | None = None
    promotion: ShortText | None = None
    alerts: ShortText | None = None
    retirement: ShortText | None = None


class Owner(Section):
    """Who answers for the model, and who is called when they don't; ``hand_overs`` has an owner for each hand-over."""

    team: ShortText
    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
    escalation: ShortText
    hand_overs: HandOvers = Field(default_factory=HandOvers)
