"""What requests to CloudWatch Logs need to be allowed, as the service authorization reference lists it."""

from __future__ import annotations

from collections.abc import Iterable

from localcloud.iam.calls import Access, Call, one, only


def accesses(call: Call) -> Iterable[Access] | None:
    """The accesses of a request, or None where its resource can't be told."""
    group = only(call, "logGroupName", "logGroupIdentifier", "logGroupNames", "logGroupIdentifiers")
    if not isinstance(group, str):
        return None
    if group.startswith("arn:"):
        group = group.removesuffix(":*").split(":log-group:", 1)[-1]
    arn = call.arn("logs", f"log-group:{group}")
    stream = call.params.get("logStreamName")
    if stream and call.action != "CreateLogStream":
        return one("logs", call, f"{arn}:log-stream:{stream}")
    return one("logs", call, arn, f"{arn}:*")
