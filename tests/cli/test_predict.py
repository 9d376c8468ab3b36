"""``everloop predict`` takes what a person has at hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from everloop.cli.commands.predict import columns_of, rows_of, told_of
from everloop.cli.operations.predictions import predict

ROW = {"train_id": "t1", "distance": 3.0}


@pytest.mark.parametrize("given", [{"instances": [ROW]}, [ROW], ROW])
def test_a_body_a_list_and_a_row_ask_the_same(given: Any) -> None:
    assert rows_of(given) == [ROW]


def test_a_row_may_have_a_field_named_like_the_body() -> None:
    row = {"train_id": "t1", "instances": 4.0}
    assert rows_of(row) == [row]


@pytest.mark.parametrize(
    ("prediction", "columns"),
    [
        ({"prediction": 24.1, "raw_score": 24.0}, ["prediction"]),
        ({"prediction": 24.1, "low": 20.0, "high": 29.5}, ["prediction", "low", "high"]),
        ({"prediction": 1, "probability": 0.8}, ["prediction", "probability"]),
    ],
)
def test_a_column_is_shown_where_the_answer_has_it(prediction: dict[str, float], columns: list[str]) -> None:
    assert columns_of([prediction | {"prediction_id": "p-0"}]) == columns


def test_a_row_that_is_wrong_is_told_beside_the_others() -> None:
    answered: list[dict[str, Any]] = [
        {"prediction_id": "p-0", "prediction": 1, "probability": 0.8},
        {"error": {"code": "wrong_type", "message": "'wind' is a string; send a number", "field": "wind", "index": 1}},
    ]
    told = told_of(answered)
    assert told == [answered[0], {"error": "wrong_type: 'wind' is a string; send a number"}]
    assert columns_of(told) == ["prediction", "probability", "error"]


def test_the_good_rows_are_asked_for_by_name() -> None:
    sent: list[Any] = []

    class Http:
        def post(self, url: str, document: Any) -> Any:
            sent.append(document)
            return {}

    model: Any = SimpleNamespace(predictions_url="https://api.example/predictions")
    for good_rows in (False, True):
        predict(Http(), model, [ROW], good_rows=good_rows)
    assert sent == [{"instances": [ROW]}, {"instances": [ROW], "on_row_error": "report"}]
