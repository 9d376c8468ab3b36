"""What IAM refuses for its size: policies.

Replaces: lengths and sizes that moto takes and the API's description or quota rules out (published as of November
    2026).
Why: an application that goes past them works here and fails on AWS.
Obsolete: once moto holds requests to the service's own description and quotas.
"""

from __future__ import annotations

from typing import Any

from moto.iam.exceptions import LimitExceededException
from moto.iam.models import IAMBackend

from localcloud.core.context import CloudContext
from localcloud.core.patching import wrap

LARGEST_ROLE_POLICIES = 10_240
LARGEST_MANAGED_POLICY = 6_144


def install(_context: CloudContext) -> None:
    """Refuse what is too large."""
    wrap(IAMBackend, "put_role_policy", _limited_role)
    wrap(IAMBackend, "create_policy", _limited_policy)


def _limited_role(original: Any) -> Any:
    def put_role_policy(self: IAMBackend, role_name: str, policy_name: str, policy_json: str) -> None:
        others = [text for name, text in self.get_role(role_name).policies.items() if name != policy_name]
        if sum(map(_without_space, [*others, policy_json])) > LARGEST_ROLE_POLICIES:
            raise LimitExceededException(
                f"Maximum policy size of {LARGEST_ROLE_POLICIES} bytes exceeded for role {role_name}"
            )
        original(self, role_name, policy_name, policy_json)

    return put_role_policy


def _limited_policy(original: Any) -> Any:
    def create_policy(
        self: IAMBackend, description: str, path: str, policy_document: str, policy_name: str, tags: Any
    ) -> Any:
        if _without_space(policy_document) > LARGEST_MANAGED_POLICY:
            raise LimitExceededException(f"Cannot exceed quota for PolicySize: {LARGEST_MANAGED_POLICY}")
        return original(self, description, path, policy_document, policy_name, tags)

    return create_policy


def _without_space(policy: str) -> int:
    """IAM counts no white space."""
    return len("".join(policy.split()))
