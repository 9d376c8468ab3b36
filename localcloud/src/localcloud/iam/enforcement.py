"""IAM enforcement: moto asks the guard before it answers.

There is no toggle here. Departures from AWS: sessions do not expire; ``aws:SecureTransport`` is always true, since the
local endpoint speaks http on the loopback interface.

Replaces: moto's own authorization, which is off unless switched on.
Why: it knows users and roles but no boundary, session or resource policy, and reads no condition keys.
Obsolete: once moto evaluates policies as the service authorization reference has them.
"""

from __future__ import annotations

from collections.abc import Mapping

from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.errors import COMMON_ERROR_CODES
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from werkzeug.exceptions import HTTPException

from localcloud.core.context import CloudContext
from localcloud.core.patching import replace
from localcloud.iam.calls import Needs
from localcloud.iam.guard import DeniedError, Guard


class _DenialError(ServiceException):
    """A denial for moto's serializers; a class of this module, so that they look in no service of moto."""


def install(context: CloudContext, needs: Mapping[str, Needs]) -> None:
    """Enforce policies on every call that moto's server handles.

    Parameters
    ----------
    needs : mapping
        What requests need to be allowed, of each service by what they are signed for.
    """
    for code in ("AccessDenied", "AccessDeniedException", "AuthorizationError", "UnrecognizedClientException"):
        # Errors every service has, though its model does not list them; moto warns of others.
        if code not in COMMON_ERROR_CODES:
            COMMON_ERROR_CODES.append(code)
    guard = Guard(context, needs)

    def authorize_normal_action(self: BaseResponse, resource: str = "*") -> None:
        try:
            guard.check(self)
        except DeniedError as denied:
            raise _answer(self, denied) from denied

    replace(ActionAuthenticatorMixin, "_authenticate_and_authorize_normal_action", authorize_normal_action)


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
    exception = HTTPException(description=body.decode() if isinstance(body, bytes) else body)
    exception.code = int(status)
    return exception
