"""What is plain is known by its head, and everything else is left to the server."""

from __future__ import annotations

import pytest

from everloop.server.plain_heads import PlainHeads

BODY = b'{"instances": []}'


def asked(first: str = "POST /predictions HTTP/1.1", body: bytes = BODY, **headers: str) -> bytes:
    given = {"host": "h", "content-type": "application/json", "content-length": str(len(body))}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value != "none")
    return f"{first}\r\n{lines}\r\n".encode() + body


@pytest.mark.parametrize(
    "data",
    [
        asked(),
        asked("POST /models/late_train/predictions HTTP/1.1"),
        asked(content_type="none"),
        asked(connection="keep-alive", accept="*/*", user_agent="x"),
        asked().replace(b"content-length", b"Content-LENGTH"),
    ],
)
def test_a_plain_request_is_known_once_more(data: bytes) -> None:
    heads = PlainHeads("late_train")
    for _ in range(2):
        plain = heads.plain(data)
        assert plain is not None
        assert (plain.body, plain.headers["host"], plain.headers["content-length"]) == (BODY, "h", str(len(BODY)))


@pytest.mark.parametrize(
    "data",
    [
        asked("GET /predictions HTTP/1.1"),
        asked("POST /predictions HTTP/1.0"),
        asked("POST /predictions?x=1 HTTP/1.1"),
        asked("POST /models/other/predictions HTTP/1.1"),
        asked("POST /v2/models/late_train/infer HTTP/1.1"),
        asked(content_type="application/json; charset=utf-8"),
        asked(content_type="application/x-everloop"),
        asked(content_encoding="gzip"),
        asked(transfer_encoding="chunked"),
        asked(transfer_encoding="chunked", content_length="none"),
        asked(content_length="none"),
        asked(content_length="-1"),
        asked(content_length="+17"),
        asked(expect="100-continue"),
        asked(connection="close"),
        asked(connection="upgrade", upgrade="websocket"),
        asked().replace(b"host: h", b"content-length: 17"),
        asked().replace(b"host: h", b"x: a\r\nx: b"),
        asked().replace(b"host: h", b"no colon"),
        asked().replace(b"host: h", b"x: " + b"a" * 5000),
        asked()[:-1],
        asked() + b"x",
        asked() * 2,
        asked().partition(b"\r\n\r\n")[0],
        b"",
        BODY,
    ],
)
def test_anything_else_is_not_plain(data: bytes) -> None:
    heads = PlainHeads("late_train")
    assert [heads.plain(data) for _ in range(2)] == [None, None]


def test_heads_that_never_come_again_do_not_fill_the_memory() -> None:
    heads = PlainHeads("late_train")
    for number in range(1000):
        plain = heads.plain(asked(x_trace=str(number)))
        assert plain is not None
        assert plain.headers["x-trace"] == str(number)
        assert len(heads._known) <= 256
