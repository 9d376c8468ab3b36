"""Events as an HTTP API sends them to a function (payload format 2.0)."""

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
