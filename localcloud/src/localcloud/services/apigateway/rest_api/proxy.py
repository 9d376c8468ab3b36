"""Format 1.0 of Lambda proxy integrations: a request as an event, and a function's result as a response.

Sources: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html, and of
binary bodies https://docs.aws.amazon.com/apigateway/latest/developerguide/lambda-proxy-binary-media.html.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qsl

from localcloud.core.http_server import HEADER_NAME, HttpRequest, HttpResponse
from localcloud.core.json_text import read_json
from localcloud.services.apigateway.caller import Caller

_NOT_PASSED = frozenset({"connection", "content-length", "expect", "transfer-encoding"})
_MEMBERS = frozenset({"body", "headers", "isBase64Encoded", "multiValueHeaders", "statusCode"})
_IDENTITY = (
    "accessKey accountId apiKey apiKeyId caller cognitoAuthenticationProvider cognitoAuthenticationType "
    "cognitoIdentityId cognitoIdentityPoolId principalOrgId sourceIp user userAgent userArn"
)


@dataclass(frozen=True)
class Arrival:
    """All that the event says besides the request itself.

    Attributes
    ----------
    path : str
        Without the stage, encoded as it arrived.
    """

    resource_id: str
    resource_path: str
    path: str
    path_parameters: Mapping[str, str]
    stage: str
    stage_variables: Mapping[str, str]
    deployment_id: str
    api_id: str
    account_id: str
    request_id: str
    extended_request_id: str
    trace_id: str
    at: datetime
    domain: str
    caller: Caller | None = None


def event_of(request: HttpRequest, arrival: Arrival, binary_media_types: Sequence[str]) -> dict[str, Any]:
    """The event that the function gets."""
    headers = _headers(request, arrival)
    query = parse_qsl(request.query, keep_blank_values=True)
    body, is_base64 = _body(request, binary_media_types)
    return {
        "resource": arrival.resource_path,
        "path": arrival.path,
        "httpMethod": request.method,
        "headers": _last(headers),
        "multiValueHeaders": _all(headers),
        "queryStringParameters": _last(query) or None,
        "multiValueQueryStringParameters": _all(query) or None,
        "pathParameters": dict(arrival.path_parameters) or None,
        "stageVariables": dict(arrival.stage_variables) or None,
        "requestContext": _context(request, arrival),
        "body": body,
        "isBase64Encoded": is_base64,
    }


def _context(request: HttpRequest, arrival: Arrival) -> dict[str, Any]:
    identity = dict.fromkeys(_IDENTITY.split()) | {"sourceIp": request.peer, "userAgent": request.header("User-Agent")}
    if arrival.caller is not None:
        caller = arrival.caller
        identity |= {
            "accessKey": caller.access_key,
            "accountId": caller.account_id,
            "caller": caller.caller_id,
            "user": caller.user_id,
            "userArn": caller.user_arn,
        }
    at = arrival.at.astimezone(UTC)
    return {
        "resourceId": arrival.resource_id,
        "resourcePath": arrival.resource_path,
        "httpMethod": request.method,
        "extendedRequestId": arrival.extended_request_id,
        "requestTime": at.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "path": request.path,
        "accountId": arrival.account_id,
        "protocol": "HTTP/1.1",
        "stage": arrival.stage,
        "domainPrefix": arrival.domain.split(".")[0],
        "requestTimeEpoch": int(at.timestamp() * 1000),
        "requestId": arrival.request_id,
        "identity": identity,
        "domainName": arrival.domain,
        "deploymentId": arrival.deployment_id,
        "apiId": arrival.api_id,
    }


def _headers(request: HttpRequest, arrival: Arrival) -> list[tuple[str, str]]:
    headers = [(name, value) for name, value in request.headers if name.lower() not in _NOT_PASSED]
    given = {name.lower() for name, _ in headers}
    added = (("X-Amzn-Trace-Id", arrival.trace_id), ("X-Forwarded-For", request.peer), ("X-Forwarded-Proto", "http"))
    return [*headers, *((name, value) for name, value in added if name.lower() not in given)]


def _last(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    return dict(pairs)


def _all(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def _body(request: HttpRequest, binary_media_types: Sequence[str]) -> tuple[str | None, bool]:
    if not request.body:
        return None, False
    if is_binary(request.header("Content-Type") or "application/json", binary_media_types):
        return base64.b64encode(request.body).decode(), True
    return request.body.decode(errors="replace"), False


def is_binary(media_type: str | None, binary_media_types: Sequence[str]) -> bool:
    """Whether a media type, without its parameters, is one of those that are binary; ``*`` stands for any part."""
    plain = (media_type or "").partition(";")[0].strip().lower()
    return any(known == "*/*" or (plain and fnmatchcase(plain, known.lower())) for known in binary_media_types)


class BadResultError(ValueError):
    """The function's result is no response; AWS answers 502."""


