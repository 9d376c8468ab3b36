"""Payload format 2.0 of HTTP APIs: a request as an event, and a function's result as a response."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

from localcloud.core.http_server import HEADER_NAME, HttpRequest, HttpResponse
from localcloud.core.json_text import read_json
from localcloud.services.apigateway.caller import Caller
from localcloud.services.apigateway.http_api.tokens import Token, claims_as_text

_TEXT_TYPES = ("text/", "application/json", "application/javascript", "application/xml", "application/graphql")
_JSON = ("Content-Type", "application/json")


@dataclass(frozen=True)
class Arrival:
    """All that the event says besides the request itself."""

    route_key: str
    path_parameters: Mapping[str, str]
    path: str
    stage: str
    stage_variables: Mapping[str, str]
    api_id: str
    account_id: str
    request_id: str
    at: datetime
    domain: str
    caller: Caller | None
    token: Token | None = None


def event_of(request: HttpRequest, arrival: Arrival) -> dict[str, Any]:
    """The event that the integration gets."""
    headers, cookies = _headers(request)
    milliseconds = int(arrival.at.timestamp() * 1000)
    context: dict[str, Any] = {
        "accountId": arrival.account_id,
        "apiId": arrival.api_id,
        "domainName": arrival.domain,
        "domainPrefix": arrival.domain.split(".")[0],
        "http": {
            "method": request.method,
            "path": arrival.path,
            "protocol": "HTTP/1.1",
            "sourceIp": request.peer,
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": arrival.request_id,
        "routeKey": arrival.route_key,
        "stage": arrival.stage,
        "time": arrival.at.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": milliseconds,
    }
    if arrival.caller is not None:
        context["authorizer"] = {"iam": _iam(arrival.caller)}
    if arrival.token is not None:
        scopes = list(arrival.token.scopes) or None
        context["authorizer"] = {"jwt": {"claims": claims_as_text(arrival.token.claims), "scopes": scopes}}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": arrival.route_key,
        "rawPath": unquote(arrival.path),
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": context,
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = cookies
    parameters = _query_parameters(request.query)
    if parameters:
        event["queryStringParameters"] = parameters
    if arrival.path_parameters:
        event["pathParameters"] = dict(arrival.path_parameters)
    if arrival.stage_variables:
        event["stageVariables"] = dict(arrival.stage_variables)
    if request.body:
        event["body"], event["isBase64Encoded"] = _body(request.body, headers)
    return event


def _iam(caller: Caller) -> dict[str, Any]:
    return {
        "accessKey": caller.access_key,
        "accountId": caller.account_id,
        "callerId": caller.caller_id,
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": caller.user_arn,
        "userId": caller.user_id,
    }


def _headers(request: HttpRequest) -> tuple[dict[str, str], list[str]]:
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in request.headers:
        lowered = name.lower()
        if lowered == "cookie":
            cookies += [cookie.strip() for cookie in value.split(";")]
        elif lowered not in ("connection", "transfer-encoding", "expect"):
            headers[lowered] = f"{headers[lowered]},{value}" if lowered in headers else value
    headers["content-length"] = str(len(request.body))
    headers.setdefault("x-forwarded-for", request.peer)
    headers.setdefault("x-forwarded-proto", "http")
    return headers, cookies


def _query_parameters(query: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    return parameters


def _body(body: bytes, headers: Mapping[str, str]) -> tuple[str, bool]:
    content_type = headers.get("content-type", "text/plain").lower()
    is_text = content_type.startswith(_TEXT_TYPES) or content_type.split(";")[0].endswith(("+json", "+xml"))
    if is_text and "content-encoding" not in headers:
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode(), True


class BadResultError(ValueError):
    """The function's result is not a response; AWS answers 500."""


def response_of(payload: bytes) -> HttpResponse:
    """The response that a function's result stands for.

    Raises
    ------
    BadResultError
        When status code, headers or body have a type that AWS does not take.
    """
    try:
        result = read_json(payload)
    except ValueError:
        return HttpResponse(200, payload, (_JSON,))
    if not isinstance(result, dict) or "statusCode" not in result:
        body = result.encode() if isinstance(result, str) else payload
        return HttpResponse(200, body, (_JSON,))
    status = _status(result["statusCode"])
    headers = _response_headers(result)
    return HttpResponse(status, _response_body(result), headers)


def _status(value: object) -> int:
    try:
        status = int(str(value))
    except ValueError:
        raise BadResultError(f"statusCode is {value!r}") from None
    if not 100 <= status <= 599:
        raise BadResultError(f"statusCode is {value!r}")
    return status


def _response_headers(result: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    given = result.get("headers") or {}
    if not isinstance(given, dict):
        raise BadResultError("headers is not an object")
    if any(not HEADER_NAME.fullmatch(name) for name in given):
        raise BadResultError("a header's name has characters that no name may have")
    headers = [(name, _header_value(value)) for name, value in given.items()]
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "text/plain;charset=UTF-8"))
    return (*headers, *(("Set-Cookie", _header_value(cookie)) for cookie in result.get("cookies") or ()))


def _header_value(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if "\r" in text or "\n" in text:
        raise BadResultError("a header has a line break")
    return text


def _response_body(result: Mapping[str, Any]) -> bytes:
    body = result.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise BadResultError("body is not a string")
    if not result.get("isBase64Encoded"):
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:
        raise BadResultError("body is not base64 as isBase64Encoded says") from None
