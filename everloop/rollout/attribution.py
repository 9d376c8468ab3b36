"""Who made a difference: which call in the account's history explains what was found. Facts in, a document out.

A difference is explained by the newest call about its subject, if that call left what was found and is not our own.
Where the newest call is another, the one that explains it is not in the history yet: calls are shown some minutes late
(https://docs.aws.amazon.com/awscloudtrail/latest/userguide/get-and-view-cloudtrail-log-files.html).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from everloop.documents.deployment import ChangedBy, Lead
from everloop.instants import format_instant, instant_text
from everloop.names import ALIAS, ModelNames
from everloop.rollout.differences import Difference
from everloop.rollout.targets.lambda_alias import LATEST

PATIENCE = timedelta(hours=1)
"""So long after a difference was found its call may still appear: AWS takes about five minutes, and promises none."""

SLACK = timedelta(minutes=5)
"""A look comes after the instant that it is named by; a change in between is found by it too."""

ALIAS_EVENTS = ["UpdateAlias20150331", "CreateAlias20150331"]
ENDPOINT_EVENTS = ["UpdateEndpoint", "CreateEndpoint"]
WEIGHTS_EVENT = "UpdateEndpointWeightsAndCapacities"
FUNCTION_EVENTS = [
    "CreateFunction20150331",
    "UpdateFunctionConfiguration20150331v2",
    "UpdateFunctionCode20150331v2",
]
"""CloudTrail's names (https://docs.aws.amazon.com/lambda/latest/dg/logging-using-cloudtrail.html)."""

_OBJECTS = (
    "who did it is not known: CloudTrail's event history does not hold writes of objects; a trail with data events of"
    " the artifact bucket does"
)
_FROZEN = "who did it is not known: a published function version does not change, so no call can have done it"


@dataclass(frozen=True)
class Call:
    """A call in the account's history.

    Attributes
    ----------
    who : str
        The ARN of who made it, with the session's name.
    source : str
        The address it came from, or the service that made it for somebody.
    parameters : mapping
        Its request parameters of text.
    failed : bool
        It was refused, and changed nothing.
    """

    event_id: str
    name: str
    at: datetime
    who: str
    source: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    failed: bool = False


@dataclass(frozen=True)
class Heard:
    """What the history said: the calls, and why it did not say all.

    Attributes
    ----------
    problem : str
        Why it could not be asked; empty where it was.
    most : int
        So many calls of a kind were looked at, where there are more; 0 for all.
    """

    calls: tuple[Call, ...] = ()
    problem: str = ""
    most: int = 0


def leads_of(difference: Difference, model: str) -> list[Lead] | str:
    """Which calls may have made a difference, or the sentence that says why none can be found.

    Raises
    ------
    ValueError
        For a kind of difference that is not known here.
    """
    names, about = ModelNames(model), difference.about
    function, endpoint = {"functionName": names.function("predict")}, {"endpointName": names.endpoint}
    live = _lead(ALIAS_EVENTS, {**function, "name": ALIAS})
    in_function = about.isdecimal() or about == LATEST
    match difference.code:
        case "traffic_moved" if in_function:
            return [{**live, "state": {"functionVersion": about}}]
        case "traffic_moved":
            return [_lead([WEIGHTS_EVENT, *ENDPOINT_EVENTS], endpoint), live]
        case "champion_gone" if in_function:
            return [_lead(["DeleteFunction20150331"], function, {"qualifier": about})]
        case "champion_gone":
            # A variant of the model's one endpoint, or the endpoint of a version itself.
            return [
                _lead(["DeleteEndpoint", *ENDPOINT_EVENTS], endpoint),
                _lead(["DeleteEndpoint"], {"endpointName": about}),
            ]
        case "other_artifact" if in_function:
            return _FROZEN
        case "other_artifact" | "unknown_variant" | "idle_endpoint":
            return [_lead(ENDPOINT_EVENTS, endpoint)]
        case "unknown_endpoint":
            return [_lead(ENDPOINT_EVENTS, {"endpointName": about})]
        case "unknown_function":
            return [_lead(FUNCTION_EVENTS, {"functionName": about})]
        case "unknown_alias":
            return [_lead(ALIAS_EVENTS, {**function, "name": about})]
        case "artifact_changed" | "artifact_gone":
            return _OBJECTS
    raise ValueError(f"nothing is known of who makes the difference {difference.code!r}: say it in attribution.py")


