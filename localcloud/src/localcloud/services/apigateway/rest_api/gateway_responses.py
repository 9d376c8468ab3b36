"""What a REST API answers by itself: its gateway responses, each of a type, with headers and a body of the owner's.

A type that is not customized is answered as ``DEFAULT_4XX`` or ``DEFAULT_5XX`` says, by its status, and otherwise by
``{"message": ...}``. Types and their status:
https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html. What headers and
bodies may refer to: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-gatewayResponse-definition.html.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from localcloud.core.http_server import HttpResponse

STATUS: Mapping[str, int | None] = {
    "ACCESS_DENIED": 403,
    "API_CONFIGURATION_ERROR": 500,
    "AUTHORIZER_CONFIGURATION_ERROR": 500,
    "AUTHORIZER_FAILURE": 500,
    "BAD_REQUEST_BODY": 400,
    "BAD_REQUEST_PARAMETERS": 400,
    "DEFAULT_4XX": None,
    "DEFAULT_5XX": None,
    "EXPIRED_TOKEN": 403,
    "INTEGRATION_FAILURE": 504,
    "INTEGRATION_TIMEOUT": 504,
    "INVALID_API_KEY": 403,
    "INVALID_SIGNATURE": 403,
    "MISSING_AUTHENTICATION_TOKEN": 403,
    "QUOTA_EXCEEDED": 429,
    "REQUEST_TOO_LARGE": 413,
    "RESOURCE_NOT_FOUND": 404,
    "THROTTLED": 429,
    "UNAUTHORIZED": 401,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "WAF_FILTERED": 403,
}
"""Every type of gateway response, with its status."""

_NAMES = (
    "accountId apiId domainName domainPrefix error.message error.messageString error.responseType "
    "extendedRequestId httpMethod identity.sourceIp identity.userAgent path protocol requestId requestTime "
    "requestTimeEpoch resourceId resourcePath stage"
)
CONTEXT = frozenset(_NAMES.split())
"""The ``$context`` variables that headers and bodies may refer to here."""

_HEADER = re.compile(r"gatewayresponse\.header\.([!#$%&'*+.^_`|~0-9A-Za-z-]+)")
_STATIC = re.compile(r"'([^'\r\n\0]*)'")
_OF_REQUEST = re.compile(r"method\.request\.(header|querystring|path)\.([A-Za-z0-9._$-]+)")
_OF_CONTEXT = re.compile(r"context\.([A-Za-z.]+)")
_REFERENCE = re.compile(r"\$(?:context\.([A-Za-z]+(?:\.[A-Za-z]+)*)|\S*)")
_DIRECTIVE = re.compile(r"#(?:#|\*|set|if|foreach|end|else|elseif|include|parse|macro|define|evaluate|stop|break)\b")


@dataclass(frozen=True)
class GatewayResponse:
    """How the owner of an API wants a type answered.

    Attributes
    ----------
    status : int or None
        Instead of the type's own.
    headers : mapping of str to str
        By header: a static value in single quotes, ``method.request.…`` or ``context.…``.
    template : str or None
        The body, with ``$context`` variables in it.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    template: str | None = None


class RefusedError(Exception):
    """API Gateway answers by itself.

    Attributes
    ----------
    kind : str
        The type of the gateway response.
    status : int
        Where the owner sets none.
    error : str
        The header ``x-amzn-ErrorType``.
    member : str
        What the message is called in the body, where the owner has no template.
    """

    def __init__(self, kind: str, status: int, error: str, message: str, *, member: str = "message") -> None:
        super().__init__(message)
        self.kind, self.status, self.error, self.message, self.member = kind, status, error, message, member


