"""A REST API's request in the form in which an HTTP API sends one, so that functions read one form alone.

Sources: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html (format 1.0)
and https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html (2.0).
"""

from __future__ import annotations

from binascii import Error, a2b_base64
from collections.abc import Mapping
from typing import Any

from everloop.serving.exchange import JSON


def as_http_event(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event of a REST API's request (payload format 1.0) as one of format 2.0, as far as functions read it.

    Only events of format 1.0 have ``httpMethod``: who hands them on asks by that, and events of 2.0 cost nothing.

    The request's id is the extended one: the other is whatever a caller sends as ``x-amzn-RequestId``, and predictions
    are named after it. A REST API sends all bodies in base64; one of plain JSON becomes text again, as an HTTP API
    sends it. What no caller can say is left out: that a request is not to be captured.
    """
    context, method, headers = event["requestContext"], event["httpMethod"], _headers(event)
    body, is_base64 = event.get("body"), bool(event.get("isBase64Encoded"))
    if body and is_base64 and headers.get("content-type", JSON) == JSON and "content-encoding" not in headers:
        text = _text(body)
        if text is not None:
            body, is_base64 = text, False
    return {
        "version": "2.0",
        "routeKey": f"{method} {event['resource']}",
        "pathParameters": event.get("pathParameters"),
        "headers": headers,
        "requestContext": {
            "requestId": context["extendedRequestId"],
            "timeEpoch": context["requestTimeEpoch"],
            "http": {"method": method},
        },
        "body": body,
        "isBase64Encoded": is_base64,
    }


def _text(base64: str) -> str | None:
    """What base64 holds, where that is text; what else it is, is for who reads the body to say."""
    try:
        return a2b_base64(base64).decode()
    except (Error, ValueError):
        return None


def _headers(event: Mapping[str, Any]) -> dict[str, str]:
    """By names in lower case; the values of one that came several times stand in one, with commas."""
    several = event.get("multiValueHeaders")
    if several:
        return {name.lower(): values[0] if len(values) == 1 else ",".join(values) for name, values in several.items()}
    return {name.lower(): value for name, value in (event.get("headers") or {}).items()}
