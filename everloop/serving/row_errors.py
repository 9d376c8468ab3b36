"""Answers the rows of a request that are right, where its caller wants to know what is wrong with each other one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from everloop.serving.exceptions import NoScoreError, RequestError
from everloop.serving.request import RequestParser
from everloop.serving.response import ErrorFacts, error_document
from everloop.serving.rows import Rows


class RightRows(NamedTuple):
    """The rows that were scored, their raw scores, and what is wrong with the others.

    ``no_score`` is the first failure of the model, where it had no score for a row that its contract allows.
    """

    rows: Rows
    raw: np.ndarray
    errors: dict[int, ErrorFacts]
    no_score: NoScoreError | None


def right_rows(
    parser: RequestParser, instances: Sequence[object], score: Callable[[Rows], np.ndarray]
) -> RightRows | None:
    """Score the rows that are right; None where none is.

    Each row is read by itself, and scored by itself too where the model has no score for all of them. Of rows with the
    same key the first is right.

    Parameters
    ----------
    instances : sequence of object
        As a protocol read them out of a request.
    score : callable
        Raises :class:`RequestError` or :class:`NoScoreError` for a row that gets no score.
    """
    errors: dict[int, ErrorFacts] = {}
    places: list[int] = []
    first: dict[str, int] = {}
    for place, instance in enumerate(instances):
        try:
            key = parser.rows([instance]).keys[0]
        except RequestError as error:
            errors[place] = _facts(error, place)
            continue
        if key in first:
            name = parser.contract.key
            message = f"instances {first[key]} and {place} have the same {name!r}, {key!r}"
            errors[place] = error_document("duplicate_key", message, field=name, index=place)["error"]
            continue
        first[key] = place
        places.append(place)
    if not places:
        return None
    rows, no_score = parser.rows([instances[place] for place in places]), None
    try:
        return RightRows(rows, score(rows), errors, None)
    except (RequestError, NoScoreError):
        places, no_score = _scored(parser, instances, places, score, errors)
    if not places:
        return None
    rows = parser.rows([instances[place] for place in places])
    return RightRows(rows, score(rows), errors, no_score)


def _scored(
    parser: RequestParser,
    instances: Sequence[object],
    places: Sequence[int],
    score: Callable[[Rows], np.ndarray],
    errors: dict[int, ErrorFacts],
) -> tuple[list[int], NoScoreError | None]:
    """The places of the rows that get a score; what is said against the others is put to the errors."""
    kept: list[int] = []
    failure: NoScoreError | None = None
    for place in places:
        try:
            score(parser.rows([instances[place]]))
        except RequestError as error:
            errors[place] = _facts(error, place)
        except NoScoreError as error:
            failure = failure or error
            message = "the model has no score for this row, which its contract allows: its owner has been notified"
            errors[place] = error_document("no_score", message, field=error.field, index=place)["error"]
        else:
            kept.append(place)
    return kept, failure


def _facts(error: RequestError, place: int) -> ErrorFacts:
    return error_document(error.code, error.message, field=error.field, index=place)["error"]
