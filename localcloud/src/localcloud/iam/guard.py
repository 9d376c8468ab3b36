"""Decides whether a request is allowed, by :mod:`localcloud.iam.policy` and the policies as they are at that moment.

The operator is allowed everything; every other request must be signed with the credentials of a role
session, whose role's policies (inline, managed, boundary, session policy) are evaluated. Whose request it is was
verified before, where it arrived.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace

from moto.core.responses import BaseResponse

from localcloud.core.context import CloudContext
from localcloud.iam.calls import Access, Needs, UnclearRequestError
from localcloud.iam.identities import Session, UnknownRoleError, find_role, find_session, role_boundary, role_policies
from localcloud.iam.policy import AccessRequest, Decision, Principal, decide, decide_for_principal
from localcloud.iam.requests import accesses_of, settle_parameters
from localcloud.iam.signer import Signer, current_signer
from localcloud.iam.usage import BY_RESOURCE, usage_of

_QUERY_PROTOCOL_CODES = {"sns": "AuthorizationError"}


class DeniedError(Exception):
    """A request that is not allowed: the error code and message of the answer."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Guard:
    """Decides requests for one local cloud.

    Parameters
    ----------
    needs : mapping, optional
        What requests need to be allowed, of each service by what they are signed for.
    """

    def __init__(self, context: CloudContext, needs: Mapping[str, Needs] | None = None) -> None:
        self._context = context
        self._needs = needs or {}
        self._role_lock = threading.Lock()
        self._usage = usage_of(context)

    def check(self, response: BaseResponse) -> None:
        """Check a request of any service but S3.

        Raises
        ------
        DeniedError
            When it is not allowed.
        """
        signer = self.signer()
        region, scope = signer.region, signer.service
        try:
            settle_parameters(response, region)
        except UnclearRequestError as error:
            raise DeniedError("ValidationException", str(error)) from error
        if signer.access_key_id == self._context.operator.access_key_id:
            return
        action = response._get_action()
        if scope == "sts" and action == "GetCallerIdentity":
            return
        is_query = _speaks_query(response)
        code = _QUERY_PROTOCOL_CODES.get(scope, "AccessDenied" if is_query else "AccessDeniedException")
        session = self.session(signer.access_key_id)
        context = self.request_context(session, region)
        try:
            accesses = accesses_of(response, scope, action, region, self._context.account_id, self._needs)
        except UnclearRequestError as error:
            raise DeniedError("ValidationException", str(error)) from error
        for access in accesses:
            self.require(session, access, context, code)
        if scope == "sts" and action == "AssumeRole":
            self._require_trust(session, str(response._get_param("RoleArn")), context, code)

    @staticmethod
    def signer() -> Signer:
        """Who signed the request in hand.

        Raises
        ------
        DeniedError
            When nobody did.
        """
        signer = current_signer()
        if signer is None:
            raise DeniedError("AccessDenied", "the request is not signed: anonymous access is not allowed")
        return signer

    def session(self, access_key: str | None, code: str = "UnrecognizedClientException") -> Session:
        """The session that owns an access key.

        Raises
        ------
        DeniedError
            With ``code`` when nobody has it.
        """
        session = find_session(self._context.account_id, access_key) if access_key else None
        if session is None:
            raise DeniedError(code, "The security token included in the request is invalid.")
        return session

    def request_context(self, session: Session, region: str) -> dict[str, tuple[str, ...]]:
        """The global condition keys of a session's request."""
        return {
            "aws:requestedregion": (region,),
            "aws:principalarn": (session.role_arn,),
            "aws:principalaccount": (self._context.account_id,),
            "aws:principaltype": ("AssumedRole",),
            "aws:userid": (f"{session.role_id}:{session.name}",),
            "aws:resourceaccount": (self._context.account_id,),
            "aws:securetransport": ("true",),
            "aws:sourceip": ("127.0.0.1",),
            "aws:viaawsservice": ("false",),
            "aws:currenttime": (self._context.clock.now().isoformat(),),
        }

    def require(
        self,
        session: Session,
        access: Access,
        context: dict[str, tuple[str, ...]],
        code: str,
        bucket_policy: str | None = None,
    ) -> None:
        """Check one access.

        Raises
        ------
        DeniedError
            With ``code`` when it is not allowed on any of the resource's spellings.
        """
        full_context = {**context, **access.context}
        decisions = []
        for resource in access.resources:
            request = AccessRequest(access.action, resource, full_context)
            decision = self.decide(session, request, bucket_policy)
            if decision.allowed:
                self._usage.note(session.role_arn, access.action, decision.by, resource, session.name)
                return
            decisions.append(decision)
        shown = access.resources[0]
        self._usage.note_denied(session.role_arn, access.action, shown, session.name)
        raise DeniedError(
            code,
            f"User: {session.arn} is not authorized to perform: {access.action} on resource: {shown} "
            f"{decisions[0].reason}",
        )

    def decide(self, session: Session, request: AccessRequest, resource_policy: str | None) -> Decision:
        """What the session's role, its limits and a resource's policy say together."""
        try:
            role = find_role(self._context.account_id, session.role_arn)
        except UnknownRoleError as error:
            return Decision(False, False, f"because its role no longer exists: {error}")
        by_resource = Decision(False, False, "")
        if resource_policy:
            by_resource = decide_for_principal(resource_policy, Principal(arns=self._names(session)), request)
            if by_resource.explicit_deny:
                return by_resource
        by_identity = decide(role_policies(role), request)
        if by_identity.explicit_deny:
            return by_identity
        boundary = role_boundary(self._context.account_id, role)
        for limit in filter(None, (boundary, session.session_policy)):
            limited = decide((limit,), request)
            if not limited.allowed:
                return Decision(False, limited.explicit_deny, "because a boundary or session policy does not allow it")
        if by_resource.allowed:
            return replace(by_resource, by=(BY_RESOURCE, *by_identity.by))
        return by_identity

    def _require_trust(self, session: Session, role_arn: str, context: dict[str, tuple[str, ...]], code: str) -> None:
        """A role must trust the session, its role or the account, besides the session being allowed."""
        request = AccessRequest("sts:AssumeRole", role_arn, context)
        names = (*self._names(session), f"arn:aws:iam::{self._context.account_id}:root", self._context.account_id)
        try:
            role = find_role(self._context.account_id, role_arn)
            decision = decide_for_principal(role.assume_role_policy_document, Principal(arns=names), request)
        except UnknownRoleError as error:
            decision = Decision(False, False, str(error))
        if not decision.allowed:
            raise DeniedError(
                code,
                f"User: {session.arn} is not authorized to perform: sts:AssumeRole on resource: {role_arn} "
                f"{decision.reason}",
            )

    @staticmethod
    def _names(session: Session) -> tuple[str, ...]:
        return (session.role_arn, session.arn)


def _speaks_query(response: BaseResponse) -> bool:
    content_type = response.headers.get("Content-Type") or ""
    return content_type.startswith("application/x-www-form-urlencoded")
