"""A body is read as its headers say, never beyond its limit, or refused with what is taken."""

from __future__ import annotations

import base64
import contextlib
import gzip
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.serving.body import read_body
from everloop.serving.exceptions import RequestError
from everloop.serving.request import MAX_BODY_BYTES, parse_json
from everloop.serving.response import STATUS_OF_CODE

TEXT = '{"instances": [{"key": "München"}]}'.encode()


def deflate(data: bytes, window: int, level: int = 6) -> bytes:
    stream = zlib.compressobj(level, wbits=window)
    return stream.compress(data) + stream.flush()


def raw_deflate(data: bytes, level: int = 6) -> bytes:
    return deflate(data, -zlib.MAX_WBITS, level)


def read(data: bytes, **headers: str) -> bytes:
    """``data`` as a gateway hands it over; ``content_type`` for the header ``content-type``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_body(base64.b64encode(data).decode(), is_base64=True, headers=named)


COMPRESSED: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("x-gzip", gzip.compress),
    (" GZIP ", gzip.compress),
    ("identity, gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
    *[("deflate", lambda data, level=level: zlib.compress(data, level)) for level in (0, 1, 9)],
    *[("deflate", lambda data, level=level: raw_deflate(data, level)) for level in (0, 1, 9)],
    *[("deflate", lambda data, window=window: deflate(data, window)) for window in (9, 12, -9)],
    ("identity", bytes),
    ("", bytes),
]


@pytest.mark.parametrize(("encoding", "compress"), COMPRESSED)
def test_a_compressed_body_is_uncompressed(encoding: str, compress: Callable[[bytes], bytes]) -> None:
    assert read(compress(TEXT), content_encoding=encoding, content_type="application/json") == TEXT


@pytest.mark.slow
@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress, raw_deflate])
def test_the_limit_counts_uncompressed_bytes(compress: Callable[[bytes], bytes]) -> None:
    encoding = "gzip" if compress is gzip.compress else "deflate"
    whole = b" " * MAX_BODY_BYTES
    assert read(compress(whole), content_encoding=encoding) == whole
    # GIVEN a thousandth of the limit that becomes a hundred times it
    for size in (MAX_BODY_BYTES + 1, 100 * MAX_BODY_BYTES):
        with pytest.raises(RequestError) as refused:
            read(compress(b" " * size), content_encoding=encoding)
        assert (refused.value.code, STATUS_OF_CODE[refused.value.code]) == ("too_large", 413)


@pytest.mark.slow
def test_no_more_than_the_limit_is_uncompressed(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb, made = gzip.compress(b" " * (100 * MAX_BODY_BYTES)), []
    new = zlib.decompressobj

    class Counting:
        def __init__(self, form: int) -> None:
            self.stream = new(form)

        def decompress(self, data: bytes, limit: int) -> bytes:
            text = self.stream.decompress(data, limit)
            made.append(len(text))
            return text

    monkeypatch.setattr("everloop.serving.body.zlib.decompressobj", Counting)
    with pytest.raises(RequestError):
        read(bomb, content_encoding="gzip")
    assert made == [MAX_BODY_BYTES + 1]


@pytest.mark.parametrize(
    ("data", "encoding", "says"),
    [
        (TEXT, "deflate", "not deflate"),
        (b"<xml/>", "gzip", "not gzip"),
        (gzip.compress(TEXT), "deflate", "not deflate"),
        (zlib.compress(TEXT), "gzip", "not gzip"),
        (gzip.compress(TEXT)[:-9], "gzip", "ends before"),
        (zlib.compress(TEXT)[:-5], "deflate", "ends before"),
        (gzip.compress(TEXT)[:-8] + b"\0" * 8, "gzip", "incorrect data check"),
        (gzip.compress(TEXT) + b"x", "gzip", "has more bytes after"),
        (gzip.compress(gzip.compress(TEXT)), "gzip", "compressed twice"),
        (zlib.compress(gzip.compress(TEXT)), "deflate", "compressed twice"),
        (gzip.compress(b"") * 1000, "gzip", "has more bytes after"),
    ],
)
def test_a_body_that_is_not_what_it_says_is_refused(data: bytes, encoding: str, says: str) -> None:
    with pytest.raises(RequestError, match=says) as refused:
        read(data, content_encoding=encoding)
    assert refused.value.code == "malformed_json"


def test_a_body_that_a_gateway_has_uncompressed_is_taken() -> None:
    assert read_body(TEXT.decode(), is_base64=False, headers={"content-encoding": "gzip"}) == TEXT


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "Application/JSON; charset=UTF-8",
        'application/json;charset="utf-8"',
        "application/json; charset=us-ascii; version=1",
        "application/json; charset='utf-8'",
        'APPLICATION/JSON ; CHARSET = "Utf_8"',
        "application/json; charset=utf-8; charset=UTF8",
        "application/json; charset=",
        "application/json; charset",
        "application/json;",
        'application/json; profile="a; charset=latin1"',
        "application/vnd.api+json",
        "text/json",
    ],
)
def test_json_is_taken_under_its_names(content_type: str) -> None:
    assert read(TEXT, content_type=content_type) == TEXT


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"content_type": "text/csv"}, "'text/csv'"),
        ({"content_type": "application/x-www-form-urlencoded"}, "'application/x-www-form-urlencoded'"),
        ({"content_type": "application/jsonp"}, "'application/jsonp'"),
        ({"content_type": "application/json; charset=iso-8859-1"}, "'iso-8859-1'"),
        ({"content_type": "application/json; Charset = utf-16"}, "'utf-16'"),
        ({"content_type": "application/json; charset='latin1'"}, "'latin1'"),
        ({"content_type": 'application/json; a="b;c"; charset="utf-16"'}, "'utf-16'"),
        ({"content_type": "application/json; charset=utf-8; charset=latin1"}, "'latin1'"),
        ({"content_type": "application/octet-stream"}, "'application/octet-stream'"),
        ({"content_type": "application/json, application/json"}, "'application/json, application/json'"),
        ({"content_type": "json"}, "'json'"),
        ({"content_type": "+json"}, r"'\+json'"),
        ({"content_encoding": "br"}, "'br'"),
        ({"content_encoding": '"gzip"'}, "gzip"),
        ({"content_encoding": "gzip;q=1"}, "'gzip;q=1'"),
        ({"content_encoding": "gzip, deflate"}, "'gzip, deflate'"),
        ({"content_encoding": "zstd"}, "'zstd'"),
        ({"content_encoding": "gzip, gzip"}, "'gzip, gzip'"),
    ],
)
def test_what_is_not_taken_is_named(headers: dict[str, str], says: str) -> None:
    with pytest.raises(RequestError, match=says) as refused:
        read(TEXT, **headers)
    assert (refused.value.code, STATUS_OF_CODE[refused.value.code]) == ("unsupported_media_type", 415)


@pytest.mark.slow
@given(
    st.binary(max_size=200) | st.binary(max_size=50).map(gzip.compress) | st.binary(max_size=50).map(zlib.compress),
    st.sampled_from(["gzip", "deflate", "", "br"]) | st.text(max_size=9),
    st.sampled_from(["application/json", ""]) | st.text(max_size=12),
)
def test_any_bytes_and_headers_are_read_or_refused(data: bytes, encoding: str, content_type: str) -> None:
    with contextlib.suppress(RequestError):
        assert len(read(data, content_encoding=encoding, content_type=content_type)) <= MAX_BODY_BYTES


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (gzip.compress(b"{}"), "add the header content-encoding: gzip"),
        ('{"instances": "é"}'.encode("latin-1"), "JSON is sent in UTF-8"),
    ],
)
def test_what_is_no_utf_8_is_told_with_what_to_send(body: bytes, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        parse_json(body)
