"""What requests to ECR need to be allowed, as the service authorization reference lists it."""

from __future__ import annotations

from collections.abc import Iterable

from localcloud.iam.calls import Access, Call


def accesses(call: Call) -> Iterable[Access] | None:
    """The accesses of a request, or None where its resource can't be told."""
    named = call.params.get("repositoryNames") or [call.params.get("repositoryName")]
    arns = [call.arn("ecr", f"repository/{name}") for name in named if name]
    if call.params.get("resourceArn"):
        arns.append(str(call.params["resourceArn"]))
    return [Access(f"ecr:{call.action}", (arn,)) for arn in arns] or None