def answer(
    refused: RefusedError,
    responses: Mapping[str, GatewayResponse],
    context: Mapping[str, str],
    of_request: Callable[[str, str], str | None],
) -> HttpResponse:
    """The answer to a request that is refused.

    Parameters
    ----------
    responses : mapping of str to GatewayResponse
        The customized ones, by type.
    context : mapping of str to str
        Values of ``$context`` variables.
    of_request : callable
        The value of a header, a query parameter or a path parameter, by the kind and its name.
    """
    default = "DEFAULT_4XX" if refused.status < 500 else "DEFAULT_5XX"
    found = responses.get(refused.kind) or responses.get(default) or GatewayResponse()
    values = {
        **context,
        "error.message": refused.message,
        "error.messageString": json.dumps(refused.message),
        "error.responseType": refused.kind,
    }
    headers = [("Content-Type", "application/json"), ("x-amzn-ErrorType", refused.error)]
    for name, mapping in found.headers.items():
        value = _value(mapping, values, of_request)
        # A parameter of the query or the path may have been an encoded line break.
        if value is not None and not set(value) & {"\r", "\n", "\0"}:
            headers = [(key, old) for key, old in headers if key.lower() != name.lower()]
            headers.append((name, value))
    if found.template is None:
        body = json.dumps({refused.member: refused.message}, separators=(",", ":"))
    else:
        body = _REFERENCE.sub(lambda match: values.get(match[1] or "", ""), found.template)
    return HttpResponse(found.status or refused.status, body.encode(), tuple(headers))


def _value(mapping: str, context: Mapping[str, str], of_request: Callable[[str, str], str | None]) -> str | None:
    static, from_request, from_context = (pattern.fullmatch(mapping) for pattern in (_STATIC, _OF_REQUEST, _OF_CONTEXT))
    if static is not None:
        return static[1]
    if from_request is not None:
        return of_request(from_request[1], from_request[2])
    return context.get(from_context[1]) if from_context is not None else None


def problem_of(
    kind: object,
    parameters: Mapping[str, object] | None,
    templates: Mapping[str, object] | None,
    status: object = None,
) -> tuple[str, str] | None:
    """The first part of a gateway response that is not executed, and what is instead; None where there is none."""
    if kind not in STATUS:
        return "responseType", f"is {kind!r}: it must be one of {', '.join(sorted(STATUS))}"
    if status is not None and not re.fullmatch("[1-5][0-9][0-9]", str(status)):
        return "statusCode", f"is {status!r}: it must be a number from 100 to 599"
    for name, mapping in (parameters or {}).items():
        where = f"responseParameters.{name}"
        if _HEADER.fullmatch(name) is None:
            return where, "names no header: it must be gatewayresponse.header.NAME"
        text = str(mapping)
        of_context = _OF_CONTEXT.fullmatch(text)
        if of_context is not None and of_context[1] in CONTEXT:
            continue
        if _STATIC.fullmatch(text) is None and _OF_REQUEST.fullmatch(text) is None:
            return where, (
                f"is {text}: it must be a static value in single quotes, method.request.header.NAME, "
                "method.request.querystring.NAME, method.request.path.NAME or context.NAME"
            )
    for content_type, template in (templates or {}).items():
        where = f"responseTemplates.{content_type}"
        if content_type != "application/json":
            return where, "is not executed: write a template for application/json alone"
        text = str(template)
        directive = _DIRECTIVE.search(text)
        if directive is not None:
            return where, f"has {directive[0]}: only $context variables are filled in"
        unknown = next((found[0] for found in _REFERENCE.finditer(text) if found[1] not in CONTEXT), None)
        if unknown is not None:
            return where, f"refers to {unknown}; it may refer to $context.{', '.join(sorted(CONTEXT))}"
    return None


def gateway_response(
    status: object, parameters: Mapping[str, str] | None, templates: Mapping[str, str] | None
) -> GatewayResponse:
    """A gateway response of its parts as the API has them."""
    headers = {name.removeprefix("gatewayresponse.header."): value for name, value in (parameters or {}).items()}
    return GatewayResponse(int(str(status)) if status else None, headers, (templates or {}).get("application/json"))
