"""Whether a role's policies allow what services will call under it, without any account."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from localcloud.iam.policy import AccessRequest, decide
from tools.roles.implied import IMPLIED, Need, concrete
from tools.roles.statements import RoleStatement


def document(statements: Iterable[RoleStatement]) -> str:
    """The statements of one role as a policy document, references in angle brackets."""
    return json.dumps({"Version": "2012-10-17", "Statement": [one.as_policy() for one in statements]})


def refused(role: str, statements: Iterable[RoleStatement]) -> list[str]:
    """What is called under ``role`` by services and is not allowed: action, resource, and the source that names it."""
    statements = list(statements)
    policy, own = (document(statements),), {action for one in statements for action in one.actions}
    return [
        f"{role}: {action} on {need.resource} is not allowed; {source} says that it is called"
        for need, source in needs_of(role, own)
        for action in need.actions
        if not decide(policy, _request(action, need)).allowed
    ]


def needs_of(role: str, own: set[str] | None = None) -> Iterator[tuple[Need, str]]:
    """What is called under ``role`` by services, with the source of each; by one that may do ``own``, where given."""
    for implied in IMPLIED:
        given = own is None or not implied.occasion or implied.occasion in own
        if given and implied.is_of(role):
            for need in implied.needs:
                yield concrete(need, role), implied.source


def _request(action: str, need: Need) -> AccessRequest:
    return AccessRequest(action, need.resource, {key.lower(): (value,) for key, value in need.context.items()})
