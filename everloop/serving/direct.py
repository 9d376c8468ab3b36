"""Answers most requests in one step: valid rows in the native protocol's form, and nothing unusual about them.

For one row a model takes less time than the steps of :class:`everloop.serving.service.PredictionService` around it: a
call, and an object to hand on, for each thing that may be different. What is the same for all requests of a version is
known once it is loaded. So a function is made of it then, which does what those steps do. Whatever it does not know it
leaves to them: it returns None, and nothing has been done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

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

Step = Callable[[bytes, str, datetime, float], "tuple[bytes, Rows, float, Sequence[RecordFailure]] | None"]
"""Takes a body of JSON, its request's id, when that arrived, and what the timer said then. Gives the answer's body, the
rows, how long they took in milliseconds, and which of them the stream did not take."""

Direct = Callable[[HttpRequest, str, datetime, float], Answer | None]
"""Takes the request in place of its body, and gives a whole answer."""

_NOTHING_WRONG = tuple(Answer._field_defaults.values())[2:]


def step_of(
    artifact: Artifact,
    served: ServedModel,
    writer: RecordWriter | None,
    timer: Callable[[], float],
    capturing: Capturing,
) -> Step | None:
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

    def step(
        data: bytes, request_id: str, at: datetime, started: float
    ) -> tuple[bytes, Rows, float, Sequence[RecordFailure]] | None:
        rows = rows_of_body(data)
        if rows is None:
            return None
        found = score(rows.num, rows.cat)
        if found is None:  # the steps find out whose fault it is
            return None
        raw, values = found
        scores = scores_of(raw, rows)
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
        return encode(document), rows, milliseconds(timer() - started), lost

    return step


def direct(step: Step) -> Direct:
    """What answers whole requests so."""

    def answer(request: HttpRequest, request_id: str, at: datetime, started: float) -> Answer | None:
        data = plain_body(request)
        found = None if data is None else step(data, request_id, at, started)
        if found is None:
            return None
        body, rows, latency_ms, lost = found
        reply = whole(Reply, (body, JSON, NO_HEADERS))
        return whole(Answer, (200, reply, answer_metrics(rows, latency_ms, lost), lost, *_NOTHING_WRONG))

    return answer


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
