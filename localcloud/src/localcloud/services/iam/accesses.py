"""What requests to IAM need to be allowed, as the service authorization reference lists it."""

from __future__ import annotations

from collections.abc import Iterable

from moto.iam.models import iam_backends

from localcloud.iam.calls import Access, Call, one


def accesses(call: Call) -> Iterable[Access] | None:
    """The accesses of a request, or None where its resource can't be told."""
    if call.params.get("RoleName"):
        return one("iam", call, _role_arn(call, call.params["RoleName"]))
    if call.params.get("PolicyArn"):
        return one("iam", call, call.params["PolicyArn"])
    return None


def _role_arn(call: Call, name: str) -> str:
    """The ARN of a role by its name, path included when the role exists."""
    for role in list(iam_backends[call.account]["aws"].roles.values()):
        if role.name == name:
            return role.arn
    return f"arn:aws:iam::{call.account}:role/{name}"
