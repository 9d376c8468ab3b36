"""The Lambda Runtime API (version 2018-06-01) of one worker, and the Extensions API beside it.

Every worker gets a listener of its own, so that a call needs no name to say whose it is. There is no server
thread: the thread that invokes waits for the worker's ``next`` call, answers it with the event and reads the
result, all on the worker's connection. A round trip is two writes and two reads, without a hand-over.

Nobody but the worker is answered. Where the system tells whose a connection is, those of other users are closed;
a worker that can send a token has to; and what a web page caused is refused, as on every port. The runtime
client of AWS takes an address and nothing else, so that there the system's word must do. So it is with the calls of
extensions, which are the function's own code: they learn when an invocation begins, and nothing that it holds.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import os
import re
import selectors
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar, cast

from localcloud.core.peers import owner_of_peer, owners_are_told
from localcloud.core.visitors import hosts_of, refusal
from localcloud.services.lambda_.runtime.extensions import OK, Answer, ExtensionFailedError, Extensions, call_of

log = logging.getLogger(__name__)

PREFIX = "/2018-06-01/runtime"
EXTENSION = "extension "
"""Before the kinds of calls that extensions make, which :class:`RuntimeApi` answers by itself."""

T = TypeVar("T")
_INVOCATION = re.compile(rf"{PREFIX}/invocation/([^/]+)/(response|error)$")
_ANSWERS = {
    202: b'HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"status":"OK"}\n',
    403: b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
    404: b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
}


class RuntimeApiTimeoutError(TimeoutError):
    """The worker made no call in time."""


class WorkerGoneError(ConnectionError):
    """The worker ended instead of making a call."""


@dataclass
class _Connection:
    socket: socket.socket
    buffer: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True)
class RuntimeCall:
    """A call of the worker: ``kind`` is next, response, error or init_error."""

    kind: str
    request_id: str | None
    headers: dict[str, str]
    body: bytes
    connection: _Connection


class RuntimeApi:
    """The server side, used by one thread at a time.

    Parameters
    ----------
    token : str, optional
        What every call must carry as ``Authorization: Bearer``; none is asked for without.
    facts : mapping, optional
        What extensions are told of the function; see :class:`Extensions`.
    """

    def __init__(self, token: str | None = None, facts: Mapping[str, str] | None = None) -> None:
        self.extensions: Extensions[_Connection] = Extensions(facts or {})
        self._token = token
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(8)
        self._listener.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._hosts = hosts_of(self._listener.getsockname()[1])
        self._connections: list[_Connection] = []
        self._output: int | None = None

    @property
    def address(self) -> str:
        """The value of AWS_LAMBDA_RUNTIME_API."""
        host, port = self._listener.getsockname()[:2]
        return f"{host}:{port}"

    def watch(self, descriptor: int, read: Callable[[], None]) -> None:
        """Call ``read`` whenever the worker's output can be read, so that a full pipe never blocks it."""
        self._selector.register(descriptor, selectors.EVENT_READ, read)
        self._output = descriptor

    def unwatch(self) -> None:
        """Forget the output: it ended."""
        if self._output is not None:
            self._selector.unregister(self._output)
            self._output = None

    def close(self) -> None:
        """Close every socket."""
        self._selector.close()
        self._listener.close()
        for connection in self._connections:
            connection.socket.close()

    def wait(self, deadline: float, check: Callable[[], None]) -> RuntimeCall:
        """The worker's next call.

        Parameters
        ----------
        deadline : float
            On ``time.monotonic``.
        check : callable
            Called every now and then while waiting; may raise to end the wait.

        Raises
        ------
        RuntimeApiTimeoutError
            When the deadline passes.
        ExtensionFailedError
            When an extension says that it can't go on.
        """
        return self._wait(deadline, check, self._parse_any)

    def wait_for_extensions(self, deadline: float, check: Callable[[], None]) -> RuntimeCall | None:
        """Return once every extension has asked for its next event, or with a call that the runtime made meanwhile.

        Raises
        ------
        RuntimeApiTimeoutError, ExtensionFailedError
        """

        def found() -> RuntimeCall | bool | None:
            return self._parse_any() or (True if self.extensions.are_ready else None)

        outcome = self._wait(deadline, check, found)
        return None if outcome is True else cast(RuntimeCall, outcome)

    def _wait(self, deadline: float, check: Callable[[], None], found: Callable[[], T | None]) -> T:
        slice_seconds = 0.02
        while True:
            outcome = found()
            if outcome is not None:
                return outcome
            left = deadline - time.monotonic()
            if left <= 0:
                raise RuntimeApiTimeoutError
            ready = self._selector.select(min(left, slice_seconds))
            if not ready:
                check()
                slice_seconds = min(0.2, slice_seconds * 2)
            for key, _ in ready:
                key.data()

    def answer_next(self, call: RuntimeCall, headers: dict[str, str], body: bytes) -> None:
        """Hand an event to the worker.

        Raises
        ------
        WorkerGoneError
            When its connection is closed.
        """
        lines = ["HTTP/1.1 200 OK", "Content-Type: application/json", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._send(call.connection, ("\r\n".join(lines) + "\r\n\r\n").encode() + body)

    def begin_invocation(self, event: Mapping[str, Any]) -> None:
        """Tell the extensions of an invocation.

        Raises
        ------
        WorkerGoneError
        """
        self.extensions.invoke(self._reply, event)

    def _reply(self, connection: _Connection, answer: Answer) -> None:
        status, headers, body = answer
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "Content-Type: application/json"]
        lines += [f"{name}: {value}" for name, value in {**headers, "Content-Length": str(len(body))}.items()]
        self._send(connection, ("\r\n".join(lines) + "\r\n\r\n").encode() + body)

    def answer(self, call: RuntimeCall, status: int) -> None:
        """Acknowledge any other call."""
        self._send(call.connection, _ANSWERS[status])

    def _send(self, connection: _Connection, data: bytes) -> None:
        connection.socket.setblocking(True)
        try:
            connection.socket.sendall(data)
        except OSError as error:
            raise WorkerGoneError("the worker closed its connection") from error
        finally:
            with contextlib.suppress(OSError):
                connection.socket.setblocking(False)

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            accepted, _ = self._listener.accept()
            if not _is_ours(accepted):
                log.warning("another user's connection to a worker's Runtime API is closed")
                accepted.close()
                return
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = _Connection(accepted)
            self._connections.append(connection)
            self._selector.register(accepted, selectors.EVENT_READ, lambda: self._receive(connection))

    def _receive(self, connection: _Connection) -> None:
        try:
            data = connection.socket.recv(262_144)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            connection.buffer += data
            return
        self._selector.unregister(connection.socket)
        self._connections.remove(connection)
        connection.socket.close()

    def _parse_any(self) -> RuntimeCall | None:
        for connection in self._connections:
            if connection.buffer:
                call = _parse(connection)
                if call is None:
                    continue
                if call.kind == "unknown":
                    self.answer(call, 404)
                    continue
                extension = call.kind.removeprefix(EXTENSION) if call.kind.startswith(EXTENSION) else None
                refused = self._refusal(call.headers, needs_token=extension is None)
                if refused is not None:
                    log.warning("a call of a worker's Runtime API is refused: %s", refused)
                    self.answer(call, 403)
                    continue
                if extension is not None:
                    self._take_of_extension(extension, call)
                    continue
                if call.kind == "next":
                    self.extensions.close_registration()
                return call
        return None

    def _take_of_extension(self, kind: str, call: RuntimeCall) -> None:
        try:
            answer = self.extensions.take(kind, call.headers, call.body, call.connection)
        except ExtensionFailedError:
            self._reply(call.connection, OK)
            raise
        if answer is not None:
            self._reply(call.connection, answer)

    def _refusal(self, headers: dict[str, str], *, needs_token: bool) -> str | None:
        if self._token is not None and needs_token:
            given = headers.get("authorization", "")
            if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
                return "the worker's token is missing or wrong"
        return refusal(headers, self._hosts)


