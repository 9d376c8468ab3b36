"""Answers plain requests with none of ASGI's steps between, and those that wait at the same time together.

Each step of a server's interface takes less than the model, but all of them take longer; and a model takes little more
time for the rows of thirty callers than for one's.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from time import perf_counter
from typing import NamedTuple, Protocol

from everloop.server.answering import Answering, Places, header_pairs
from everloop.server.plain_heads import Plain, PlainHeads
from everloop.serving.answer import Answer
from everloop.serving.direct import Answered, Asked
from everloop.serving.exchange import HttpRequest
from everloop.serving.protocols import NATIVE

logger = logging.getLogger(__name__)

LONGEST_SECONDS = 0.001
"""How long several requests may take together: so much longer a caller may wait because of others that came later."""

_USUAL = b"content-type: application/json\r\ncontent-length: %d\r\nx-request-id: %b\r\n\r\n%b"


class Caller(Protocol):
    """Who has asked, and waits."""

    def tell(self, status: int, rest: bytes) -> None:
        """Send an answer: its status, and of its bytes the headers, the empty line and the body."""
        ...


class _Waiting(NamedTuple):
    caller: Caller
    plain: Plain
    request_id: str


class PlainRequests:
    """Those that wait, in the order of their arrival.

    Parameters
    ----------
    model : str
        Whose predictions are asked for.
    places : Places
        Those of all requests of the server.
    clock : callable
        The time at which a request arrives.
    ids : iterator of str
        Names of requests.

    Attributes
    ----------
    plain : callable
        What is asked by some bytes, where they are one plain request; see :meth:`PlainHeads.plain`.
    """

    def __init__(
        self, model: str, answering: Answering, places: Places, *, clock: Callable[[], datetime], ids: Iterator[str]
    ) -> None:
        self.plain = PlainHeads(model).plain
        self._answering = answering
        self._service = answering.service
        self._places = places
        self._clock = clock
        self._ids = ids
        self._waiting: deque[_Waiting] = deque()
        self._together = 1
        self._is_due = False
        self._count_rows = answering.metrics.count_rows

    @property
    def are_taken(self) -> bool:
        """Whether plain requests are answered here.

        They are not before the model has answered for the first time, nor where something limits its time.
        """
        return self._service.step is not None

    def add(self, caller: Caller, plain: Plain) -> None:
        """Answer a request in its turn."""
        one, places = _Waiting(caller, plain, next(self._ids)), self._places
        if places.are_all_taken:
            self._tell(caller, self._answering.overloaded(NATIVE, places), one.request_id)
            return
        places.taken += 1
        self._waiting.append(one)
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._answer_in_turn)

    def answer(self, caller: Caller, plain: Plain) -> None:
        """Answer a request at once, if none waits: its caller is alone, so no other can have come with it."""
        if self._places.taken or not self._places.most:
            self.add(caller, plain)
        else:
            self._answer_alone(caller, plain, next(self._ids))

    def answer_some(self) -> None:
        """Answer those that have waited longest, as many as take a short time together."""
        taken = [self._waiting.popleft() for _ in range(min(self._together, len(self._waiting)))]
        if not taken:
            return
        began = perf_counter()
        try:
            if len(taken) == 1:
                self._answer_alone(*taken[0])
            else:
                self._answer_together(taken, began)
        finally:
            self._places.taken -= len(taken)
        self._learn(len(taken), perf_counter() - began)

    def _answer_alone(self, caller: Caller, plain: Plain, request_id: str) -> None:
        at, step = self._clock(), self._service.step
        assert step is not None  # it was there when the request was taken, and stays
        try:
            answered = step(plain[0], request_id, at, perf_counter())
        except Exception as error:  # whatever it is, the steps say what comes of it
            self._answer_by_steps(caller, plain, request_id, at, error)
            return
        self._tell_answered(caller, plain, request_id, answered, at)

    def _answer_together(self, taken: list[_Waiting], began: float) -> None:
        at, together = self._clock(), self._service.together
        assert together is not None  # as above
        answers: list[Answered | None] = [None] * len(taken)
        try:
            answers = together([Asked(plain.body, request_id, at, began) for _, plain, request_id in taken])
        except Exception as error:
            logger.warning("%d requests failed together, so each is asked alone: %r", len(taken), error)
        for one, answered in zip(taken, answers, strict=True):
            self._tell_answered(*one, answered, at)

    def _tell_answered(
        self, caller: Caller, plain: Plain, request_id: str, answered: Answered | None, at: datetime
    ) -> None:
        """Send the answer; of a request that is not as plain as it looked, by the steps."""
        if answered is None:
            self._answer_by_steps(caller, plain, request_id, at, None)
            return
        body, rows, latency_ms, lost = answered
        caller.tell(200, _USUAL % (len(body), request_id.encode(), body))
        if lost or rows.unseen:
            self._answering.count(answered, request_id, plain.headers)
        else:
            self._count_rows(len(rows.keys), latency_ms)

    def _answer_by_steps(
        self, caller: Caller, plain: Plain, request_id: str, at: datetime, failed: Exception | None
    ) -> None:
        request = HttpRequest(headers=plain.headers, body=plain.body)
        self._tell(caller, self._answering.answer(NATIVE, request, request_id, at, failed=failed), request_id)

    def _answer_in_turn(self) -> None:
        self.answer_some()
        self._is_due = bool(self._waiting)
        if self._is_due:  # what has arrived meanwhile is read before the next ones' turn
            asyncio.get_running_loop().call_soon(self._answer_in_turn)

    def _learn(self, count: int, seconds: float) -> None:
        """Twice as many the next time, or half as many, by how long these took."""
        if seconds > LONGEST_SECONDS:
            self._together = max(1, count // 2)
        elif count == self._together and seconds <= LONGEST_SECONDS / 2:
            self._together = min(2 * count, self._places.most)

    def _tell(self, caller: Caller, answer: Answer, request_id: str) -> None:
        pairs = header_pairs(answer.status, answer.reply, request_id)
        head = b"".join(b"%b: %b\r\n" % pair for pair in pairs)
        caller.tell(answer.status, head + b"\r\n" + answer.reply.body)
