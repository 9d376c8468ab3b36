"""A small threaded HTTP/1.1 server with keep-alive, for the AWS API and for every HTTP API.

Werkzeug's development server closes the connection after each answer and parses heads with the e-mail parser;
a client that makes thousands of calls pays for both. This one keeps connections open and reads what AWS
clients send: bodies with a length or in chunks, ``Expect: 100-continue``, HEAD. It listens on 127.0.0.1 only,
answers nothing that a web page caused (:mod:`localcloud.core.visitors`), and closes a connection that sends nothing
(:mod:`localcloud.core.patience`).
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from localcloud.core.patience import Patience, PatientReader
from localcloud.core.visitors import hosts_of, refusal

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
MAX_HEAD_BYTES = 256 * 1024
_REASONS = {status.value: status.phrase for status in HTTPStatus}
_WITHOUT_BODY = frozenset({204, 304})
_SINGLE = frozenset({"host", "origin", "sec-fetch-site", "authorization", "content-length", "transfer-encoding"})
"""Headers that decide who is answered and where a request ends: two of them could be read in two ways."""
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""What the name of a header may be."""

_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
"""Of RFC 9110 and RFC 9112. Python's own ``int`` takes more: signs, underscores, digits of other scripts."""
_LINGER_SECONDS = 5.0
_PIECE_BYTES = 1024 * 1024
_LINGER_BYTES = 64 * 1024 * 1024
_JSON = (("Content-Type", "application/json"),)


class PortTakenError(OSError):
    """Another process listens on the port; the message names the port and what to do."""


class _MalformedRequestError(ValueError):
    """What arrived is not HTTP/1.1."""