def _is_ours(connection: socket.socket) -> bool:
    try:
        return not owners_are_told() or owner_of_peer(connection) == os.getuid()
    except OSError:  # the other end is gone already
        return False


def _parse(connection: _Connection) -> RuntimeCall | None:
    end = connection.buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    lines = connection.buffer[:end].decode("latin-1").split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    if "expect" in headers:  # curl asks before it sends a large body
        connection.socket.setblocking(True)
        connection.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.socket.setblocking(False)
        connection.buffer[:end] = re.sub(rb"(?i)\r\nexpect:[^\r]*", b"", bytes(connection.buffer[:end]))
        return None
    start = end + 4
    body = _body(connection.buffer, start, headers)
    if body is None:
        return None
    content, stop = body
    del connection.buffer[:stop]
    method, path, _ = lines[0].split(" ", 2)
    kind, request_id = _kind(method, path)
    return RuntimeCall(kind, request_id, headers, content, connection)


def _body(buffer: bytearray, start: int, headers: dict[str, str]) -> tuple[bytes, int] | None:
    if "chunked" not in headers.get("transfer-encoding", "").lower():
        stop = start + int(headers.get("content-length", "0"))
        return (bytes(buffer[start:stop]), stop) if len(buffer) >= stop else None
    content = bytearray()
    while True:
        line_end = buffer.find(b"\r\n", start)
        if line_end < 0:
            return None
        size = int(bytes(buffer[start:line_end]).split(b";")[0], 16)
        start = line_end + 2
        if len(buffer) < start + size + 2:
            return None
        content += buffer[start : start + size]
        start += size + 2
        if size == 0:
            return bytes(content), start


def _kind(method: str, path: str) -> tuple[str, str | None]:
    if method == "GET" and path == f"{PREFIX}/invocation/next":
        return "next", None
    if method == "POST" and path == f"{PREFIX}/init/error":
        return "init_error", None
    extension = call_of(method, path)
    if extension is not None:
        return f"{EXTENSION}{extension}", None
    match = _INVOCATION.match(path)
    if method == "POST" and match:
        return match[2], match[1]
    return "unknown", None
