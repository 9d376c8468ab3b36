"""A declared fallback answers what the problem asks for, by something that can answer a row alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from everloop.rollout.declared_place import declared_place
from everloop.serving.declared import declared_fallback
from tests.helpers.declarations import binary_document, declare, regression_document, with_endpoint


def having(fallback: Any, document: dict[str, Any] | None = None) -> dict[str, Any]:
    document = document or binary_document()
    document.setdefault("serving", {})["fallback"] = fallback
    return document


@pytest.mark.parametrize(
    ("fallback", "message"),
    [
        ({"use": "value"}, "a number: the score that everyone is answered"),
        ({"use": "value", "value": 1.2}, "a probability, from 0 to 1"),
        ({"use": "value", "value": {"a": 0.5, "b": 0.5}}, "a number: the score"),
        ({"use": "value", "value": float("nan")}, "a number, or a probability of each class"),
        ({"use": "value", "value": True}, "a number, or a probability of each class"),
        ({"use": "value", "value": {"a": 1.5}}, "probabilities, each from 0 to 1"),
        ({"use": "baseline", "value": 0.2}, "no 'value' with the use baseline"),
        ({"use": "previous_champion", "value": 0.2}, "no 'value' with the use previous_champion"),
        ({"use": "value", "value": 0.2, "after_ms": 60_000}, "less than serving.timeout_seconds"),
        ({"use": "guess"}, "serving.fallback.use"),
    ],
)
def test_what_answers_nothing_is_refused(fallback: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        declare(having(fallback))
    assert message in str(caught.value)


def test_a_baseline_that_needs_more_than_a_row_is_none() -> None:
    document = having({"use": "baseline"})
    document["problem"]["baseline"] = {"kind": "last_value"}
    with pytest.raises(ValidationError, match="the baseline last_value can't answer a row alone"):
        declare(document)


def test_a_value_may_be_any_number_of_a_regression() -> None:
    fallback = declare(having({"use": "value", "value": -12}, regression_document())).serving.fallback
    assert fallback is not None
    assert fallback.value == -12.0


def test_a_container_is_told_of_it() -> None:
    declaration = declare(with_endpoint(having({"use": "value", "value": 0.2, "after_ms": 80.0})))
    place = declared_place(declaration, role_arn="arn", artifact_bucket="b").endpoint
    assert place is not None
    assert declared_fallback(json.loads(place.declared)) == {"use": "value", "value": 0.2, "after_ms": 80.0}
