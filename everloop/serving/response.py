"""Writes answers: predictions, errors, and both as HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np

from everloop.prediction_ids import ALL, prediction_id
from everloop.serving.contract import ServingContract
from everloop.serving.exceptions import RequestError
from everloop.serving.exchange import Reply
from everloop.serving.scores import Scores

STATUS_OF_CODE = {
    "malformed_json": 400,
    "no_instances": 400,
    "too_many_instances": 400,
    "missing_feature": 400,
    "unknown_feature": 400,
    "wrong_type": 400,
    "not_finite": 400,
    "out_of_range": 400,
    "missing_not_allowed": 400,
    "unseen_category": 400,
    "too_long": 400,
    "duplicate_key": 400,
    "no_labels": 400,
    "too_many_labels": 400,
    "missing_field": 400,
    "unknown_field": 400,
    "label_not_binary": 400,
    "unknown_class": 400,
    "conflicting_labels": 400,
    "wrong_shape": 400,
    "unknown_output": 400,
    "unknown_path": 404,
    "unknown_model": 404,
    "unknown_version": 404,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "timeout": 408,
    "too_large": 413,
    "unsupported_media_type": 415,
    "overloaded": 429,
    "internal_error": 500,
    "no_score": 500,
    "no_champion": 503,
    "artifact_refused": 503,
    "labels_not_stored": 503,
}
"""HTTP status of every error code that an answer can carry."""

RETRY_AFTER = "retry-after"
RETRY_AFTER_SECONDS = 1
"""What a caller is told beside ``overloaded``: a busy server is free again in about the time of its queue."""

FALLBACK_HEADER = "x-everloop-fallback"
"""Of an answer that the model did not give: what gave it. A caller of SageMaker's reads it as custom attributes."""

CUSTOM_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"

PROBABILITIES = "probabilities"
"""The output that has a probability of each class; each protocol lays it out in its own way."""

CONTRACT_CODES = frozenset(
    {
        "missing_feature",
        "unknown_feature",
        "wrong_type",
        "out_of_range",
        "missing_not_allowed",
        "unseen_category",
        "too_long",
        "too_many_instances",
    }
)
"""Refusals that depend on a version's contract: what one version refuses so, another may take."""


def prediction_ids(scores: Scores, request_id: str) -> list[str]:
    """The names of a request's predictions, in its order."""
    share, rows = scores.captured_share, len(scores.served)
    if share < ALL:
        return [prediction_id(request_id, i, share) for i in range(rows)]
    return [f"{request_id}-0"] if rows == 1 else [f"{request_id}-{i}" for i in range(rows)]


def decide(contract: ServingContract, scores: np.ndarray) -> list[int] | list[float]:
    """What is answered for each score: 0 or 1 from the threshold up, the place of the likeliest class (of equally
    likely ones the first), or the value itself (regression).
    """
    if contract.is_multiclass:
        places: list[int] = scores.argmax(axis=1).tolist()
        return places
    if contract.is_classification:
        threshold = contract.threshold
        return [1 if score >= threshold else 0 for score in scores.tolist()]
    values: list[float] = scores.tolist()
    return values


def decisions(contract: ServingContract, scores: Scores) -> list[int] | list[float]:
    """What is answered for each row: :func:`decide`'s, unless a rule that decides by itself gave the scores."""
    return decide(contract, scores.served) if scores.acts is None else [int(acts) for acts in scores.acts]


def outputs(contract: ServingContract, scores: Scores, request_id: str) -> dict[str, list[Any]]:
    """What is answered for each row of a request, by name, in the request's order: the columns of every protocol.

    The names are those of :func:`output_rows`; a request has a row at least.
    """
    if contract.is_multiclass:
        rows = output_rows(contract, scores, request_id)
        return {name: [row[name] for row in rows] for name in rows[0]}
    columns: dict[str, list[Any]] = {
        "prediction_id": prediction_ids(scores, request_id),
        "prediction": decisions(contract, scores),
        "raw_score": scores.raw.tolist(),
    }
    if contract.is_classification:
        columns["probability"] = scores.served.tolist()
    if scores.bounds is not None:
        columns |= {"low": scores.bounds.low.tolist(), "high": scores.bounds.high.tolist()}
    return columns


