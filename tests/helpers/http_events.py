"""Events as an HTTP API sends them to a function (payload format 2.0), and a REST API (1.0)."""

from __future__ import annotations

import base64
import json
from typing import Any

EPOCH_MS = 1362114000007
"""2013-03-01T05:00:00.007Z."""


def http_event(
    document: Any,
    *,
    path: str,
    in_base64: bool = False,
    request_id: str = "req-1",
    headers: dict[str, str] | None = None,
    method: str = "POST",
    proxy: str | None = None,
) -> dict[str, Any]:
    """A request with ``document``; text is sent as it is, and bytes as a gateway sends what is no text.

    With ``proxy`` it came by the greedy route below ``path``.
    """
    in_base64 = in_base64 or isinstance(document, bytes)
    body = document if isinstance(document, str | bytes) else json.dumps(document)
    raw = body.encode() if isinstance(body, str) else body
    return {
        "version": "2.0",
        "routeKey": f"POST {path}" if proxy is None else f"ANY {path}/{{proxy+}}",
        "rawPath": path if proxy is None else f"{path}/{proxy}",
        **({} if proxy is None else {"pathParameters": {"proxy": proxy}}),
        "headers": {"content-type": "application/json", **(headers or {})},
        "requestContext": {
            "requestId": request_id,
            "timeEpoch": EPOCH_MS,
            "http": {"method": method, "path": path},
        },
        "body": base64.b64encode(raw).decode() if in_base64 else body,
        "isBase64Encoded": in_base64,
    }


def rest_event(document: Any, **options: Any) -> dict[str, Any]:
    """The same request as a model's REST API sends it; the arguments are those of :func:`http_event`."""
    return as_rest(http_event(document, **options))


def as_rest(event: dict[str, Any]) -> dict[str, Any]:
    """What a REST API sends of the request in an event of format 2.0.

    Predictions come by the route that takes all, all bodies are in base64, headers are as a caller wrote them, and the
    id that a caller may choose is another one.
    """
    context, body = event["requestContext"], event.get("body")
    method, path = context["http"]["method"], event["rawPath"]
    at = "/".join(path.split("/")[:3])
    proxy = path.removeprefix(f"{at}/")
    is_label = proxy == "labels"
    if body is not None and not event["isBase64Encoded"]:
        body = base64.b64encode(body.encode("utf-8", "surrogatepass")).decode()
    headers = {name.title(): value for name, value in event["headers"].items()}
    return {
        "resource": path if is_label else f"{at}/{{proxy+}}",
        "path": path,
        "httpMethod": method,
        "headers": headers or None,
        "multiValueHeaders": {name: [value] for name, value in headers.items()} or None,
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None if is_label else {"proxy": proxy},
        "stageVariables": None,
        "requestContext": {
            "resourceId": "r1",
            "resourcePath": path if is_label else f"{at}/{{proxy+}}",
            "httpMethod": method,
            "extendedRequestId": context["requestId"],
            "requestId": "a-caller-chose-it",
            "requestTime": "01/Mar/2013:05:00:00 +0000",
            "requestTimeEpoch": context["timeEpoch"],
            "path": f"/live{path}",
            "stage": "live",
            "protocol": "HTTP/1.1",
            "apiId": "api",
        },
        "body": body,
        "isBase64Encoded": body is not None,
    }
