"""Writes captured rows after the answer, before Lambda freezes the function.

Lambda hands an answer to its caller as soon as the runtime has it, and freezes the environment once the runtime and all
extensions have asked for their next event. So a thread of the function's own process registers as an internal
extension, writes the rows of a request when that is answered, and only then asks again. An environment has one request
at a time: what is kept in memory is one request's rows.

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
"""

from __future__ import annotations

import contextlib
import json
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from everloop.aws.plain_http import PlainAnswer, PlainConnection
from everloop.exceptions import TerminalError
from everloop.serving.capture import Line, Record, RecordFailure, RecordWriter
from everloop.serving.exchange import whole

PREFIX = "/2020-01-01/extension"
IDENTIFIER = "Lambda-Extension-Identifier"
RUNTIME_API = "AWS_LAMBDA_RUNTIME_API"

RESERVE_SECONDS = 0.5
"""What is left of a function's time for its log, when rows could not be written."""


class ExtensionError(TerminalError):
    """Lambda refuses a call of the Extensions API."""


@dataclass(frozen=True)
class Invocation:
    """A request that Lambda has handed to the function; ``deadline`` is in seconds since 1970."""

    request_id: str
    deadline: float


class ExtensionsApi:
    """The two calls of the Extensions API, over one connection."""

    def __init__(self, address: str) -> None:
        self._connection = PlainConnection(address)
        self._next = b""

    def register(self, name: str) -> None:
        """Register for invocations; it must happen while the function initialises.

        Raises
        ------
        ExtensionError
        """
        headers = {"Lambda-Extension-Name": name, "Content-Type": "application/json"}
        body = json.dumps({"events": ["INVOKE"]}).encode()
        answer = self._send(self._connection.request("POST", f"{PREFIX}/register", headers, body))
        identifier = answer.headers.get(IDENTIFIER.lower())
        if not identifier:
            raise ExtensionError("Lambda gave the extension no identifier")
        self._next = self._connection.request("GET", f"{PREFIX}/event/next", {IDENTIFIER: identifier})

    def next(self) -> Invocation:
        """Say that the last request is done with, and wait for the next one.

        Raises
        ------
        ExtensionError
        """
        event = json.loads(self._send(self._next).body)
        return Invocation(str(event.get("requestId")), float(event.get("deadlineMs", 0)) / 1000)

    def _send(self, request: bytes) -> PlainAnswer:
        answer = self._connection.send(request)
        if answer.status != 200:
            asked = request.split(None, 2)[1].decode("latin-1")
            raise ExtensionError(f"Lambda answered {answer.status} to {asked}: {answer.body[:300]!r}")
        return answer


class Deadline:
    """When the function's time is up: of the request under way."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self.at = float("inf")

    def left(self) -> float:
        """Seconds that may still be used."""
        return self.at - RESERVE_SECONDS - self._now()

    def has_time(self) -> bool:
        """Whether a call to the stream may begin."""
        return self.left() > 0

    def call_seconds(self) -> float:
        """How long one call may wait to connect, and as long again for its answer."""
        return min(3.0, self.left() / 2)


class Answered(NamedTuple):
    """A request that is answered, and its rows.

    Attributes
    ----------
    request_id : str
        As Lambda names the request.
    epoch_ms : int
        When it came.
    """

    request_id: str
    epoch_ms: int
    records: Iterable[Iterable[Record | Line]]


class AfterAnswer:
    """Keeps the rows of a request, and writes them once it is answered.

    Parameters
    ----------
    writer : RecordWriter
        Where the rows go; it holds to ``deadline``.
    lost : callable
        Takes the rows that were not taken, with the reason of each, and when their request came.
    """

    def __init__(
        self, writer: RecordWriter, lost: Callable[[list[RecordFailure], int], None], deadline: Deadline
    ) -> None:
        self._writer, self._lost, self._deadline = writer, lost, deadline
        self._kept: list[Iterable[Record | Line]] = []
        self._answered: queue.SimpleQueue[Answered] = queue.SimpleQueue()

    def write(self, records: Iterable[Record | Line]) -> list[RecordFailure]:
        """Keep the rows of the request under way. Nothing is known to be lost yet."""
        self._kept.append(records)
        return []

    def answered(self, request_id: str, epoch_ms: int) -> None:
        """The request's answer is made: its rows may be written."""
        kept, self._kept = self._kept, []
        self._answered.put(whole(Answered, (request_id, epoch_ms, kept)))

    def finish(self, invocation: Invocation) -> None:
        """Write the rows of a request when it is answered. What remains at its deadline is lost to the caller."""
        self._deadline.at = invocation.deadline
        while True:
            try:
                answered = self._answered.get(timeout=max(self._deadline.left(), 0.0))
            except queue.Empty:
                return
            self._write(answered)
            if answered.request_id == invocation.request_id:
                return

    def _write(self, answered: Answered) -> None:
        for records in answered.records:
            try:
                failures = self._writer.write(records)
            except Exception as error:  # whatever it is, the rows must not be silently gone
                failures = _handed_back(records, error, answered)
            if failures:
                self._lost(failures, answered.epoch_ms)


def _handed_back(records: Iterable[Record | Line], error: Exception, answered: Answered) -> list[RecordFailure]:
    """What the log says of rows that could not be written; where they can't be made either, of their request."""
    reason = f"{type(error).__name__}: {error}"
    try:
        return [RecordFailure.of(record, reason) for record in records]
    except Exception as also:  # whatever it is, the log must have the request
        request = {"request_id": getattr(records, "request_id", answered.request_id)}
        return [RecordFailure(request, f"its rows could not be made: {type(also).__name__}: {also}")]


def follow(api: ExtensionsApi, take: Callable[[Invocation], None]) -> None:
    """Hand each invocation to ``take``, in a thread, until the process ends.

    A request for which ``take`` raises is done with: the handler has failed for the same reason, and says so.
    """

    def forever() -> None:
        while True:
            invocation = api.next()
            with contextlib.suppress(Exception):
                take(invocation)

    threading.Thread(target=forever, name="after-answer", daemon=True).start()


def registered(variables: Mapping[str, str], name: str) -> ExtensionsApi | None:
    """The extension, where the process runs under Lambda and that takes it; else rows are written before the answer."""
    address = variables.get(RUNTIME_API)
    if not address:
        return None
    api = ExtensionsApi(address)
    try:
        api.register(name)
    except (ExtensionError, OSError):
        return None
    return api
