"""Reads the body of a request as its headers say it is written."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping

from everloop.serving.exceptions import RequestError
from everloop.serving.request import GZIP_BEGINS, MAX_BODY_BYTES, decode_body
from everloop.shown import shown

GZIP, ZLIB, RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
"""What zlib calls the formats."""

_UTF_8 = ("utf-8", "utf8", "us-ascii", "ascii")
_SUFFIXED = re.compile(r"[^/\s+]+/[^/\s]+\+json")
_PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')
"""A parameter of a content type; in quotes, a semicolon ends none (RFC 9110, 5.6.6)."""


def read_body(body: str | None, *, is_base64: bool, headers: Mapping[str, str]) -> bytes:
    """The JSON text that a caller sent, uncompressed.

    Parameters
    ----------
    body, is_base64
        As an HTTP API event has them.
    headers : mapping of str to str
        Its headers; their names are in lower case (payload format 2.0).

    Raises
    ------
    RequestError
        ``unsupported_media_type`` for a content type that is no JSON, a charset that is not UTF-8, or a content
        encoding other than gzip and deflate; ``malformed_json`` when the body is not what they say; ``too_large``
        above 1 MiB, as sent or uncompressed: no more than that is ever uncompressed.
    """
    _require_json(headers.get("content-type", ""))
    encodings = _encodings(headers.get("content-encoding", ""))
    data = decode_body(body, is_base64=is_base64)
    return _inflate(data, encodings[0]) if encodings else data


def _require_json(content_type: str) -> None:
    """Clients that name no type are taken at their body."""
    kind = content_type.partition(";")[0].strip()
    name = kind.lower()
    if name and name not in ("application/json", "text/json") and not _SUFFIXED.fullmatch(name):
        raise RequestError(
            "unsupported_media_type",
            f"the content type is {shown(kind)}; send JSON with content-type: application/json",
        )
    for key, value in _PARAMETER.findall(content_type):
        charset = value.strip().strip("\"'")
        # ASCII is a part of UTF-8, and a charset without a name is none.
        if key.lower() == "charset" and charset.lower().replace("_", "-") not in ("", *_UTF_8):
            raise RequestError(
                "unsupported_media_type", f"the charset is {shown(charset)}; JSON is sent in UTF-8 (RFC 8259)"
            )


def _encodings(content_encoding: str) -> list[str]:
    names = [name.strip().lower() for name in content_encoding.split(",")]
    applied = [name.removeprefix("x-") for name in names if name not in ("", "identity")]
    if len(applied) > 1 or any(name not in ("gzip", "deflate") for name in applied):
        raise RequestError(
            "unsupported_media_type",
            f"the content encoding is {shown(content_encoding)}; gzip or deflate is taken, once, or none",
        )
    return applied


def _inflate(data: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        # A gateway that uncompresses a body may leave its header: no gzip begins as JSON does.
        return data if data.lstrip()[:1] == b"{" else _inflated(data, GZIP, encoding)
    # RFC 9110 means zlib's format by deflate; some clients send the stream alone.
    is_zlib = len(data) > 1 and data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2], "big") % 31 == 0
    return _inflated(data, ZLIB if is_zlib else RAW, encoding)


def _inflated(data: bytes, form: int, encoding: str) -> bytes:
    stream = zlib.decompressobj(form)
    try:
        text = stream.decompress(data, MAX_BODY_BYTES + 1)
    except zlib.error as error:
        raise RequestError("malformed_json", f"the body is no {encoding}, as content-encoding says: {error}") from error
    if len(text) > MAX_BODY_BYTES:
        raise RequestError(
            "too_large",
            f"the body has more than {MAX_BODY_BYTES} bytes when it is uncompressed; that many are taken at most, so "
            "send less at once",
        )
    if not stream.eof:
        raise RequestError("malformed_json", f"the body is {encoding} that ends too early")
    if stream.unused_data:
        raise RequestError("malformed_json", f"the body goes on after its {encoding} ends")
    if text.startswith(GZIP_BEGINS):
        raise RequestError(
            "malformed_json",
            f"the body is compressed twice: what its {encoding} holds is gzipped; send it gzipped once",
        )
    return text
