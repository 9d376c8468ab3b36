"""Events as an HTTP API sends them to a function (payload format 2.0)."""

from __future__ import annotations

import base64
import json
from typing import Any

EPOCH_MS = 1362114000007
"""2013-03-01T05:00:00.007Z."""


def http_event(document: Any, *, path: str, in_base64: bool = False, request_id: str = "req-1") -> dict[str, Any]:
    """A POST of ``document``; text is sent as it is."""
    body = document if isinstance(document, str) else json.dumps(document)
    return {
        "version": "2.0",
        "routeKey": f"POST {path}",
        "rawPath": path,
        "headers": {"content-type": "application/json"},
        "requestContext": {
            "requestId": request_id,
            "timeEpoch": EPOCH_MS,
            "http": {"method": "POST", "path": path},
        },
        "body": base64.b64encode(body.encode()).decode() if in_base64 else body,
        "isBase64Encoded": in_base64,
    }
