"""What requests to API Gateway need to be allowed, as the service authorization reference lists it."""

from __future__ import annotations

from collections.abc import Iterable

from localcloud.iam.calls import Access, Call


def accesses(call: Call) -> Iterable[Access] | None:
    """The accesses of a request, or None where its resource can't be told."""
    path = call.path.removeprefix("/v2")
    return [Access(f"apigateway:{call.method}", (f"arn:aws:apigateway:{call.region}::{path}",))]


def passed_roles(call: Call) -> Iterable[tuple[str, str]]:
    """The role with which API Gateway writes logs."""
    if call.action == "UpdateAccount":
        for operation in call.params.get("patchOperations") or ():
            if operation.get("path") == "/cloudwatchRoleArn" and operation.get("value"):
                yield operation["value"], "apigateway.amazonaws.com"
