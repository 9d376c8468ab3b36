"""The ASGI application of ``everloop serve``: one model, all protocols, a bounded queue."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from datetime import datetime
from typing import Any

from everloop.exceptions import TerminalError
from everloop.server.addresses import data_plane_path
from everloop.server.metrics import ServerMetrics
from everloop.serving.answer import Answer
from everloop.serving.exchange import HttpRequest, Reply
from everloop.serving.passed_on import encode_answer
from everloop.serving.passed_request import PASSED_ON, decode_request
from everloop.serving.protocols import PROTOCOLS, protocol_at
from everloop.serving.request import MAX_BODY_BYTES
from everloop.serving.response import RETRY_AFTER, RETRY_AFTER_SECONDS, STATUS_OF_CODE
from everloop.serving.service import PredictionService
from everloop.trace_context import traceparent_of

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BODY_SECONDS = 30
"""How long the rest of a body may take to arrive."""


class DisconnectedError(TerminalError):
    """The caller has gone: nothing that is sent to it arrives."""


class Application:
    """Answers requests in the order of their arrival, one at a time: a model takes the processor it runs on.

    Between two answers the event loop reads what has arrived. So pages are answered meanwhile, and a request that finds
    the queue full is refused at once, with 429, instead of waiting for an answer that comes too late.

    Parameters
    ----------
    service : PredictionService
        Its artefact is loaded.
    clock : callable
        The time at which a request arrives.
    queue : int
        Most requests that wait or are being answered.
    """

    def __init__(
        self,
        service: PredictionService,
        model: str,
        metrics: ServerMetrics,
        *,
        clock: Callable[[], datetime],
        queue: int,
    ) -> None:
        self._service = service
        self._model = model
        self._metrics = metrics
        self._clock = clock
        self._queue = queue
        self._waiting = 0
        self._turn = asyncio.Lock()
        self._ids = _request_ids()
        metrics.waiting = lambda: self._waiting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise NotImplementedError(f"only HTTP is answered, not {scope['type']!r}")
        request_id = next(self._ids)
        method = scope["method"]
        if scope["path"] == "/metrics" and method == "GET":
            await _send(send, 200, self._metrics.page(), request_id)
            return
        path = data_plane_path(scope["path"], self._model)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if method == "GET":
            # Who asks for a page wants to know how things stand, above all where the queue is full.
            await self._answer(send, path, HttpRequest(method, headers=headers), request_id)
            return
        try:
            body = await _body(receive)
        except DisconnectedError:
            return
        except TimeoutError:
            await self._refuse(send, path, "timeout", f"the body did not arrive within {BODY_SECONDS} s", request_id)
            return
        if self._waiting >= self._queue:
            message = f"{self._waiting} requests wait already; try again in {RETRY_AFTER_SECONDS} s"
            await self._refuse(send, path, "overloaded", message, request_id)
            return
        self._waiting += 1
        try:
            async with self._turn:
                if headers.get("content-type") == PASSED_ON:
                    await self._answer_passed_on(send, path, body, request_id)
                else:
                    await self._answer(send, path, HttpRequest(method, headers=headers, body=body), request_id)
                # What has arrived meanwhile is read, and refused if it is too much, before the next one's turn. Without
                # this each would find the queue empty: what is read at once would be answered before another waits.
                await asyncio.sleep(0)
        finally:
            self._waiting -= 1

    async def _answer(self, send: Send, path: str, request: HttpRequest, request_id: str) -> None:
        answer = self._answered(path, request, request_id, self._clock())
        await _send(send, answer.status, answer.reply, request_id)

    async def _answer_passed_on(self, send: Send, path: str, body: bytes, request_id: str) -> None:
        """Answer what the prediction function passes on, by the path, the name and the time that it says."""
        try:
            passed = decode_request(body)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            message = f"this is no request that the prediction function passes on: {type(error).__name__}: {error}"
            await self._refuse(send, path, "malformed_json", message, request_id)
            return
        answer = self._answered(passed.path, passed.request, passed.request_id, passed.at, unseen=passed.unseen)
        await _send(send, 200, Reply(encode_answer(answer), PASSED_ON), passed.request_id)

    def _answered(
        self, path: str, request: HttpRequest, request_id: str, at: datetime, *, unseen: bool = False
    ) -> Answer:
        started = time.perf_counter()
        name, _ = protocol_at(path)
        try:
            answer = self._service.answer(path, request, request_id=request_id, at=at, unseen=unseen)
        except Exception:
            logger.exception("request %s to %s failed", _named(request_id, request), path)
            reply = PROTOCOLS.load(name).refusal("internal_error", f"the server failed; its log has {request_id}")
            answer = Answer(500, reply)
        self._metrics.count(name, answer, time.perf_counter() - started)
        if answer.is_faulty:
            _log(answer, request_id, request)
        return answer

    async def _refuse(self, send: Send, path: str, code: str, message: str, request_id: str) -> None:
        name, _ = protocol_at(path)
        answer = Answer(STATUS_OF_CODE[code], PROTOCOLS.load(name).refusal(code, message), cause=code)
        self._metrics.count(name, answer, 0.0)
        headers = [(RETRY_AFTER.encode(), b"%d" % RETRY_AFTER_SECONDS)] if code == "overloaded" else []
        await _send(send, answer.status, answer.reply, request_id, headers)


def _request_ids() -> Iterator[str]:
    """Random names of 128 bits; to ask the system for each one by itself takes longer than all else about it."""
    while True:
        block = os.urandom(16 * 256).hex()
        yield from (block[at : at + 32] for at in range(0, len(block), 32))


async def _body(receive: Receive) -> bytes:
    """The whole body, or as much of it as shows that it is too large."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise DisconnectedError
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body
    parts, size = [body], len(body)
    async with asyncio.timeout(BODY_SECONDS):
        while message.get("more_body") and size <= MAX_BODY_BYTES:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise DisconnectedError
            parts.append(message.get("body", b""))
            size += len(parts[-1])
    return b"".join(parts)


async def _send(
    send: Send, status: int, reply: Reply, request_id: str, more: list[tuple[bytes, bytes]] | None = None
) -> None:
    headers = [
        (b"content-type", reply.content_type.encode()),
        (b"content-length", b"%d" % len(reply.body)),
        (b"x-request-id", request_id.encode()),
        *(more or ()),
    ]
    if reply.headers:
        headers += [(name.encode(), value.encode()) for name, value in reply.headers.items()]
    if status in (408, 413):  # the rest of the body is not read
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def _named(request_id: str, request: HttpRequest) -> str:
    """A request as log lines call it: by its id, and by the caller's own trace where it is part of one."""
    traceparent = traceparent_of(request.headers)
    return f"{request_id} (traceparent {traceparent})" if traceparent else request_id


def _log(answer: Answer, request_id: str, request: HttpRequest) -> None:
    name = _named(request_id, request)
    for failure in answer.lost:
        logger.error("row of request %s not captured: %s: %s", name, failure.reason, failure.record)
    fell_back = answer.fell_back
    if fell_back is not None:
        logger.error(
            "request %s fell back (%s) on the %s: %s%s",
            name,
            fell_back.reason,
            fell_back.use,
            fell_back.detail,
            f"; it failed too: {fell_back.failed}" if fell_back.failed else "",
        )
    if answer.no_score is not None:
        logger.error("request %s got no score: %s", name, answer.no_score.message)