@dataclass(frozen=True)
class HttpRequest:
    """One request, read completely.

    Attributes
    ----------
    method, target : str
        As on the request line; the target is still percent-encoded and holds the query.
    headers : tuple of (str, str)
        In the order and spelling of arrival.
    body : bytes
        The whole body, unchunked.
    peer : str
        The client's address.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    peer: str = "127.0.0.1"

    @property
    def path(self) -> str:
        """The target without its query, percent-encoded as it arrived."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The query, without the question mark, as it arrived."""
        return self.target.partition("?")[2]

    def header(self, name: str) -> str | None:
        """The first header of that name (any case), or None."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)


@dataclass(frozen=True)
class HttpResponse:
    """One answer. Content-Length is added unless given."""

    status: int
    body: bytes = b""
    headers: Iterable[tuple[str, str]] = field(default_factory=tuple)


Handler = Callable[[HttpRequest], HttpResponse]


def listen(port: int, *, backlog: int = 256) -> socket.socket:
    """A listening socket of 127.0.0.1, which no other machine reaches.

    Raises
    ------
    PortTakenError
        When the port is in use.
    """
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((HOST, port))
        server.listen(backlog)
    except OSError as error:
        server.close()
        raise PortTakenError(
            f"port {port} on {HOST} is not available ({error.strerror}): another program uses it. Stop that program"
            " or choose another port with --port"
        ) from error
    server.set_inheritable(False)
    return server


class HttpServer:
    """Answers each connection on a thread of its own."""

    def __init__(
        self,
        listener: socket.socket,
        handler: Handler,
        *,
        name: str,
        max_body: int | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._listener = listener
        self._handler = handler
        self._name = name
        self._max_body = max_body
        self._patience = patience or Patience()
        self._hosts = hosts_of(self.port)
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._stopping = False

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._listener.getsockname()[1])

    def start(self) -> None:
        """Accept connections from now on."""
        threading.Thread(target=self._accept, name=f"{self._name}-accept", daemon=True).start()

    def stop(self) -> None:
        """Close the listener and every connection."""
        self._stopping = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._stopping:
            try:
                connection, address = self._listener.accept()
            except OSError:
                if self._stopping:
                    return
                raise
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection, address[0]), name=self._name, daemon=True).start()

    def _serve(self, connection: socket.socket, peer: str) -> None:
        reader = PatientReader(connection)
        stream: io.BufferedReader[Any] = io.BufferedReader(reader, 65536)
        try:
            while not self._stopping and self._serve_one(connection, reader, stream, peer):
                pass
        except (ConnectionError, TimeoutError):
            pass  # the client went away; nobody is left to tell
        finally:
            with self._lock:
                self._connections.discard(connection)
            stream.close()
            connection.close()

    def _serve_one(
        self, connection: socket.socket, reader: PatientReader, stream: io.BufferedReader[Any], peer: str
    ) -> bool:
        patience = self._patience
        try:
            reader.allow(patience.idle)
            stream.peek(1)
            reader.allow(patience.head)
            head = read_head(stream)
            if head is None:
                return False
            method, target, version, headers, lowered = head
            refused = refusal(lowered, self._hosts)
            if refused is not None:
                log.warning("%s: %s %s is refused: %s", self._name, method, target.partition("?")[0], refused)
                _send_last(connection, HttpResponse(403, json.dumps({"message": refused}).encode(), _JSON))
                return False
            reader.allow(patience.body, bytes_per_second=patience.bytes_per_second)
            connection.settimeout(patience.answer)
            if lowered.get("expect", "").lower() == "100-continue":
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = _read_body(stream, lowered, self._max_body)
        except _MalformedRequestError as error:
            _send_last(connection, HttpResponse(400, f"{error}\n".encode()))
            return False
        if body is None:
            _send_last(connection, HttpResponse(413, b'{"message":"Request Entity Too Large"}', _JSON))
            return False
        close = lowered.get("connection", "").lower() == "close" or version == "HTTP/1.0"
        response = self._answer(HttpRequest(method, target, headers, body, peer))
        connection.settimeout(patience.answer)
        connection.sendall(render(response, head_only=method == "HEAD", close=close))
        return not close

    def _answer(self, request: HttpRequest) -> HttpResponse:
        try:
            return self._handler(request)
        except Exception as error:  # the connection must be answered, and the daemon must go on
            log.exception("%s %s failed in the local cloud", request.method, request.target)
            text = f'{{"__type":"InternalFailure","message":"{type(error).__name__} in the local cloud: see its log"}}'
            return HttpResponse(500, text.encode(), (("Content-Type", "application/json"),))


def _send_last(connection: socket.socket, response: HttpResponse) -> None:
    """Answer before the request was read, and let the client finish: a reset would keep it from reading the answer."""
    connection.sendall(render(response, head_only=False, close=True))
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(_LINGER_SECONDS)
    left = _LINGER_BYTES
    while left > 0:
        received = len(connection.recv(262_144))
        if not received:
            return
        left -= received


Head = tuple[str, str, str, tuple[tuple[str, str], ...], dict[str, str]]


def read_head(stream: io.BufferedReader[Any]) -> Head | None:
    """Method, target, version, headers, and the headers again by lower-cased name; None at the end."""
    line = stream.readline(MAX_HEAD_BYTES)
    while line == b"\r\n":
        line = stream.readline(MAX_HEAD_BYTES)
    if not line:
        return None
    parts = _text(line).split(" ")
    if len(parts) != 3 or parts[2] not in ("HTTP/1.1", "HTTP/1.0") or not parts[1].startswith("/"):
        raise _MalformedRequestError(f"not an HTTP/1.1 request line: {line[:100]!r}")
    headers: list[tuple[str, str]] = []
    lowered: dict[str, str] = {}
    size = len(line)
    while True:
        line = stream.readline(MAX_HEAD_BYTES)
        if line in (b"\r\n", b"\n"):
            return parts[0], parts[1], parts[2], tuple(headers), lowered
        size += len(line)
        if not line or size > MAX_HEAD_BYTES:
            raise _MalformedRequestError("the headers of the request are cut off or too large")
        name, colon, value = _text(line).partition(":")
        # A name with a space, or a line that goes on with the one before, is another header to another reader.
        if not colon or not HEADER_NAME.fullmatch(name):
            raise _MalformedRequestError(f"not a header: {line[:100]!r}")
        value = value.strip()
        headers.append((name, value))
        key = name.lower()
        if key in lowered and key in _SINGLE:
            raise _MalformedRequestError(f"the header {name} occurs twice")
        lowered.setdefault(key, value)


def _text(line: bytes) -> str:
    """A line of a head without its end."""
    text = line.decode("latin-1").removesuffix("\n").removesuffix("\r")
    if not line.endswith(b"\n") or any(character in text for character in "\r\n\0"):
        raise _MalformedRequestError(f"a header line is cut off, or has a carriage return or a NUL: {line[:100]!r}")
    return text


def _read_body(stream: io.BufferedReader[Any], lowered: dict[str, str], limit: int | None) -> bytes | None:
    """The body; None where it is longer than ``limit``. Where it ends must not depend on who reads."""
    coding = lowered.get("transfer-encoding")
    if coding is not None:
        if coding.lower() != "chunked":
            raise _MalformedRequestError(f"the transfer coding is {coding!r}: only chunked is accepted")
        if "content-length" in lowered:
            raise _MalformedRequestError("both Content-Length and Transfer-Encoding are given: give only one")
        return _read_chunks(stream, limit)
    length = lowered.get("content-length", "0")
    if not _LENGTH.fullmatch(length):
        raise _MalformedRequestError(f"Content-Length is not a number: {length!r}")
    size = int(length)
    if limit is not None and size > limit:
        return None
    return read_exactly(stream, size) if size else b""


def _read_chunks(stream: io.BufferedReader[Any], limit: int | None) -> bytes | None:
    body = bytearray()
    while True:
        line = stream.readline(1024)
        found = _CHUNK_SIZE.fullmatch(line)
        if found is None:
            raise _MalformedRequestError(f"not the size of a chunk: {line[:100]!r}")
        size = int(found[1], 16)
        if size == 0:
            while stream.readline(MAX_HEAD_BYTES) not in (b"\r\n", b"\n", b""):
                pass
            return bytes(body)
        if limit is not None and len(body) + size > limit:
            return None
        body += read_exactly(stream, size)
        if stream.readline(2) not in (b"\r\n", b"\n"):
            raise _MalformedRequestError("a chunk does not end where its size says")


def read_exactly(stream: io.BufferedReader[Any], size: int) -> bytes:
    """``size`` bytes.

    Raises
    ------
    ConnectionError
        When the stream ends before.
    """
    data = bytearray()
    while len(data) < size:
        # Piece by piece: what a client only announces takes no memory.
        piece = stream.read(min(size - len(data), _PIECE_BYTES))
        if not piece:
            raise ConnectionError("the client closed the connection in the middle of a body")
        data += piece
    return bytes(data)


def _sendable(value: str) -> str:
    """A header's value as characters of one byte each: what Latin-1 lacks goes out as UTF-8."""
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode(errors="replace").decode("latin-1")
    return value


def render(response: HttpResponse, *, head_only: bool, close: bool) -> bytes:
    """The bytes of an answer."""
    status = int(response.status)
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}"]
    has_length = False
    for name, value in response.headers:
        lowered = name.lower()
        if lowered in ("connection", "transfer-encoding"):
            continue
        if lowered == "content-length":
            if not head_only and status not in _WITHOUT_BODY:
                continue  # what is sent decides, not what a backend says
            has_length = True
        lines.append(f"{name}: {_sendable(value)}")
    without_body = head_only or status in _WITHOUT_BODY
    if not has_length and status not in _WITHOUT_BODY:
        lines.append(f"Content-Length: {len(response.body)}")
    if close:
        lines.append("Connection: close")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    return head if without_body else head + response.body
