"""CloudTrail: who changed what of Lambda and SageMaker, asked with LookupEvents.

Recorded are the calls that change something, refused ones with their error; who asked is who signed, as the policies
were decided on. The newest 4,096 are kept, in memory. Calls that read, data events and the calls of other services are
not recorded, and a look-up that could only find those is refused by name. An event is found at once, or after
``delay_minutes`` of the settings' table ``[cloudtrail]``: AWS takes about five minutes.

Replaces: moto's trails, which record nothing; they are refused.
Why: who reports a change made by hand has to say who made it.
Obsolete: once moto records the calls it answers, with the signer and at a time that can be set.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudtrail.responses import CloudTrailResponse
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse

from localcloud.core.context import CloudContext
from localcloud.core.patching import add, wrap
from localcloud.core.settings import Settings, SettingsError
from localcloud.iam.signer import current_signer
from localcloud.services.cloudtrail.history import ATTRIBUTES, PAGE, History, Recorded, Wanted, WrongTokenError
from localcloud.services.cloudtrail.recorder import SOURCES, Answered, event_name, maker, recorded_names

log = logging.getLogger(__name__)

_MOST_MINUTES = 24 * 60


class TrailError(ServiceException):
    """An error answer of CloudTrail."""


def install(context: CloudContext) -> None:
    """Record, and answer what is looked up."""
    history = History(delay_of(context.settings))

    def recording(original: Any) -> Any:
        def call_action(self: BaseResponse) -> Any:
            signer = current_signer()
            if signer is None or signer.service not in SOURCES or self.method == "GET":
                return original(self)
            operation = self._get_action()
            if event_name(signer.service, operation) is None:
                return original(self)
            at = context.clock.now()

            def record(answered: Answered) -> None:
                history.add(maker(context, self, signer, operation, at, answered))
                if history.dropped == 1:
                    log.info("the history of changes is full: the oldest are no longer found")

            try:
                answer = original(self)
            except NotImplementedError:
                raise
            except Exception as error:  # whoever called makes an answer of it
                code = getattr(error, "code", type(error).__name__)
                record(Answered(400, str(code), str(getattr(error, "message", error))))
                raise
            record(_answered(answer))
            return answer

        return call_action

    def lookup_events(self: CloudTrailResponse) -> ActionResult:
        return ActionResult(_look_up(_asked(self), history, context.clock.now()))

    wrap(BaseResponse, "call_action", recording)
    add(CloudTrailResponse, "lookup_events", lookup_events)


def delay_of(settings: Settings) -> timedelta:
    """How long after its time an event is found.

    Raises
    ------
    SettingsError
        For what the settings' table may not say.
    """
    table = dict(settings.of("cloudtrail"))
    minutes = table.pop("delay_minutes", 0)
    if table:
        raise SettingsError(f"{settings.file}: [cloudtrail] has no {sorted(table)[0]}; it has delay_minutes")
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 <= minutes <= _MOST_MINUTES:
        raise SettingsError(f"{settings.file}: [cloudtrail] delay_minutes is {minutes!r}; give 0 to {_MOST_MINUTES:,}")
    return timedelta(minutes=minutes)


def _answered(answer: Any) -> Answered:
    """How moto answered: the status, and the code and message of an error."""
    status, headers, body = answer
    if int(status) < 400:
        return Answered(int(status))
    try:
        told = json.loads(body)
    except (ValueError, TypeError):
        told = {}
    told = told if isinstance(told, dict) else {}
    header = next((value for name, value in headers.items() if name.lower() == "x-amzn-errortype"), "")
    code = str(header or told.get("__type") or told.get("code") or "").rpartition("#")[2]
    return Answered(int(status), code, str(told.get("message") or told.get("Message") or ""))


def _asked(response: BaseResponse) -> Mapping[str, Any]:
    asked = json.loads(response.body or "{}")
    return asked if isinstance(asked, dict) else {}


def _look_up(asked: Mapping[str, Any], history: History, now: datetime) -> dict[str, Any]:
    if asked.get("EventCategory"):
        raise TrailError("InvalidEventCategoryException", "Insights events are not recorded: leave EventCategory out")
    size = asked.get("MaxResults", PAGE)
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= PAGE:
        raise TrailError("InvalidMaxResultsException", f"MaxResults is {size!r}: it has to be 1 to {PAGE}")
    start, end = (_instant(asked, name) for name in ("StartTime", "EndTime"))
    if start is not None and end is not None and start > end:
        raise TrailError("InvalidTimeRangeException", f"StartTime {start} is after EndTime {end}")
    wanted = Wanted(_attribute(asked.get("LookupAttributes") or []), start, end)
    try:
        page, token = history.find(wanted, now, size, str(asked.get("NextToken") or ""))
    except WrongTokenError as error:
        raise TrailError("InvalidNextTokenException", f"{error} is no token of this look-up") from error
    return {"Events": [_found(event) for event in page], **({"NextToken": token} if token else {})}


def _instant(asked: Mapping[str, Any], name: str) -> datetime | None:
    given = asked.get(name)
    if given is None:
        return None
    try:
        return datetime.fromtimestamp(float(given), UTC)
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise TrailError("InvalidTimeRangeException", f"{name} {given!r} is no time") from error


def _attribute(given: Any) -> tuple[str, str] | None:
    """The one attribute of a look-up.

    Raises
    ------
    TrailError
        For more than one, as AWS does; and for one by which nothing recorded here can be found.
    """
    if not given:
        return None
    code = "InvalidLookupAttributesException"
    if len(given) > 1:
        raise TrailError(code, "LookupAttributes can contain only one item")
    key, value = str(given[0].get("AttributeKey")), str(given[0].get("AttributeValue") or "")
    if not 1 <= len(value) <= 2000:
        raise TrailError(code, f"the value of {key} has to have 1 to 2,000 characters")
    if key not in ATTRIBUTES:
        raise TrailError(
            code, f"the local cloud finds no event by {key}: AWS documents no resources of an event; use EventName"
        )
    recorded = {"EventName": recorded_names(), "EventSource": set(SOURCES.values()), "ReadOnly": {"false"}}
    if value not in recorded.get(key, {value}):
        raise TrailError(
            code,
            f"the local cloud records no event with {key} {value}: only calls that change something of"
            f" {' and '.join(SOURCES.values())}",
        )
    return key, value


def _found(event: Recorded) -> dict[str, Any]:
    return {
        "EventId": event.event_id,
        "EventName": event.name,
        "ReadOnly": "false",
        "AccessKeyId": event.access_key_id,
        "EventTime": event.at,
        "EventSource": event.source,
        "Username": event.username,
        "Resources": [],
        "CloudTrailEvent": event.text,
    }
