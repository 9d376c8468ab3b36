"""Requests to S3 are decided by the identity's policies and the bucket's.

DeleteObjects is refused as a whole when one of its keys is.

Replaces: moto's two decisions: the one on S3's actions, which is off unless switched on, and the one on bucket
    policies.
Why: the first knows no conditions, the second knows principals by their name only.
Obsolete: once moto reads both as AWS does.
"""

from __future__ import annotations

from typing import Any

from moto.core.authorization import ActionAuthenticatorMixin
from moto.iam.access_control import PermissionResult
from moto.s3.exceptions import S3ClientError
from moto.s3.models import FakeBucket, s3_backends
from moto.s3.responses import S3Response

from localcloud.core.context import CloudContext
from localcloud.core.patching import replace, wrap
from localcloud.iam.calls import Access, UnclearRequestError
from localcloud.iam.guard import DeniedError, Guard
from localcloud.services.s3.accesses import s3_accesses, settle_s3


def install(context: CloudContext) -> None:
    """Enforce policies on every request to S3."""
    guard = Guard(context)

    def authorized(original: Any) -> Any:
        def respond(self: S3Response, request: Any, full_url: str) -> Any:
            try:
                _check(guard, context, self, request, full_url)
            except DeniedError as denied:
                raise S3ClientError(denied.code, str(denied)) from denied
            return original(self, request, full_url)

        return respond

    wrap(S3Response, "_bucket_response", authorized)
    wrap(S3Response, "_key_response", authorized)
    replace(ActionAuthenticatorMixin, "_authenticate_and_authorize_s3_action", _decided_already)
    replace(FakeBucket, "get_permission", lambda self, action, resource: PermissionResult.NEUTRAL)


def _decided_already(self: S3Response, bucket_name: str | None = None, key_name: str | None = None) -> None:
    """Decide nothing."""


def _check(guard: Guard, context: CloudContext, response: S3Response, request: Any, full_url: str) -> None:
    try:
        settle_s3(response, request)
    except UnclearRequestError as error:
        raise DeniedError("InvalidRequest", str(error)) from error
    signer = guard.signer()
    if signer.access_key_id == context.operator.access_key_id:
        return
    session = guard.session(signer.access_key_id, code="InvalidAccessKeyId")
    conditions = guard.request_context(session, signer.region)
    bucket = response.parse_bucket_name_from_url(request, full_url)
    key = response.parse_key_name() if bucket else None
    for access in s3_accesses(response, request, bucket, key):
        guard.require(session, access, conditions, "AccessDenied", bucket_policy=_bucket_policy(access, context))


def _bucket_policy(access: Access, context: CloudContext) -> str | None:
    name = access.resources[0].removeprefix("arn:aws:s3:::").split("/")[0]
    bucket = s3_backends[context.account_id]["aws"].buckets.get(name)
    if bucket is None or not bucket.policy:
        return None
    policy = bucket.policy
    return policy.decode() if isinstance(policy, bytes) else str(policy)
