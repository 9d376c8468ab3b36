"""What EventBridge refuses for its size.

Replaces: lengths and sizes that moto takes and the API's description or quota rules out (published as of November
    2026).
Why: an application that goes past them works here and fails on AWS.
Obsolete: once moto holds requests to the service's own description and quotas.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.events.responses import EventsHandler

from localcloud.core.constraints import constrain
from localcloud.core.context import CloudContext

LARGEST_EVENTS_BYTES = 1_048_576
"""Of all entries of one PutEvents together; 262,144 until January 2026."""


def install(_context: CloudContext) -> None:
    """Refuse what is too large."""
    constrain(EventsHandler, "events")


def check_events(entries: Iterable[Mapping[str, Any]]) -> None:
    """Refuse entries that are too large together.

    Raises
    ------
    JsonRESTError
        ValidationException.
    """
    size = sum(map(_entry_bytes, entries))
    if size > LARGEST_EVENTS_BYTES:
        raise JsonRESTError(
            "ValidationException",
            "1 validation error detected: Total size of the entries in the request is over the limit: "
            f"{size} bytes, at most {LARGEST_EVENTS_BYTES}.",
        )


def _entry_bytes(entry: Mapping[str, Any]) -> int:
    texts: Iterable[str | None] = [
        entry.get("Source"),
        entry.get("DetailType"),
        entry.get("Detail"),
        *entry.get("Resources", []),
    ]
    return sum(len(text.encode()) for text in texts if text) + (14 if entry.get("Time") else 0)
