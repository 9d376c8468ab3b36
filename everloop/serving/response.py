"""Writes answers: predictions, errors, and both as HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypedDict

import numpy as np

from everloop.serving.contract import ServingContract
from everloop.serving.exceptions import RequestError

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
    "conflicting_labels": 400,
    "too_large": 413,
    "unsupported_media_type": 415,
    "no_score": 500,
    "no_champion": 503,
    "artifact_refused": 503,
    "labels_not_stored": 503,
}
"""HTTP status of every error code that an answer can carry."""

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


def prediction_id(request_id: str, index: int) -> str:
    """The name of the prediction for instance ``index`` of a request."""
    return f"{request_id}-{index}"


def decide(contract: ServingContract, scores: np.ndarray) -> list[int] | list[float]:
    """What is answered for each score: 0 or 1 from the threshold up, or the value itself (regression)."""
    if contract.is_classification:
        labels: list[int] = (scores >= contract.threshold).astype(int).tolist()
        return labels
    values: list[float] = scores.tolist()
    return values


class ErrorFacts(TypedDict):
    """Why there is no prediction; ``field`` and ``index`` say where, as far as that is known."""

    code: str
    message: str
    field: str | None
    index: int | None


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
