"""Asks CloudTrail who called what.

``LookupEvents`` takes one attribute and two requests a second of an account and region, and holds management events of
90 days (https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html): so it is asked by the
name of the event, once a look and name, and for no more than some pages.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from everloop.rollout.attribution import Call, Heard

PAGES = 4
PAGE_EVENTS = 50
"""So many events of a name are looked at: the newest. A page has no more than fifty."""


class CallHistory:
    """Reads the account's history of calls.

    Parameters
    ----------
    client : callable
        Makes a boto3 client by its service's name.
    """

    def __init__(self, client: Callable[..., Any]) -> None:
        self._client = client

    def own(self) -> str:
        """The ARN of whoever asks."""
        return str(self._client("sts").get_caller_identity()["Arn"])

    def heard(self, names: Iterable[str]) -> Heard:
        """The newest calls of these names, of all of them together.

        A history that can't be asked is no reason to report nothing: then it says why.
        """
        calls: list[Call] = []
        most = 0
        try:
            for name in sorted(set(names)):
                found, all_of_them = self._newest(name)
                calls += found
                most = most if all_of_them else PAGES * PAGE_EVENTS
        except ClientError as error:
            return Heard(tuple(calls), f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"[:300])
        except BotoCoreError as error:
            return Heard(tuple(calls), f"{type(error).__name__}: {error}"[:300])
        return Heard(tuple(calls), "", most)

    def _newest(self, name: str) -> tuple[list[Call], bool]:
        asked: dict[str, Any] = {
            "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": name}],
            "MaxResults": PAGE_EVENTS,
        }
        calls: list[Call] = []
        for _ in range(PAGES):
            page = self._client("cloudtrail").lookup_events(**asked)
            calls += map(call_of, page.get("Events", []))
            if not page.get("NextToken"):
                return calls, True
            asked["NextToken"] = page["NextToken"]
        return calls, False


def call_of(event: Mapping[str, Any]) -> Call:
    """The call that an event of ``LookupEvents`` records.

    What can't be read of it is left empty: such a call explains nothing.
    """
    record = _object(event.get("CloudTrailEvent"))
    identity, asked = record.get("userIdentity"), record.get("requestParameters")
    identity = identity if isinstance(identity, dict) else {}
    at = event.get("EventTime")
    return Call(
        event_id=str(event.get("EventId") or ""),
        name=str(event.get("EventName") or ""),
        at=at.astimezone(UTC) if isinstance(at, datetime) else datetime.fromtimestamp(0, UTC),
        who=str(identity.get("arn") or identity.get("invokedBy") or event.get("Username") or ""),
        source=str(record.get("sourceIPAddress") or ""),
        parameters={key: value for key, value in asked.items() if isinstance(value, str)}
        if isinstance(asked, dict)
        else {},
        failed=bool(record.get("errorCode")) or not identity,
    )


def _object(text: object) -> dict[str, Any]:
    try:
        found = json.loads(text) if isinstance(text, str) else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
