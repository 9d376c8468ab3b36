"""``data.training_spans``: the lengths of which evidence chooses one for each training."""

from __future__ import annotations

from typing import Any

import pytest

from everloop.model_file.exceptions import ModelFileError
from everloop.model_file.reader import parse_model_file
from tests.helpers.declarations import as_yaml, binary_document

INVESTMENT = {"investment": {}, "cooldown_days": 14, "quota": {"runs": 4, "days": 60}}


def told(data: dict[str, Any], retraining: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(ModelFileError) as refused:
        parse_model_file(as_yaml(binary_document(data=data, retraining=retraining)))
    return [(mistake.path, mistake.allowed) for mistake in refused.value.mistakes]


def test_rising_spans_beside_an_investment_are_taken() -> None:
    read = parse_model_file(as_yaml(binary_document(data={"training_spans": [14, 28]}, retraining=INVESTMENT)))
    assert read.data.training_spans == [14, 28]


@pytest.mark.parametrize(
    ("data", "path", "allowed"),
    [
        ({"training_spans": [7, 30]}, "data.training_spans[0]", "more than 7, which data.split.test_days keeps"),
        ({"training_spans": [30, 14]}, "data.training_spans[1]", "more than 30, the one before it"),
        ({"training_spans": [14], "training_window_days": 30}, "data.training_spans", "either 'training_window_days'"),
        ({"training_spans": [14, 15, 16, 17, 18]}, "data.training_spans", "at most 4"),
    ],
)
def test_others_are_refused_at_their_place(data: dict[str, Any], path: str, allowed: str) -> None:
    ((at, may),) = told(data, INVESTMENT)
    assert at == path
    assert may.startswith(allowed)


def test_without_probes_nothing_measures_them() -> None:
    ((path, allowed),) = told({"training_spans": [14]}, {})
    assert path == "data.training_spans"
    assert allowed.startswith("a retraining.investment beside them")
