"""Credentials that a service of the local cloud gets by assuming a role, as the real service would."""

from __future__ import annotations

import threading
from typing import Any

from moto.sts.models import sts_backends

from localcloud.core.context import CloudContext
from localcloud.iam.identities import find_role, find_session
from localcloud.iam.policy import AccessRequest, Principal, decide_for_principal

_SESSION_SECONDS = 3600
_lock = threading.Lock()
_cache: dict[tuple[str, str, str], dict[str, str]] = {}


class RoleNotAssumableError(PermissionError):
    """A role whose trust policy does not name the service that wants to assume it."""


def check_trust(context: CloudContext, role_arn: str, service_principal: str, source_arn: str | None = None) -> None:
    """Check that a role exists and trusts a service.

    Parameters
    ----------
    role_arn : str
        The role to assume.
    service_principal : str
        Who assumes it, such as ``states.amazonaws.com``.
    source_arn : str, optional
        The resource in whose name, which conditions on ``aws:SourceArn`` are about; None for services that send none.

    Raises
    ------
    UnknownRoleError
        When there is no such role.
    RoleNotAssumableError
        When its trust policy does not allow the service to assume it.
    """
    role = find_role(context.account_id, role_arn)
    keys = {"aws:sourceaccount": (context.account_id,), **({"aws:sourcearn": (source_arn,)} if source_arn else {})}
    request = AccessRequest("sts:AssumeRole", "*", keys)
    decision = decide_for_principal(role.assume_role_policy_document, Principal(service=service_principal), request)
    if not decision.allowed:
        raise RoleNotAssumableError(
            f"{role_arn}: {service_principal} can't assume this role {decision.reason}; name the service as a"
            " principal of sts:AssumeRole in the role's trust policy"
        )


def role_credentials(
    context: CloudContext, role_arn: str, session_name: str, service_principal: str, source_arn: str | None = None
) -> dict[str, str]:
    """Keyword arguments for ``boto3.client`` (and :meth:`CloudContext.client`) under a role's session.

    Parameters
    ----------
    role_arn : str
        The role to assume.
    session_name : str
        Shown in the session's ARN. Sessions are kept per role, name and service.
    service_principal : str
        Who assumes it, such as ``lambda.amazonaws.com``.
    source_arn : str, optional
        The resource in whose name, as :func:`check_trust` has it.

    Returns
    -------
    dict
        ``aws_access_key_id``, ``aws_secret_access_key`` and ``aws_session_token``.

    Raises
    ------
    UnknownRoleError, RoleNotAssumableError
        As :func:`check_trust`, which is asked every time.
    """
    check_trust(context, role_arn, service_principal, source_arn)
    key = (role_arn, session_name, service_principal)
    with _lock:
        known = _cache.get(key)
        backend: Any = sts_backends[context.account_id]["aws"]  # it takes None, though its types do not say so
        if known is not None and find_session(context.account_id, known["aws_access_key_id"]):
            return dict(known)
        session = backend.assume_role(
            context.region,
            role_session_name=session_name[:64],
            role_arn=role_arn,
            policy=None,
            duration=_SESSION_SECONDS,
            external_id=None,
        )
        _cache[key] = {
            "aws_access_key_id": session.access_key_id,
            "aws_secret_access_key": session.secret_access_key,
            "aws_session_token": session.session_token,
        }
        return dict(_cache[key])