def output_rows(contract: ServingContract, scores: Scores, request_id: str) -> list[dict[str, object]]:
    """What is answered for each row of a request, in the request's order: an object a row, all with the same names.

    ``prediction_id`` is the name that labels use; ``prediction`` what is decided; ``raw_score`` what the model said
    before its calibration; ``probability`` (classification) what is served; ``low`` and ``high``, where the version has
    an interval, its bounds. Of several classes ``prediction`` is the likeliest one's name, ``probability`` how likely
    it is, and ``probabilities`` has that of each class by name; nothing is calibrated, so there is no ``raw_score``.
    """
    ids, served = prediction_ids(scores, request_id), scores.served.tolist()
    if contract.is_multiclass:
        return _of_classes(contract, decide(contract, scores.served), served, ids)
    values = decisions(contract, scores)
    raw = served if scores.raw is scores.served else scores.raw.tolist()
    rows: list[dict[str, object]] = [
        {"prediction_id": name, "prediction": value, "raw_score": said, "probability": probability}
        for name, value, said, probability in zip(ids, values, raw, served, strict=True)
    ]
    if not contract.is_classification:
        for row in rows:
            del row["probability"]
    if scores.bounds is not None:
        for row, low, high in zip(rows, scores.bounds.low.tolist(), scores.bounds.high.tolist(), strict=True):
            row |= {"low": low, "high": high}
    return rows


def _of_classes(
    contract: ServingContract, places: Sequence[float], served: list[list[float]], ids: list[str]
) -> list[dict[str, object]]:
    names = [str(name) for name in contract.classes]
    return [
        {
            "prediction_id": name,
            "prediction": contract.classes[int(place)],
            "probability": row[int(place)],
            PROBABILITIES: dict(zip(names, row, strict=True)),
        }
        for name, place, row in zip(ids, places, served, strict=True)
    ]


def about_scores(scores: Scores) -> dict[str, object]:
    """What an answer says of all its scores: their calibration, the coverage of their bounds, and which fallback gave
    them; the latter two if any.
    """
    about: dict[str, object] = {"calibration": scores.calibration}
    if scores.bounds is not None:
        about["coverage"] = scores.bounds.coverage
    if scores.fallback is not None:
        about["fallback"] = scores.fallback
    return about


class ErrorFacts(TypedDict):
    """Why there is no prediction; ``field`` and ``index`` say where, as far as that is known."""

    code: str
    message: str
    field: str | None
    index: int | None


Errors = Mapping[int, ErrorFacts]
"""What is wrong with rows, by their places in the request, from 0."""


class ErrorDocument(TypedDict):
    """The answer to a request that got no prediction."""

    error: ErrorFacts


class HttpResponse(TypedDict):
    """An HTTP API's response (payload format 2.0)."""

    statusCode: int
    headers: dict[str, str]
    body: str
    isBase64Encoded: bool


def error_document(code: str, message: str, *, field: str | None = None, index: int | None = None) -> ErrorDocument:
    """The answer to a request that got no prediction."""
    return {"error": {"code": code, "message": message, "field": field, "index": index}}


def request_error_document(error: RequestError) -> ErrorDocument:
    """The answer to a refused request."""
    return error_document(error.code, error.message, field=error.field, index=error.index)


def http_response(status: int, document: Mapping[str, object]) -> HttpResponse:
    """An HTTP API response (payload format 2.0) with ``document`` as its JSON body."""
    headers = {"content-type": "application/json"}
    body = json.dumps(document, separators=(",", ":"), allow_nan=False)
    return {"statusCode": status, "headers": headers, "body": body, "isBase64Encoded": False}


def http_reply(status: int, reply: Reply) -> HttpResponse:
    """An HTTP API response (payload format 2.0) of a protocol's reply; what is no text goes in base64."""
    try:
        body, in_base64 = reply.body.decode(), False
    except UnicodeDecodeError:
        body, in_base64 = base64.b64encode(reply.body).decode(), True
    headers = {"content-type": reply.content_type}
    if reply.headers:
        headers |= reply.headers
    return {"statusCode": status, "headers": headers, "body": body, "isBase64Encoded": in_base64}
