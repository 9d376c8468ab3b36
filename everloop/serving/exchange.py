"""An HTTP request as the data plane takes it, and its answer as bytes, whatever carries them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

JSON = "application/json"


@dataclass(frozen=True)
class HttpRequest:
    """A request to a protocol of the data plane.

    Attributes
    ----------
    method : str
        In capitals.
    path : str
        Below the protocol's own address, without a slash in front: empty where it was asked at that address itself.
    headers : mapping of str to str
        Their names are in lower case.
    body : str, bytes or None
        As it came: text where an event carries it, bytes where a server read it.
    is_base64 : bool
        Whether the text of an event is base64.
    """

    method: str = "POST"
    path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | bytes | None = None
    is_base64: bool = False


@dataclass(frozen=True)
class Reply:
    """What goes back to a caller beside the status: the body, its type, and headers that it needs."""

    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def json_reply(document: Mapping[str, object]) -> Reply:
    """``document`` as JSON."""
    return Reply(json.dumps(document, separators=(",", ":"), allow_nan=False).encode())
