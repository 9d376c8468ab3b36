"""IAM enforcement: every request to the local cloud is decided by :mod:`localcloud.iam.policy`.

The operator is allowed everything; every other request has to be signed with the credentials of a role
session, whose role's policies (inline, managed, boundary, session policy) are evaluated as they are at that
moment. There is no toggle. Whose request it is was verified before (:mod:`localcloud.aws_api`). Departures from AWS:
sessions do not expire; ``aws:SecureTransport`` is always true, since the local endpoint speaks http on the
loopback interface; DeleteObjects is refused as a whole when one of its keys is.
"""

from __future__ import annotations

import threading
from typing import Any

from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.errors import COMMON_ERROR_CODES
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.iam.access_control import PermissionResult
from moto.s3.exceptions import S3ClientError
from moto.s3.models import FakeBucket, s3_backends
from moto.s3.responses import S3Response
from werkzeug.exceptions import HTTPException

from localcloud.core.context import CloudContext
from localcloud.core.patching import replace
from localcloud.iam.calls import Access, UnclearRequestError
from localcloud.iam.identities import Session, UnknownRoleError, find_role, find_session, role_boundary, role_policies
from localcloud.iam.policy import AccessRequest, Decision, Principal, decide, decide_for_principal
from localcloud.iam.requests import accesses_of, settle_parameters
from localcloud.iam.signer import Signer, current_signer
from localcloud.services.s3.accesses import s3_accesses, settle_s3

_QUERY_PROTOCOL_CODES = {"sns": "AuthorizationError"}


class DeniedError(Exception):
    """A request that is not allowed: the error code and message of the answer."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class _DenialError(ServiceException):
    """A denial for moto's serializers; a class of this module, so that they look in no service of moto."""


def install(context: CloudContext) -> None:
    """Enforce policies on every call that moto's server handles."""
    for code in ("AccessDeniedException", "AuthorizationError", "UnrecognizedClientException"):
        # Errors every service has, though its model does not list them; moto warns of others.
        if code not in COMMON_ERROR_CODES:
            COMMON_ERROR_CODES.append(code)
    guard = Guard(context)

    def authorize(_original: Any) -> Any:
        def authorize_normal_action(self: BaseResponse, resource: str = "*") -> None:
            try:
                guard.check(self)
            except DeniedError as denied:
                raise _answer(self, denied) from denied

        return authorize_normal_action

    def authorize_s3(original: Any) -> Any:
        def respond(self: S3Response, request: Any, full_url: str) -> Any:
            try:
                guard.check_s3(self, request, full_url)
            except DeniedError as denied:
                raise S3ClientError(denied.code, str(denied)) from denied
            return original(self, request, full_url)

        return respond

    replace(ActionAuthenticatorMixin, "_authenticate_and_authorize_normal_action", authorize)
    replace(S3Response, "_bucket_response", authorize_s3)
    replace(S3Response, "_key_response", authorize_s3)
    # Both decisions of moto's own: S3 actions are decided above, bucket policies in the guard.
    replace(
        ActionAuthenticatorMixin,
        "_authenticate_and_authorize_s3_action",
        lambda _original: lambda self, bucket_name=None, key_name=None: None,
    )
    replace(
        FakeBucket,
        "get_permission",
        lambda _original: lambda self, action, resource: PermissionResult.NEUTRAL,
    )


def _answer(response: BaseResponse, denied: DeniedError) -> HTTPException:
    """The denial in the wire format of the service that was asked."""
    error = _DenialError(denied.code, str(denied))
    try:
        status, headers, body = response.serialized(ActionResult(error))
    except (AssertionError, NotImplementedError):
        # An operation or a content type that the service does not have: there is no format to answer in.
        status, headers, body = 403, {}, str(denied)
    if not 400 <= int(status) < 500:
        # The service's model lists no such error, as most do not: the status of the protocols.
        status = 400 if (response.headers.get("X-Amz-Target") or "") else 403
    response.response_headers.update(headers)
    exception = HTTPException(description=body)
    exception.code = int(status)
    return exception


class Guard:
    """Decides requests for one local cloud."""

    def __init__(self, context: CloudContext) -> None:
        self._context = context
        self._role_lock = threading.Lock()

    def check(self, response: BaseResponse) -> None:
        """Check a request of any service but S3.

        Raises
        ------
        DeniedError
            When it is not allowed.
        """
        signer = self._signer()
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
            accesses = accesses_of(response, scope, action, region, self._context.account_id)
        except UnclearRequestError as error:
            raise DeniedError("ValidationException", str(error)) from error
        for access in accesses:
            self.require(session, access, context, code)
        if scope == "sts" and action == "AssumeRole":
            self._require_trust(session, str(response._get_param("RoleArn")), context, code)

    def check_s3(self, response: S3Response, request: Any, full_url: str) -> None:
        """Check a request to S3, by identity and by bucket policy."""
        try:
            settle_s3(response, request)
        except UnclearRequestError as error:
            raise DeniedError("InvalidRequest", str(error)) from error
        signer = self._signer()
        if signer.access_key_id == self._context.operator.access_key_id:
            return
        session = self.session(signer.access_key_id, code="InvalidAccessKeyId")
        context = self.request_context(session, signer.region)
        bucket = response.parse_bucket_name_from_url(request, full_url)
        key = response.parse_key_name() if bucket else None
        for access in s3_accesses(response, request, bucket, key):
            self.require(session, access, context, "AccessDenied", bucket_policy=_bucket_policy(access, self._context))

    @staticmethod
    def _signer() -> Signer:
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
                return
            decisions.append(decision)
        shown = access.resources[0]
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
            return Decision(False, False, f"because its role is gone: {error}")
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
        return by_resource if by_resource.allowed else by_identity

    def _require_trust(self, session: Session, role_arn: str, context: dict[str, tuple[str, ...]], code: str) -> None:
        """A role has to trust the session, its role or the account, besides the session being allowed."""
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


def _bucket_policy(access: Access, context: CloudContext) -> str | None:
    name = access.resources[0].removeprefix("arn:aws:s3:::").split("/")[0]
    bucket = s3_backends[context.account_id]["aws"].buckets.get(name)
    if bucket is None or not bucket.policy:
        return None
    policy = bucket.policy
    return policy.decode() if isinstance(policy, bytes) else str(policy)