class BadEncodingError(ValueError):
    """A body that should be base64 is not; AWS answers 500."""


def response_of(payload: bytes, accept: str | None, binary_media_types: Sequence[str]) -> HttpResponse:
    """The response that a function's result stands for.

    Parameters
    ----------
    accept : str or None
        The request's header; its first media type decides whether a body in base64 is decoded.

    Raises
    ------
    BadResultError
        When it has another member, or one of another type, than AWS takes.
    BadEncodingError
    """
    try:
        result = read_json(payload)
    except ValueError as error:
        raise BadResultError(f"it is no JSON: {error}") from error
    if not isinstance(result, dict):
        raise BadResultError("it is no object")
    unknown = sorted(set(result) - _MEMBERS)
    if unknown:
        raise BadResultError(f"it has {unknown[0]}; it may have {', '.join(sorted(_MEMBERS))}")
    status, headers = _status(result.get("statusCode")), _response_headers(result)
    body = result.get("body")
    if body is not None and not isinstance(body, str):
        raise BadResultError("body is not a string")
    content = (body or "").encode()
    if result.get("isBase64Encoded") and is_binary((accept or "").partition(",")[0], binary_media_types):
        try:
            content = base64.b64decode(body or "", validate=True)
        except ValueError as error:
            raise BadEncodingError("body is not base64 as isBase64Encoded says") from error
    return HttpResponse(status, content, headers)


def _status(value: object) -> int:
    if value is None:
        return 200
    try:
        status = int(str(value))
    except ValueError:
        raise BadResultError(f"statusCode is {value!r}") from None
    if not 100 <= status <= 599:
        raise BadResultError(f"statusCode is {value!r}")
    return status


def _response_headers(result: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    single, multiple = result.get("headers") or {}, result.get("multiValueHeaders") or {}
    if not isinstance(single, dict) or not isinstance(multiple, dict):
        raise BadResultError("headers and multiValueHeaders must be objects")
    if not all(isinstance(values, list) for values in multiple.values()):
        raise BadResultError("a value of multiValueHeaders is no list")
    pairs = [(name, value) for name, values in multiple.items() for value in values]
    # A header that is in both has the values of the list, and the single one where the list lacks it.
    pairs += [(name, value) for name, value in single.items() if value not in multiple.get(name, ())]
    headers = [(_sent_name(name), _header_value(value)) for name, value in pairs]
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    return tuple(headers)


_NAMES = (
    "authorization connection content-length content-md5 date expect host max-forwards proxy-authenticate server "
    "trailer upgrade user-agent www-authenticate"
)
REMAPPED = frozenset(_NAMES.split())
"""Headers of a function's response that reach the client under another name
(https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html)."""


def _sent_name(name: str) -> str:
    if not HEADER_NAME.fullmatch(name):
        raise BadResultError("a header's name has characters that no name may have")
    return f"x-amzn-Remapped-{name}" if name.lower() in REMAPPED else name


def _header_value(value: object) -> str:
    if not isinstance(value, str | bool):
        raise BadResultError(f"a header's value is {value!r}, which is neither text nor a boolean")
    text = str(value).lower() if isinstance(value, bool) else value
    if "\r" in text or "\n" in text:
        raise BadResultError("a header has a line break")
    return text
