"""An HTTP request as the data plane takes it, and its answer as bytes, whatever carries them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

JSON = "application/json"

NO_HEADERS: Mapping[str, str] = MappingProxyType({})

whole = tuple.__new__
"""Makes a named tuple of a value for each of its fields: its own constructor is a function of Python's, and takes twice
as long."""


class HttpRequest(NamedTuple):
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
    headers: Mapping[str, str] = NO_HEADERS
    body: str | bytes | None = None
    is_base64: bool = False


class Reply(NamedTuple):
    """What goes back to a caller beside the status: the body, its type, and headers that it needs."""

    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = NO_HEADERS


def json_reply(document: Mapping[str, object]) -> Reply:
    """``document`` as JSON."""
    return Reply(json.dumps(document, separators=(",", ":"), allow_nan=False).encode())
