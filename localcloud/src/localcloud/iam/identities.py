"""Who signed a request: role sessions of moto's STS, and the policies their roles carry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from localcloud.core.context import CloudContext
from localcloud.iam.signatures import Secret


class UnknownRoleError(LookupError):
    """A role that does not exist; the message names it and what to do."""


@dataclass(frozen=True)
class Session:
    """A session of an assumed role.

    Attributes
    ----------
    access_key_id : str
        What its requests are signed with.
    arn, role_arn, role_id, name : str
        The session's own ARN, its role's ARN and id, and the session's name.
    session_policy : str or None
        The policy passed to AssumeRole, which can only take rights away.
    secret_access_key, session_token : str
        What its requests are signed with, and carry.
    """

    access_key_id: str
    arn: str
    role_arn: str
    role_id: str
    name: str
    session_policy: str | None
    secret_access_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)


class _SessionIndex:
    """Sessions by access key, for as long as moto keeps the list they are in (a reset starts a new one)."""

    def __init__(self) -> None:
        self.source: list[Any] | None = None
        self.by_key: dict[str, Session] = {}

    def of(self, assumed_roles: list[Any]) -> dict[str, Session]:
        if assumed_roles is not self.source:
            self.source, self.by_key = assumed_roles, {}
        return self.by_key


_index = _SessionIndex()


def find_session(account_id: str, access_key_id: str) -> Session | None:
    """The session that owns an access key, or None. Sessions do not expire in the local cloud."""
    assumed_roles = sts_backends[account_id]["aws"].assumed_roles
    sessions = _index.of(assumed_roles)
    if access_key_id in sessions:
        return sessions[access_key_id]
    for assumed in reversed(assumed_roles):
        if assumed.access_key_id == access_key_id:
            session = Session(
                access_key_id=access_key_id,
                arn=assumed.arn,
                role_arn=assumed.role_arn,
                role_id=assumed.user_id.split(":")[0],
                name=assumed.session_name,
                session_policy=assumed.policy or None,
                secret_access_key=assumed.secret_access_key,
                session_token=assumed.session_token,
            )
            sessions[access_key_id] = session
            return session
    return None


def secrets_of(context: CloudContext) -> Callable[[str], Secret | None]:
    """Access key id → what its requests are signed with: the operator's and those of role sessions."""
    operator = context.operator
    own = Secret(operator.secret_access_key)

    def secret_of(access_key_id: str) -> Secret | None:
        if access_key_id == operator.access_key_id:
            return own
        session = find_session(context.account_id, access_key_id)
        return Secret(session.secret_access_key, session.session_token) if session else None

    return secret_of


def find_role(account_id: str, role_arn: str) -> Any:
    """Moto's record of a role.

    Raises
    ------
    UnknownRoleError
        When there is no such role.
    """
    roles = iam_backends[account_id]["aws"].roles
    for role in list(roles.values()):
        if role.arn == role_arn:
            return role
    raise UnknownRoleError(f"{role_arn}: there is no such role in account {account_id}; create it first")


def role_policies(role: Any) -> tuple[str, ...]:
    """The documents of a role's inline and managed policies, as they are now."""
    managed = (_default_document(policy) for policy in list(role.managed_policies.values()))
    return (*list(role.policies.values()), *managed)


def role_boundary(account_id: str, role: Any) -> str | None:
    """The document of a role's permissions boundary, or None."""
    if not role.permissions_boundary_arn:
        return None
    policy = iam_backends[account_id]["aws"].managed_policies[role.permissions_boundary_arn]
    return _default_document(policy)


def _default_document(policy: Any) -> str:
    return str(next(version.document for version in policy.versions if version.is_default))
