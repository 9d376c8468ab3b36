"""What requests to CloudFormation need to be allowed, as the service authorization reference lists it."""

from __future__ import annotations

from collections.abc import Iterable

from localcloud.iam.calls import Access, Call, one

_ON_NO_STACK = frozenset({"ListStacks", "ListExports", "ListImports", "ValidateTemplate"})


def accesses(call: Call) -> Iterable[Access] | None:
    """The accesses of a request, or None where its resource can't be told."""
    stack = call.params.get("StackName")
    if call.action in _ON_NO_STACK or not stack:
        return None
    arn = stack if stack.startswith("arn:") else call.arn("cloudformation", f"stack/{stack}/*")
    return one("cloudformation", call, arn)


def passed_roles(call: Call) -> Iterable[tuple[str, str]]:
    """The role under which a stack's resources are made."""
    role = call.params.get("RoleARN")
    if role:
        yield role, "cloudformation.amazonaws.com"
