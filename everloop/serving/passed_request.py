"""A request on its way to a container, as a document; the answer's document is read here as far as status and body.

Who asks a container for something else than a caller's answer needs no more, and none of the data plane.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime

from everloop.instants import from_epoch_ms, to_epoch_ms
from everloop.names import UNSEEN
from everloop.serving.exchange import HttpRequest

PASSED_ON = "application/vnd.everloop.request+json"
"""The content type of a request that is passed on, and of its answer."""

HEADERS = ("content-type", "content-encoding", "accept", "inference-header-content-length")
"""Headers that the data plane reads. Others, those with credentials among them, stay with the function."""


@dataclass(frozen=True)
class PassedRequest:
    """A request as it came to the function: below the data plane's address, with its name and its time.

    Of an ``unseen`` one no row is captured: a rollout asks it, and no caller gets the answer.
    """

    path: str
    request: HttpRequest
    request_id: str
    at: datetime
    unseen: bool = False


def encode_request(passed: PassedRequest) -> bytes:
    """The document of a request."""
    body, is_base64 = passed.request.body, passed.request.is_base64
    if isinstance(body, bytes):
        body, is_base64 = base64.b64encode(body).decode(), True
    document = {
        "path": passed.path,
        "method": passed.request.method,
        "headers": {name: value for name, value in passed.request.headers.items() if name in HEADERS},
        "body": body,
        "is_base64": is_base64,
        "request_id": passed.request_id,
        "epoch_ms": to_epoch_ms(passed.at),
        **({UNSEEN: True} if passed.unseen else {}),
    }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def decode_request(body: bytes) -> PassedRequest:
    """The inverse.

    Raises
    ------
    ValueError, KeyError, TypeError
        For a document that :func:`encode_request` did not make.
    """
    document = json.loads(body)
    request = HttpRequest(
        method=str(document["method"]),
        headers={str(name): str(value) for name, value in document["headers"].items()},
        body=document["body"],
        is_base64=bool(document["is_base64"]),
    )
    at = from_epoch_ms(int(document["epoch_ms"]))
    unseen = document.get(UNSEEN) is True
    return PassedRequest(str(document["path"]), request, str(document["request_id"]), at, unseen)


def status_and_body(answer: bytes) -> tuple[int, bytes]:
    """HTTP status and body in the document of an answer (:func:`everloop.serving.passed_on.encode_answer`)."""
    document = json.loads(answer)
    return int(document["status"]), base64.b64decode(document["body"])
