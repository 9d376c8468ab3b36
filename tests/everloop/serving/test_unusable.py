from __future__ import annotations

import numpy as np
import pytest

from everloop.serving.contract import CategoryField, NumberField, ServingContract
from everloop.serving.exceptions import NoScoreError, RequestError
from everloop.serving.rows import Rows
from everloop.serving.scorer import Scorer
from everloop.serving.unusable import score_rows
from tests.helpers.artifacts import small_contract
from tests.helpers.onnx_models import linear_model


def contract(*medians: float | None) -> ServingContract:
    numbers = tuple(NumberField(f"x{i}", missing="allow", median=median) for i, median in enumerate(medians))
    return small_contract(problem_type="regression", numbers=numbers, categories=())


def score(num: list[list[float]], model: bytes, of: ServingContract) -> np.ndarray:
    rows = Rows([str(i) for i in range(len(num))], np.array(num), np.empty((len(num), 0), dtype=object))
    return score_rows(Scorer.from_bytes(model, of), of, rows)


LINEAR = linear_model([10.0, 10.0], sigmoid=False)


def test_usable_scores_are_given_as_they_are() -> None:
    assert score([[1.0, 2.0], [np.nan, 3.0]], LINEAR, contract(1.0, 1.0)).tolist() == [30.0, 30.0]


@pytest.mark.parametrize(
    ("row", "field"),
    [([1e308, 0.0], "x0"), ([0.0, -1e308], "x1"), ([np.nan, 1e308], "x1"), ([1e308, -1e308], None)],
)
def test_the_first_row_that_overflows_is_named_with_its_number(row: list[float], field: str | None) -> None:
    with pytest.raises(RequestError) as refused:
        score([[1.0, 1.0], row, [1e308, 0.0]], LINEAR, contract(1.0, 1.0))
    assert (refused.value.code, refused.value.index, refused.value.field) == ("out_of_range", 1, field)


def test_a_model_without_a_score_for_typical_numbers_is_at_fault_itself() -> None:
    broken = linear_model([10.0, 10.0], bias=np.nan, sigmoid=False)
    with pytest.raises(NoScoreError):
        score([[1e308, 0.0]], broken, contract(1.0, 1.0))


def test_a_model_without_a_score_for_what_may_be_missing_is_at_fault_itself() -> None:
    """GIVEN a score that is only unusable where a number is missing; THEN no median takes its place."""
    wants_all = linear_model([10.0, 10.0], sigmoid=False, missing=np.nan)
    with pytest.raises(NoScoreError, match="gives nan for instance 1, where 'x1' is missing") as found:
        score([[1.0, 2.0], [1.0, np.nan], [3.0, np.nan]], wants_all, contract(1.0, 1.0))
    assert (found.value.index, found.value.field, found.value.rows) == (1, "x1", 2)


def test_a_category_without_a_score_is_named() -> None:
    fields = (CategoryField("line", missing="allow", values=("north",)), CategoryField("day", values=("mon",)))
    of = small_contract(problem_type="regression", numbers=(NumberField("x"),), categories=fields)
    model = linear_model([1.0], [{"north": 1.0, "": np.nan, "west": np.nan}, {"mon": 0.0}], sigmoid=False)
    scorer = Scorer.from_bytes(model, of)
    for text, shown in (("", "'line' is missing"), ("west", "'line' is 'west'")):
        rows = Rows(["a"], np.array([[1.0]]), np.array([[text, "mon"]], dtype=object))
        with pytest.raises(NoScoreError, match=shown) as found:
            score_rows(scorer, of, rows)
        assert (found.value.index, found.value.field) == (0, "line")


def test_one_row_that_is_the_models_fault_makes_the_request_the_models_fault() -> None:
    wants_all = linear_model([10.0, 10.0], sigmoid=False, missing=np.nan)
    with pytest.raises(NoScoreError) as found:
        score([[1e308, 1.0], [1.0, np.nan]], wants_all, contract(1.0, 1.0))
    assert found.value.index == 1


def test_where_no_median_is_known_the_model_is_held_at_fault() -> None:
    with pytest.raises(NoScoreError):
        score([[1e308, 0.0]], LINEAR, contract(None, 1.0))
