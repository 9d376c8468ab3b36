"""The ASGI application of ``everloop serve``: one model, all protocols, a bounded queue."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from datetime import datetime
from typing import Any

from everloop.exceptions import TerminalError
from everloop.server.addresses import data_plane_path
from everloop.server.answering import Answering, Places, header_pairs
from everloop.server.metrics import ServerMetrics
from everloop.server.plain_requests import PlainRequests
from everloop.serving.exchange import HttpRequest, Reply
from everloop.serving.passed_on import encode_answer
from everloop.serving.passed_request import PASSED_ON, decode_request
from everloop.serving.request import MAX_BODY_BYTES
from everloop.serving.service import PredictionService

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

    Attributes
    ----------
    plain : PlainRequests
        Answers most requests, which the server need not hand on to the application.
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
        self._answering = Answering(service, metrics)
        self._model = model
        self._metrics = metrics
        self._clock = clock
        self._places = Places(queue)
        self._turn = asyncio.Lock()
        self._ids = _request_ids()
        self.plain = PlainRequests(model, self._answering, self._places, clock=clock, ids=self._ids)
        metrics.waiting = lambda: self._places.taken

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
        if self._places.are_all_taken:
            answer = self._answering.overloaded(path, self._places)
            await _send(send, answer.status, answer.reply, request_id)
            return
        self._places.taken += 1
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
            self._places.taken -= 1

    async def _answer(self, send: Send, path: str, request: HttpRequest, request_id: str) -> None:
        answer = self._answering.answer(path, request, request_id, self._clock())
        await _send(send, answer.status, answer.reply, request_id)

    async def _answer_passed_on(self, send: Send, path: str, body: bytes, request_id: str) -> None:
        """Answer what the prediction function passes on, by the path, the name and the time that it says."""
        try:
            passed = decode_request(body)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            message = f"this is no request that the prediction function passes on: {type(error).__name__}: {error}"
            await self._refuse(send, path, "malformed_json", message, request_id)
            return
        answer = self._answering.answer(passed.path, passed.request, passed.request_id, passed.at, unseen=passed.unseen)
        await _send(send, 200, Reply(encode_answer(answer), PASSED_ON), passed.request_id)

    async def _refuse(self, send: Send, path: str, code: str, message: str, request_id: str) -> None:
        answer = self._answering.refuse(path, code, message)
        await _send(send, answer.status, answer.reply, request_id)


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


async def _send(send: Send, status: int, reply: Reply, request_id: str) -> None:
    await send({"type": "http.response.start", "status": status, "headers": header_pairs(status, reply, request_id)})
    await send({"type": "http.response.body", "body": reply.body})
