"""What is deployed otherwise than the registry says, with who made it so, as it travels and is kept."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from everloop.reasons import ReasonDocument


class Lead(TypedDict):
    """Which calls may have made a difference.

    ``events`` are CloudTrail's names of them; ``subject`` and ``state`` are request parameters: what such a call is
    about, and what it left, where that is known.
    """

    events: list[str]
    subject: dict[str, str]
    state: dict[str, str]


class ChangedBy(TypedDict):
    """Who made a difference, or why that is not known (yet).

    While it is not known yet, ``leads`` says which calls are looked for. ``found_at`` is the instant of the look that
    found the difference. Of a known call: the ARN of who made it, where from, its name, id and instant.
    """

    known: Literal["yes", "not_yet", "no"]
    sentence: str
    found_at: str
    leads: NotRequired[list[Lead]]
    who: NotRequired[str]
    source: NotRequired[str]
    event: NotRequired[str]
    event_id: NotRequired[str]
    at: NotRequired[str]


class DifferenceDocument(ReasonDocument):
    """A difference, and who made it where that was asked."""

    by: NotRequired[ChangedBy]


def told_difference(difference: DifferenceDocument) -> str:
    """A difference for people, with who made it."""
    by = difference.get("by")
    return f"{difference['sentence']} ({by['sentence']})" if by else difference["sentence"]
