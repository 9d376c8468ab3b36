"""What requests to EventBridge Scheduler need to be allowed, as the service authorization reference lists it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from localcloud.iam.calls import Access, Call, one


def accesses(call: Call) -> Iterable[Access] | None:
    """The accesses of a request, or None where its resource can't be told."""
    params = call.params
    name = params.get("Name")
    if name and "ScheduleGroup" not in call.action:
        group = params.get("GroupName") or params.get("groupName") or "default"  # of the body, or of the query
        return one("scheduler", call, call.arn("scheduler", f"schedule/{group}/{name}"))
    return one("scheduler", call, call.arn("scheduler", f"schedule-group/{name}")) if name else None


def passed_roles(call: Call) -> Iterator[tuple[str, str]]:
    """Roles that a request hands to the service: the ARN of each, and the principal that will assume it."""
    if call.action in ("CreateSchedule", "UpdateSchedule"):
        yield call.params["Target"]["RoleArn"], "scheduler.amazonaws.com"
