"""The event history: recorded calls in the order in which they came, and what a look-up finds among them.

It is bounded: the newest events are kept, each with no more of its parameters than CloudTrail's own limit leaves room
for in a few megabytes, and none is found that is older than AWS keeps it
(https://docs.aws.amazon.com/awscloudtrail/latest/userguide/view-cloudtrail-events.html).
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

MOST_EVENTS = 4_096
"""So many are kept: the newest."""

MOST_PARAMETERS = 4_096
"""Characters of an event's parameters as JSON; an event with more says that they are left out."""

KEPT = timedelta(days=90)
PAGE = 50


@dataclass(frozen=True)
class Recorded:
    """One call that was answered.

    Attributes
    ----------
    number : int
        Counts up over all of them.
    at : datetime
        On the local clock.
    name, source : str
        What CloudTrail calls the operation and the service.
    username, access_key_id : str
        Who asked: the session's name or the user's, and the key that the request was signed with.
    text : str
        The whole event as JSON.
    """

    number: int
    at: datetime
    event_id: str
    name: str
    source: str
    username: str
    access_key_id: str
    text: str


@dataclass(frozen=True)
class Wanted:
    """What a look-up asks for; an attribute with its value, and a span of time, both ends included."""

    attribute: tuple[str, str] | None = None
    start: datetime | None = None
    end: datetime | None = None

    def takes(self, event: Recorded) -> bool:
        """Whether an event is asked for."""
        if (self.start is not None and event.at < self.start) or (self.end is not None and event.at > self.end):
            return False
        return self.attribute is None or ATTRIBUTES[self.attribute[0]](event) == self.attribute[1]

    def digest(self) -> str:
        """Which look-up a token belongs to."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]


ATTRIBUTES: Mapping[str, Callable[[Recorded], str]] = {
    "AccessKeyId": lambda event: event.access_key_id,
    "EventId": lambda event: event.event_id,
    "EventName": lambda event: event.name,
    "EventSource": lambda event: event.source,
    "ReadOnly": lambda event: "false",
    "Username": lambda event: event.username,
}
"""What may be looked up, and where it stands."""


class WrongTokenError(ValueError):
    """A token that is none, or of a look-up for something else."""


class History:
    """The newest events of one local cloud.

    Parameters
    ----------
    delay : timedelta
        So long after its time an event is found.
    most : int
        So many are kept.
    """

    def __init__(self, delay: timedelta = timedelta(0), most: int = MOST_EVENTS) -> None:
        self._delay = delay
        self._events: deque[Recorded] = deque(maxlen=most)
        self._numbers = 0
        self._lock = threading.Lock()

    @property
    def dropped(self) -> int:
        """How many events are kept no more, for there were too many."""
        return self._numbers - len(self._events)

    def add(self, make: Callable[[int], Recorded]) -> None:
        """Keep an event, made from its number."""
        with self._lock:
            self._numbers += 1
            self._events.append(make(self._numbers))

    def find(self, wanted: Wanted, now: datetime, size: int = PAGE, token: str = "") -> tuple[list[Recorded], str]:
        """A page of events, newest first, and the token of the next page; empty for none.

        Raises
        ------
        WrongTokenError
            For a token of another look-up.
        """
        below = self._before(wanted, token)
        known, newest = now - KEPT, now - self._delay
        with self._lock:
            events = list(self._events)
        found = [
            event
            for event in reversed(events)
            if (below is None or event.number < below) and known <= event.at <= newest and wanted.takes(event)
        ]
        page = found[:size]
        return page, f"{wanted.digest()}-{page[-1].number}" if len(found) > size else ""

    @staticmethod
    def _before(wanted: Wanted, token: str) -> int | None:
        if not token:
            return None
        digest, _, number = token.partition("-")
        if digest != wanted.digest() or not (number.isascii() and number.isdigit()) or len(number) > 18:
            raise WrongTokenError(token)
        return int(number)


def parameters_text(parameters: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Parameters as they are kept: whole, or that they are left out."""
    if parameters is None or len(json.dumps(parameters, default=str)) <= MOST_PARAMETERS:
        return parameters
    return {"omitted": True, "reason": f"more than {MOST_PARAMETERS:,} characters"}
