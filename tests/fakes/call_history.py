"""CloudTrail's event history in memory: calls of one account, newest first, in pages, and shown as late as is said."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from everloop.rollout.call_history import CallHistory
from tests.fakes.lambda_function import refusal

OWN = "arn:aws:sts::123456789012:assumed-role/rollout/everloop-flights-rollout"


class FakeCallHistory:
    """The part of CloudTrail and STS that :class:`CallHistory` asks.

    Attributes
    ----------
    asked : list of str
        The names of the events that were looked up, one for each page.
    shown_until : datetime or None
        Later calls are not shown yet; None: all are.
    failing : str
        Answers every look-up with that error code.
    """

    def __init__(self) -> None:
        self._events: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.shown_until: datetime | None = None
        self.failing = ""

    def call(self, event: str, who: str, at: datetime, /, *, error: str = "", **parameters: Any) -> str:
        """A call that somebody made; its id."""
        event_id = f"event-{len(self._events)}"
        record = {
            "userIdentity": {"type": "AssumedRole", "arn": who},
            "sourceIPAddress": "203.0.113.9",
            "requestParameters": parameters,
            **({"errorCode": error} if error else {}),
        }
        # CloudTrail has whole seconds.
        second = at.astimezone(UTC).replace(microsecond=0)
        told = {"EventId": event_id, "EventName": event, "EventTime": second, "CloudTrailEvent": json.dumps(record)}
        self._events.append(told)
        return event_id

    def history(self) -> CallHistory:
        """What asks it."""
        return CallHistory(lambda service: self)

    def get_caller_identity(self) -> dict[str, str]:
        return {"Arn": OWN}

    def lookup_events(
        self, *, LookupAttributes: list[dict[str, str]], MaxResults: int, NextToken: str = "0"
    ) -> dict[str, Any]:
        (attribute,) = LookupAttributes
        assert attribute["AttributeKey"] == "EventName"
        self.asked.append(attribute["AttributeValue"])
        if self.failing:
            raise refusal(self.failing, "as told", "LookupEvents")
        latest = self.shown_until or datetime.max.replace(tzinfo=UTC) - timedelta(days=1)
        found = [e for e in self._events if e["EventName"] == attribute["AttributeValue"] and e["EventTime"] <= latest]
        found.sort(key=lambda event: event["EventTime"], reverse=True)
        start = int(NextToken)
        more = {"NextToken": str(start + MaxResults)} if start + MaxResults < len(found) else {}
        return {"Events": found[start : start + MaxResults], **more}
