"""An event bus in memory."""

from __future__ import annotations

import json
from typing import Any


class FakeEventBus:
    """Keeps what it takes; refuses when told to."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.refuses = False

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        if self.refuses:
            refused = {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}
            return {"FailedEntryCount": len(Entries), "Entries": [refused for _ in Entries]}
        self.entries += Entries
        return {"FailedEntryCount": 0, "Entries": [{"EventId": str(len(self.entries))} for _ in Entries]}

    def details(self, detail_type: str) -> list[dict[str, Any]]:
        """The details of every event of that type."""
        return [json.loads(e["Detail"]) for e in self.entries if e["DetailType"] == detail_type]
