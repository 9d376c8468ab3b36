"""An answer leaves by one write, whatever it is."""

from __future__ import annotations

import pytest

from everloop.server.one_write import JoinedTransport

HEAD, BODY = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", b"{}"


class Transport:
    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.written.append(b"closed")

    def is_closing(self) -> bool:
        return False


@pytest.mark.parametrize(
    ("parts", "written"),
    [
        ([HEAD, BODY], [HEAD + BODY]),
        ([HEAD, BODY, b"more"], [HEAD + BODY, b"more"]),
        ([HEAD, BODY, HEAD, BODY], [HEAD + BODY] * 2),
        # Who is told to go on sends nothing until then.
        ([b"HTTP/1.1 100 Continue\r\n\r\n", HEAD, BODY], [b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + BODY]),
    ],
)
def test_a_head_waits_for_what_follows_and_nothing_else_does(parts: list[bytes], written: list[bytes]) -> None:
    below = Transport()
    joined = JoinedTransport(below)  # type: ignore[arg-type]  # it has what is asked of one
    for part in parts:
        joined.write(part)
    joined.flush()
    assert below.written == written


def test_a_head_without_a_body_leaves_when_all_is_written_or_the_connection_ends() -> None:
    below = Transport()
    joined = JoinedTransport(below)  # type: ignore[arg-type]  # it has what is asked of one
    joined.write(HEAD)
    joined.flush()
    joined.write(HEAD)
    joined.close()
    assert below.written == [HEAD, HEAD, b"closed"]
    assert joined.is_closing() is False
