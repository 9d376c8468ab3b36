"""Reads the body of a request as its headers say it is written."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence

from everloop.serving.exceptions import RequestError
from everloop.serving.exchange import JSON, HttpRequest
from everloop.serving.request import GZIP_BEGINS, MAX_BODY_BYTES, decode_body
from everloop.shown import shown

GZIP, ZLIB, RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
"""What zlib calls the formats."""

_UTF_8 = ("utf-8", "utf8", "us-ascii", "ascii")
_SUFFIXED = re.compile(r"[^/\s+]+/[^/\s]+\+json")
_PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')
"""A parameter of a content type; in quotes, a semicolon ends none (RFC 9110, 5.6.6)."""


def read_body(
    body: str | bytes | None, *, is_base64: bool, headers: Mapping[str, str], taken: Sequence[str] = (JSON,)
) -> bytes:
    """What a caller sent, uncompressed.

    Parameters
    ----------
    body, is_base64
        As an HTTP API event has them; bytes are taken as they are.
    headers : mapping of str to str
        Its headers; their names are in lower case (payload format 2.0).
    taken : sequence of str
        The content types that are read; JSON stands for all its names.

    Raises
    ------
    RequestError
        ``unsupported_media_type`` for another content type, a charset that is not UTF-8, or a content
        encoding other than gzip and deflate; ``malformed_json`` when the body is not what they say; ``too_large``
        above 1 MiB, as sent or uncompressed: no more than that is ever uncompressed.
    """
    content_type, encoding = headers.get("content-type", ""), headers.get("content-encoding", "")
    # What nearly every caller sends needs no look.
    if content_type != JSON or JSON not in taken:
        _require_type(content_type, taken)
    encodings = _encodings(encoding) if encoding else []
    data = decode_body(body, is_base64=is_base64)
    return _inflate(data, encodings[0]) if encodings else data


def plain_body(request: HttpRequest) -> bytes | None:
    """The body of a POST whose headers say no more of it than that it is JSON, as :func:`read_body` reads it.

    None where there is more to look at, or anything to refuse.
    """
    method, _, headers, body, is_base64 = request
    if not body or is_base64 or method != "POST":
        return None
    if headers.get("content-type", JSON) != JSON or "content-encoding" in headers:
        return None
    data = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
    return data if len(data) <= MAX_BODY_BYTES else None


def media_type(content_type: str) -> str:
    """The type that a ``content-type`` names, in lower case and without parameters; JSON for all names of JSON.

    Empty where none is named.
    """
    name = content_type.partition(";")[0].strip().lower()
    return JSON if name == "text/json" or _SUFFIXED.fullmatch(name) else name


def media_parameters(content_type: str) -> dict[str, str]:
    """The parameters of a ``content-type``, names in lower case, values without quotes."""
    return {key.lower(): value.strip().strip("\"'") for key, value in _PARAMETER.findall(content_type)}


def _require_type(content_type: str, taken: Sequence[str]) -> None:
    """Clients that name no type are taken at their body."""
    kind = content_type.partition(";")[0].strip()
    if kind and media_type(content_type) not in taken:
        one = "JSON with content-type: application/json" if tuple(taken) == (JSON,) else f"one of {', '.join(taken)}"
        raise RequestError("unsupported_media_type", f"the content type is {shown(kind)}; send {one}")
    charset = media_parameters(content_type).get("charset", "")
    # ASCII is a part of UTF-8, and a charset without a name is none.
    if charset.lower().replace("_", "-") not in ("", *_UTF_8):
        raise RequestError(
            "unsupported_media_type", f"the charset is {shown(charset)}; JSON is sent in UTF-8 (RFC 8259)"
        )


def _encodings(content_encoding: str) -> list[str]:
    names = [name.strip().lower() for name in content_encoding.split(",")]
    applied = [name.removeprefix("x-") for name in names if name not in ("", "identity")]
    if len(applied) > 1 or any(name not in ("gzip", "deflate") for name in applied):
        raise RequestError(
            "unsupported_media_type",
            f"the content encoding is {shown(content_encoding)}; send gzip, deflate, or none",
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
        raise RequestError(
            "malformed_json", f"the body is not {encoding}, although content-encoding says so: {error}"
        ) from error
    if len(text) > MAX_BODY_BYTES:
        raise RequestError(
            "too_large",
            f"the body has more than {MAX_BODY_BYTES} bytes after it is uncompressed, the maximum: send fewer rows"
            " at once",
        )
    if not stream.eof:
        raise RequestError("malformed_json", f"the body ends before its {encoding} data is complete")
    if stream.unused_data:
        raise RequestError("malformed_json", f"the body has more bytes after its {encoding} data ends")
    if text.startswith(GZIP_BEGINS):
        raise RequestError(
            "malformed_json",
            f"the body is compressed twice: the content of its {encoding} data is gzipped again; compress it once",
        )
    return text
