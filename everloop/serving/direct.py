"""Answers most requests in one step: valid rows in the native protocol's form, and nothing unusual about them.

For one row a model takes less time than the steps of :class:`everloop.serving.service.PredictionService` around it: a
call, and an object to hand on, for each thing that may be different. What is the same for all requests of a version is
known once it is loaded. So a function is made of it then, which does what those steps do. Whatever it does not know it
leaves to them: it returns None, and nothing has been done.

Most of a model's time for one row is its call's, and not the row's: 32 rows take less than twice as long as one. So
where several requests wait, their rows are scored together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

import numpy as np

from everloop.prediction_ids import ALL, prediction_id
from everloop.serving.answer import Answer, answer_metrics, milliseconds
from everloop.serving.artifact import Artifact
from everloop.serving.body import plain_body
from everloop.serving.capture import Captured, RecordFailure, RecordWriter, captured
from everloop.serving.contract import ServingContract
from everloop.serving.declared import Capturing
from everloop.serving.exchange import JSON, NO_HEADERS, HttpRequest, Reply, whole
from everloop.serving.protocols import ServedModel
from everloop.serving.response import output_rows
from everloop.serving.rows import Rows
from everloop.serving.scores import Scores


class Asked(NamedTuple):
    """A request: its body of JSON, its id, when it arrived, and what the timer said when its answer was begun."""

    data: bytes
    request_id: str
    at: datetime
    started: float


class Answered(NamedTuple):
    """The answer's body, the rows, how long they took in milliseconds, and which of them the stream did not take."""

    body: bytes
    rows: Rows
    latency_ms: float
    lost: Sequence[RecordFailure]


Step = Callable[[bytes, str, datetime, float], Answered | None]
"""Takes the fields of :class:`Asked`."""

Together = Callable[[Sequence[Asked]], list[Answered | None]]
"""The same for several requests, each of which is answered or not by itself."""


class Steps(NamedTuple):
    """Answers one request, and several."""

    one: Step
    together: Together


Direct = Callable[[HttpRequest, str, datetime, float], Answer | None]
"""Takes the request in place of its body, and gives a whole answer."""

_NOTHING_WRONG = tuple(Answer._field_defaults.values())[2:]


def steps_of(
    artifact: Artifact,
    served: ServedModel,
    writer: RecordWriter | None,
    timer: Callable[[], float],
    capturing: Capturing,
) -> Steps | None:
    """What answers bodies of the native protocol by a loaded version; None where a step of it needs more.

    The arguments are those of the service. What the model raises, it raises too: a failure counts once, though the next
    attempt might succeed.
    """
    contract, parser, version = artifact.contract, served.parser, served.version
    encode, rows_of_body = parser.encode, parser.rows_of_body
    if encode is None or contract.is_multiclass or contract.interval is not None:
        return None
    score, scores_of, model = artifact.scorer.plain, artifact.scores, contract.model
    predictions = _predictions(contract)

    def answered(
        rows: Rows, scores: Scores, values: list[float], request_id: str, at: datetime, started: float
    ) -> Answered:
        if capturing.share < ALL:
            scores = scores._replace(captured_share=capturing.share)
        lost: Sequence[RecordFailure] = ()
        if writer is not None:
            latency_ms = milliseconds(timer() - started)
            make = partial(captured, contract, rows, scores, version, request_id, at, latency_ms, capturing.masked)
            lost = writer.write(Captured(make, request_id))
        document = {
            "model": model,
            "version": version,
            "calibration": scores.calibration,
            "predictions": predictions(scores, values, request_id),
        }
        return whole(Answered, (encode(document), rows, milliseconds(timer() - started), lost))

    def step(data: bytes, request_id: str, at: datetime, started: float) -> Answered | None:
        rows = rows_of_body(data)
        if rows is None:
            return None
        found = score(rows.num, rows.cat)
        if found is None:  # the steps find out whose fault it is
            return None
        raw, values = found
        return answered(rows, scores_of(raw, rows), values, request_id, at, started)

    def together(asked: Sequence[Asked]) -> list[Answered | None]:
        read = [rows_of_body(one.data) for one in asked]
        right = [rows for rows in read if rows is not None]
        if not right:
            return [None] * len(read)
        joined = _joined(right)
        found = score(joined.num, joined.cat)
        if found is None:  # one row's fault, and no other's
            return [None] * len(read)
        raw, values = found
        of_all = scores_of(raw, joined)
        answers: list[Answered | None] = []
        begin = 0
        for rows, (_, request_id, at, started) in zip(read, asked, strict=True):
            if rows is None:
                answers.append(None)
                continue
            end = begin + len(rows.keys)
            answers.append(answered(rows, _part(of_all, begin, end), values[begin:end], request_id, at, started))
            begin = end
        return answers

    return Steps(step, together)


def _joined(several: Sequence[Rows]) -> Rows:
    """The rows of several requests, as the model takes them."""
    keys = [key for rows in several for key in rows.keys]
    return Rows(keys, np.concatenate([rows.num for rows in several]), np.concatenate([rows.cat for rows in several]))


def _part(scores: Scores, begin: int, end: int) -> Scores:
    """The scores of some rows; of an answer without classes and interval."""
    raw, served, sha256 = scores[:3]
    own = raw[begin:end]
    return whole(Scores, (own, own if served is raw else served[begin:end], sha256, *scores[3:]))


def direct(step: Step) -> Direct:
    """What answers whole requests so."""

    def answer(request: HttpRequest, request_id: str, at: datetime, started: float) -> Answer | None:
        data = plain_body(request)
        found = None if data is None else step(data, request_id, at, started)
        if found is None:
            return None
        return answer_of(found)

    return answer


def answer_of(answered: Answered) -> Answer:
    """The whole answer, with what is counted."""
    body, rows, latency_ms, lost = answered
    reply = whole(Reply, (body, JSON, NO_HEADERS))
    return whole(Answer, (200, reply, answer_metrics(rows, latency_ms, lost), lost, *_NOTHING_WRONG))


def _predictions(contract: ServingContract) -> Callable[[Scores, list[float], str], list[dict[str, object]]]:
    """Makes the rows of :func:`everloop.serving.response.output_rows`, of a contract without classes and interval.

    Beside the scores it takes what the model said, as a list.
    """
    threshold, is_classification = contract.threshold, contract.is_classification

    def predictions(scores: Scores, said: list[float], request_id: str) -> list[dict[str, object]]:
        if len(said) > 1:
            return output_rows(contract, scores, request_id)
        (raw,), served, share = said, scores.served, scores.captured_share
        value = raw if served is scores.raw else float(served[0])
        name = f"{request_id}-0" if share >= ALL else prediction_id(request_id, 0, share)
        if not is_classification:
            return [{"prediction_id": name, "prediction": value, "raw_score": raw}]
        acts = 1 if value >= threshold else 0
        return [{"prediction_id": name, "prediction": acts, "raw_score": raw, "probability": value}]

    return predictions
