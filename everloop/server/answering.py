"""Asks the service, counts what it answers, and logs what its owner must look at."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from everloop.server.metrics import ServerMetrics
from everloop.serving.answer import Answer
from everloop.serving.direct import Answered, answer_of
from everloop.serving.exchange import HttpRequest, Reply
from everloop.serving.protocols import NATIVE, PROTOCOLS, protocol_at
from everloop.serving.response import RETRY_AFTER, RETRY_AFTER_SECONDS, STATUS_OF_CODE
from everloop.serving.service import PredictionService
from everloop.trace_context import traceparent_of

logger = logging.getLogger(__name__)


@dataclass
class Places:
    """The places of the queue: how many requests wait or are being answered, and how many may."""

    most: int
    taken: int = 0

    @property
    def are_all_taken(self) -> bool:
        """Whether one more request is too much."""
        return self.taken >= self.most


class Answering:
    """What is done of any request, however it came."""

    def __init__(self, service: PredictionService, metrics: ServerMetrics) -> None:
        self.service = service
        self.metrics = metrics

    def answer(
        self,
        path: str,
        request: HttpRequest,
        request_id: str,
        at: datetime,
        *,
        unseen: bool = False,
        failed: Exception | None = None,
    ) -> Answer:
        """The service's answer (see :meth:`PredictionService.answer`); where it fails, the protocol's 500."""
        started = time.perf_counter()
        name, _ = protocol_at(path)
        try:
            answer = self.service.answer(path, request, request_id=request_id, at=at, unseen=unseen, failed=failed)
        except Exception:
            logger.exception("request %s to %s failed", _named(request_id, request.headers), path)
            reply = PROTOCOLS.load(name).refusal("internal_error", f"the server failed; its log has {request_id}")
            answer = Answer(500, reply)
        self.metrics.count(name, answer, time.perf_counter() - started)
        if answer.is_faulty:
            _log(answer, request_id, request.headers)
        return answer

    def refuse(self, path: str, code: str, message: str) -> Answer:
        """The answer to a request that the service is not asked about."""
        name, _ = protocol_at(path)
        reply = PROTOCOLS.load(name).refusal(code, message)
        if code == "overloaded":
            reply = reply._replace(headers={**reply.headers, RETRY_AFTER: str(RETRY_AFTER_SECONDS)})
        answer = Answer(STATUS_OF_CODE[code], reply, cause=code)
        self.metrics.count(name, answer, 0.0)
        return answer

    def overloaded(self, path: str, places: Places) -> Answer:
        """The answer to a request that finds no place."""
        message = f"{places.taken} requests wait already; try again in {RETRY_AFTER_SECONDS} s"
        return self.refuse(path, "overloaded", message)

    def count(self, answered: Answered, request_id: str, headers: Mapping[str, str]) -> None:
        """Count and log what the service has answered in one step, by the native protocol."""
        answer = answer_of(answered)
        self.metrics.count(NATIVE, answer, answered.latency_ms / 1000)
        if answer.is_faulty:
            _log(answer, request_id, headers)


def header_pairs(status: int, reply: Reply, request_id: str) -> list[tuple[bytes, bytes]]:
    """The headers of an answer."""
    pairs = [
        (b"content-type", reply.content_type.encode()),
        (b"content-length", b"%d" % len(reply.body)),
        (b"x-request-id", request_id.encode()),
    ]
    if reply.headers:
        pairs += [(name.encode(), value.encode()) for name, value in reply.headers.items()]
    if status in (408, 413):  # the rest of the body is not read
        pairs.append((b"connection", b"close"))
    return pairs


def _named(request_id: str, headers: Mapping[str, str]) -> str:
    """A request as log lines call it: by its id, and by the caller's own trace where it is part of one."""
    traceparent = traceparent_of(headers)
    return f"{request_id} (traceparent {traceparent})" if traceparent else request_id


def _log(answer: Answer, request_id: str, headers: Mapping[str, str]) -> None:
    name = _named(request_id, headers)
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
