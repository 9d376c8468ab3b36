"""Requests that the prediction function passes on to a container, and the answers on their way back.

The container has the data plane: it validates, scores and captures. The function keeps what only it can do: the
caller's status and headers, the log and the metrics. So a request crosses as a document with its path, headers, name
and time, and an answer with everything that is to be logged and counted. SageMaker's own status is that of the
transport, for which a refused request is a success.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Protocol

from everloop.emf import MetricValue
from everloop.serving.answer import Answer, FellBack
from everloop.serving.capture import RecordFailure
from everloop.serving.exceptions import ArtifactRefusedError, NoScoreError
from everloop.serving.exchange import HttpRequest, Reply
from everloop.serving.passed_request import PASSED_ON, PassedRequest, encode_request
from everloop.serving.protocols import PROTOCOLS, protocol_at
from everloop.serving.response import RETRY_AFTER, RETRY_AFTER_SECONDS, STATUS_OF_CODE


@dataclass(frozen=True)
class Invoked:
    """What an endpoint said: its status, the body, and, as far as it is known, the variant."""

    status: int
    body: bytes
    variant: str | None


class Endpoint(Protocol):
    """Something that answers invocations."""

    def invoke(self, body: bytes, content_type: str) -> Invoked:
        """The answer to one invocation, whatever its status."""
        ...


class PassingOn:
    """Answers by passing each request on to an endpoint: in place of a :class:`PredictionService`.

    Where versions are variants of one endpoint, ``by_variant``, the answer is that of a variant. An endpoint of one
    version is asked by one function version, which is what counts then.
    """

    def __init__(self, endpoint: Endpoint, *, by_variant: bool = True) -> None:
        self._asked = endpoint
        self._by_variant = by_variant

    def answer(self, path: str, request: HttpRequest, *, request_id: str, at: datetime, unseen: bool = False) -> Answer:
        """The container's answer; where there is none, one that says so in the protocol's form."""
        passed = PassedRequest(path, request, request_id, at, unseen)
        invoked = self._asked.invoke(encode_request(passed), PASSED_ON)
        variant = invoked.variant if self._by_variant else None
        if invoked.status == 200:
            return decode_answer(invoked.body, variant)
        code, message = _failure(invoked)
        protocol = PROTOCOLS.load(protocol_at(path)[0])
        refusal = protocol.refusal(code, message)
        if code == "overloaded":
            refusal = refusal._replace(headers={**refusal.headers, RETRY_AFTER: str(RETRY_AFTER_SECONDS)})
        return Answer(
            STATUS_OF_CODE[code],
            refusal,
            cause="overloaded" if code == "overloaded" else None,
            variant=variant,
            failed="" if code == "overloaded" else invoked.body[:1000].decode("utf-8", "replace"),
        )


def _failure(invoked: Invoked) -> tuple[str, str]:
    """The code and the message of an invocation without an answer."""
    told = _document(invoked.body)
    if invoked.status == 429 or told.get("OriginalStatusCode") == 429 or invoked.status == 503:
        return "overloaded", "the endpoint has no instance free; try again in a moment"
    return "internal_error", "the endpoint gave no answer; the owner has been notified"


def encode_answer(answer: Answer) -> bytes:
    """The document of an answer."""
    refused, no_score, fell_back = answer.refused, answer.no_score, answer.fell_back
    document = {
        "status": answer.status,
        "body": base64.b64encode(answer.reply.body).decode(),
        "content_type": answer.reply.content_type,
        "headers": dict(answer.reply.headers),
        "metrics": [[metric.name, metric.value, metric.unit] for metric in answer.metrics],
        "lost": [[failure.record, failure.reason] for failure in answer.lost],
        "refused": None if refused is None else [refused.file, refused.expected, refused.found],
        "no_score": None if no_score is None else [no_score.message, no_score.field, no_score.index, no_score.rows],
        "cause": answer.cause,
        "fell_back": None if fell_back is None else asdict(fell_back),
    }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def decode_answer(body: bytes, variant: str | None) -> Answer:
    """The inverse, with the variant that gave the answer."""
    document = json.loads(body)
    refused, no_score = document["refused"], document["no_score"]
    # An image of before there were fallbacks says nothing of them.
    fell_back = document.get("fell_back")
    return Answer(
        status=int(document["status"]),
        reply=Reply(base64.b64decode(document["body"]), document["content_type"], document["headers"]),
        metrics=[MetricValue(name, value, unit) for name, value, unit in document["metrics"]],
        lost=[RecordFailure(record, reason) for record, reason in document["lost"]],
        refused=None if refused is None else ArtifactRefusedError(refused[0], expected=refused[1], found=refused[2]),
        no_score=None
        if no_score is None
        else NoScoreError(no_score[0], field=no_score[1], index=no_score[2], rows=no_score[3]),
        cause=document["cause"],
        variant=variant,
        fell_back=None if fell_back is None else FellBack(**fell_back),
    )


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
