"""HTTP/1.1 over one kept connection to a server of this machine, such as Lambda's Runtime API.

The standard library's client reads an answer's headers as those of a mail. That takes most of the processor time that
such a call costs, and the thread that makes it keeps the interpreter from the one that answers a request meanwhile.

Source: https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import BinaryIO, NamedTuple

LONGEST_LINE = 65_536
MOST_HEADERS = 100


class PlainAnswer(NamedTuple):
    """What the server answered; the headers' names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class PlainConnection:
    """Used by one thread at a time; opened by the first request, and again once it was closed.

    Parameters
    ----------
    address : str
        ``host:port``.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._address, self._server = address, (host.strip("[]"), int(port))
        self._socket: socket.socket | None = None
        self._stream: BinaryIO | None = None

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
        """A request as it is sent by :meth:`send`."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._address}"]
        lines += [f"{name}: {value}" for name, value in {**headers, "Content-Length": str(len(body))}.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body

    def send(self, request: bytes) -> PlainAnswer:
        """Send a request, and wait for its answer as long as it takes.

        Raises
        ------
        OSError
            When no answer comes, or none of HTTP/1.1; the next request opens another connection.
        """
        sending, stream = (self._socket, self._stream) if self._socket and self._stream else self._open()
        try:
            sending.sendall(request)
            answer = _answer(stream)
        except BaseException:
            self.close()
            raise
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer

    def close(self) -> None:
        """Drop the connection."""
        if self._stream is not None:
            self._stream.close()
        if self._socket is not None:
            self._socket.close()
        self._socket = self._stream = None

    def _open(self) -> tuple[socket.socket, BinaryIO]:
        self._socket = opened = socket.create_connection(self._server)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = stream = opened.makefile("rb")
        return opened, stream


def _answer(stream: BinaryIO) -> PlainAnswer:
    try:
        status = int(_line(stream).split(None, 2)[1])
        headers = _headers(stream)
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return PlainAnswer(status, headers, _chunks(stream))
        return PlainAnswer(status, headers, _exactly(stream, int(headers["content-length"])))
    except (ValueError, IndexError, KeyError) as error:
        raise ConnectionError(f"the server's answer is not HTTP/1.1: {type(error).__name__}: {error}") from error


def _line(stream: BinaryIO) -> str:
    line = stream.readline(LONGEST_LINE)
    if not line.endswith(b"\n"):
        raise ConnectionError("the server closed the connection within the head of its answer")
    return line.decode("latin-1").rstrip("\r\n")


def _headers(stream: BinaryIO) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(MOST_HEADERS):
        line = _line(stream)
        if not line:
            return headers
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    raise ConnectionError(f"the server's answer has more than {MOST_HEADERS} headers")


def _chunks(stream: BinaryIO) -> bytes:
    parts: list[bytes] = []
    while size := int(_line(stream).partition(";")[0], 16):
        parts.append(_exactly(stream, size))
        _line(stream)
    while _line(stream):  # trailers
        pass
    return b"".join(parts)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    body = stream.read(size)
    if len(body) < size:
        raise ConnectionError(f"the server closed the connection after {len(body)} of {size} bytes")
    return body
