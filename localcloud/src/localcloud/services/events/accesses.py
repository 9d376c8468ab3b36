"""What requests to EventBridge need to be allowed, as the service authorization reference lists it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from localcloud.iam.calls import Access, Call, one


def accesses(call: Call) -> Iterable[Access] | None:
    """The accesses of a request, or None where its resource can't be told."""
    params = call.params
    if call.action == "PutEvents":
        return [
            Access(
                "events:PutEvents",
                (call.named_arn("events", "event-bus/", entry.get("EventBusName") or "default"),),
                {"events:source": (entry.get("Source", ""),), "events:detail-type": (entry.get("DetailType", ""),)},
            )
            for entry in params.get("Entries", [])
        ]
    bus = (params.get("EventBusName") or "default").rsplit("/", 1)[-1]
    rule = params.get("Rule") or (params.get("Name") if "Rule" in call.action else None)
    if rule:
        return one("events", call, call.arn("events", f"rule/{rule}" if bus == "default" else f"rule/{bus}/{rule}"))
    if params.get("Name"):
        return one("events", call, call.named_arn("events", "event-bus/", params["Name"]))
    return None


def passed_roles(call: Call) -> Iterator[tuple[str, str]]:
    """Roles that a request hands to the service: the ARN of each, and the principal that will assume it."""
    if call.action == "PutRule" and call.params.get("RoleArn"):
        yield call.params["RoleArn"], "events.amazonaws.com"
    if call.action == "PutTargets":
        for target in call.params.get("Targets", []):
            if target.get("RoleArn"):
                yield target["RoleArn"], "events.amazonaws.com"
