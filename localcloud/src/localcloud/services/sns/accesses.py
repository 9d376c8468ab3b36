"""What requests to SNS need to be allowed, as the service authorization reference lists it."""

from __future__ import annotations

from collections.abc import Iterable

from localcloud.iam.calls import Access, Call, one, only


def accesses(call: Call) -> Iterable[Access] | None:
    """The accesses of a request, or None where its resource can't be told."""
    params = call.params
    arn = only(call, "TopicArn", "TargetArn", "SubscriptionArn", "PhoneNumber")
    if arn is None and params.get("Name"):
        arn = call.arn("sns", params["Name"])
    action = call.action.removesuffix("Batch")
    return one("sns", call, arn, action=action) if arn else None