def _lead(events: list[str], subject: dict[str, str], state: dict[str, str] | None = None) -> Lead:
    return {"events": events, "subject": subject, "state": state or {}}


def unknowable(sentence: str, found_at: datetime) -> ChangedBy:
    """That no call can be found, and why."""
    return {"known": "no", "sentence": sentence, "found_at": instant_text(found_at)}


def explained(leads: Sequence[Lead], found_at: datetime, heard: Heard, *, own: str, now: datetime) -> ChangedBy:
    """Who made the difference that ``leads`` lead to.

    Parameters
    ----------
    found_at : datetime
        When it was found: a call that came later did not make it.
    own : str
        The ARN of who asks. It puts right, and makes no difference.
    now : datetime
        The instant of this look.
    """
    pending: ChangedBy = {"known": "not_yet", "sentence": "", "found_at": instant_text(found_at), "leads": [*leads]}
    if heard.problem:  # what was heard before may not be the newest
        why = f"who did it is not known yet: CloudTrail can't be asked ({heard.problem}); the next look asks again"
        return {**pending, "sentence": why}
    about = _about(leads, heard.calls, own)
    found = _explaining(about, found_at)
    if found is not None:
        return _by(found, found_at)
    if now - found_at < PATIENCE:
        why = "who did it is not known yet: CloudTrail shows calls some minutes late, and the next look asks again"
        return {**pending, "sentence": why}
    newest = max((call for call, _ in about if call.at <= found_at), key=lambda call: call.at, default=None)
    if newest is not None and newest.who == own:
        mine = f"the newest {newest.name} is the rollout function's own, on {format_instant(newest.at)}"
        return unknowable(f"who did it is not known: {mine}, and CloudTrail has no later one", found_at)
    events = " or ".join(dict.fromkeys(event for lead in leads for event in lead["events"]))
    among = f"among the newest {heard.most} calls of each kind" if heard.most else "in 90 days"
    return unknowable(f"who did it is not known: CloudTrail has no {events} that explains it {among}", found_at)


def _about(leads: Sequence[Lead], calls: Sequence[Call], own: str) -> list[tuple[Call, bool]]:
    """The calls about the subject that were carried out, each with whether it is another's and left what was found."""
    return [
        (call, call.who != own and _all(lead["state"], call, lacking=True))
        for call in calls
        for lead in leads
        if not call.failed and call.name in lead["events"] and _all(lead["subject"], call)
    ]


def _explaining(about: Sequence[tuple[Call, bool]], found_at: datetime) -> Call | None:
    before = [(call, fits) for call, fits in about if call.at <= found_at]
    after = [(call, fits) for call, fits in about if fits and found_at < call.at <= found_at + SLACK]
    counted = before + after
    newest = max((call.at for call, _ in counted), default=None)
    # CloudTrail has whole seconds: of two calls in one, either may have been the last.
    fitting = [call for call, fits in counted if fits and call.at == newest]
    return max(fitting, key=lambda call: call.event_id, default=None)


def _all(wanted: Mapping[str, str], call: Call, *, lacking: bool = False) -> bool:
    """Whether a call's parameters are these; ``lacking``: one that is not there may be any."""
    return all(
        lacking if name not in call.parameters else _plain(name, call.parameters[name]) == value
        for name, value in wanted.items()
    )


def _plain(name: str, value: str) -> str:
    """A parameter as it is compared: a function may be given by its ARN, with a version or an alias."""
    if name != "functionName":
        return value
    return value.rpartition("function:")[2].partition(":")[0]


def _by(call: Call, found_at: datetime) -> ChangedBy:
    source = f" from {call.source}" if call.source else ""
    return {
        "known": "yes",
        "sentence": f"by {call.who}{source} on {format_instant(call.at)}: {call.name}",
        "found_at": instant_text(found_at),
        "who": call.who,
        "source": call.source,
        "event": call.name,
        "event_id": call.event_id,
        "at": instant_text(call.at),
    }
