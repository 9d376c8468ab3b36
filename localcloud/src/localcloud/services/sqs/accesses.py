"""What requests to SQS need to be allowed, as the service authorization reference lists it."""

from __future__ import annotations

from collections.abc import Iterable

from localcloud.iam.calls import Access, Call, one


def accesses(call: Call) -> Iterable[Access] | None:
    """The accesses of a request, or None where its resource can't be told."""
    name = (call.params.get("QueueUrl") or call.params.get("QueueName") or "").rsplit("/", 1)[-1]
    action = call.action.removesuffix("Batch")
    return one("sqs", call, call.arn("sqs", name), action=action) if name else None
