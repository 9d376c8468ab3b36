"""AWS managed policies, such as ``AWSLambdaBasicExecutionRole``, which most applications attach to their roles.

A policy is cut out of moto's one text of all of them when somebody names it, and only those named are kept.
ListPolicies reads all of them for the length of its answer.

Replaces: a setting that reads all 1,500 policies, or none.
Why: a role that attaches one is what applications have by default, and all of them would stay in memory for as long as
    the cloud lives.
Obsolete: once moto reads single policies when they are asked for.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from typing import Any

from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.exceptions import NotFoundException
from moto.iam.models import AWSManagedPolicy, IAMBackend

from localcloud.core.context import CloudContext
from localcloud.core.patching import wrap

_ARN = re.compile(r"arn:[a-z-]+:iam::aws:policy/(?:.*/)?(?P<name>[^/]+)")
_NAMING = (
    "attach_role_policy",
    "attach_group_policy",
    "attach_user_policy",
    "get_policy",
    "get_policy_version",
    "list_policy_versions",
)
"""Methods whose first argument is the ARN of a policy that must exist."""


def install(_context: CloudContext) -> None:
    """Know the managed policies of AWS."""
    lock = threading.RLock()

    def known_first(original: Any) -> Any:
        def method(self: IAMBackend, policy_arn: str, *arguments: Any, **keywords: Any) -> Any:
            with lock:
                know(self, policy_arn)
            return original(self, policy_arn, *arguments, **keywords)

        return method

    def bounded(original: Any) -> Any:
        def create_role(
            self: IAMBackend,
            role_name: str,
            assume_role_policy_document: str,
            path: str,
            permissions_boundary: str | None,
            *arguments: Any,
            **keywords: Any,
        ) -> Any:
            require(self, permissions_boundary)
            given = (role_name, assume_role_policy_document, path, permissions_boundary)
            return original(self, *given, *arguments, **keywords)

        return create_role

    def bounding(original: Any) -> Any:
        def put_role_permissions_boundary(self: IAMBackend, role_name: str, permissions_boundary: str) -> Any:
            require(self, permissions_boundary)
            return original(self, role_name, permissions_boundary)

        return put_role_permissions_boundary

    def require(backend: IAMBackend, boundary: str | None) -> None:
        if boundary is None:
            return
        with lock:
            know(backend, boundary)
        if boundary not in backend.managed_policies:
            raise NotFoundException(f"Scope ARN: {boundary} does not exist or is not attachable.")

    def listed(original: Any) -> Any:
        def list_policies(
            self: IAMBackend, marker: str | None, max_items: int, only_attached: bool, path_prefix: str, scope: str
        ) -> Any:
            if only_attached or scope == "Local":
                return original(self, marker, max_items, only_attached, path_prefix, scope)
            with lock:
                known = set(self.managed_policies)
                try:
                    for policy in _all(self):
                        self.managed_policies.setdefault(policy.arn, policy)
                    return original(self, marker, max_items, only_attached, path_prefix, scope)
                finally:
                    for arn in self.managed_policies.keys() - known:
                        if self.managed_policies[arn].attachment_count == 0:
                            del self.managed_policies[arn]

        return list_policies

    for name in _NAMING:
        wrap(IAMBackend, name, known_first)
    wrap(IAMBackend, "create_role", bounded)
    wrap(IAMBackend, "put_role_permissions_boundary", bounding)
    wrap(IAMBackend, "list_policies", listed)


def know(backend: IAMBackend, arn: str) -> None:
    """Give moto the managed policy of that ARN, when AWS has one and moto does not."""
    match = _ARN.fullmatch(arn)
    if match is None or arn in backend.managed_policies:
        return
    data = _read(match["name"])
    if data is not None:
        policy = _policy(backend, match["name"], data)
        if policy.arn == arn:
            backend.managed_policies[arn] = policy


def _read(name: str) -> dict[str, Any] | None:
    """One policy of moto's text, without reading the rest of it."""
    start = aws_managed_policies_data.find(f"\n {json.dumps(name)}:{{")
    if start < 0:
        return None
    data, _end = json.JSONDecoder().raw_decode(aws_managed_policies_data, aws_managed_policies_data.index("{", start))
    return dict(data)


def _policy(backend: IAMBackend, name: str, data: dict[str, Any]) -> AWSManagedPolicy:
    return AWSManagedPolicy.from_data(name, backend.account_id, backend.region_name, data)


def _all(backend: IAMBackend) -> Iterator[AWSManagedPolicy]:
    for name, data in json.loads(aws_managed_policies_data).items():
        yield _policy(backend, name, data)
