"""The framing says something: sentences, a criterion that can be checked, prices of being right and wrong."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from everloop.model_file.sentences import has_figure, is_sentence, says_something
from tests.helpers.declarations import binary_document, declare, regression_document


def mistakes(document: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(ValidationError) as refused:
        declare(document)
    return {".".join(map(str, e["loc"])): str(e["ctx"]["error"]) for e in refused.value.errors()}


@pytest.mark.parametrize("key", ["objective", "why_ml", "success_criterion"])
@pytest.mark.parametrize(
    "text", ["", "abc", "xxx", "Trains.", "late late late late late late", "TODO: say of two trains why"]
)
def test_a_text_that_says_nothing_is_refused(key: str, text: str) -> None:
    assert (
        "a sentence of at least 5 different words" in mistakes(binary_document(problem={key: text}))[f"problem.{key}"]
    )


def test_a_criterion_has_something_to_count() -> None:
    vague = "The trains that are announced as late really are late."
    assert (
        "a figure in it" in mistakes(binary_document(problem={"success_criterion": vague}))["problem.success_criterion"]
    )
    for text in ("Announced delays are right in 60% of cases.", "Half of the error of ordering by the average."):
        declare(binary_document(problem={"success_criterion": text}))


@pytest.mark.parametrize(
    ("text", "sentence", "figure"),
    [
        ("遅れる列車を前日に七割当てる", True, True),
        ("Von zehn Zügen, die als verspätet gelten, sind es 6.", True, True),
        ("Les trains annoncés en retard le sont.", True, False),
        ("x y z", False, False),
    ],
)
def test_sentences_are_of_any_language(text: str, sentence: bool, figure: bool) -> None:
    assert (is_sentence(text), has_figure(text)) == (sentence, figure)


@pytest.mark.parametrize("text", ["xxx", "TBD", "---", "todo", "aaa"])
def test_nobody_is_called_so(text: str) -> None:
    assert not says_something(text)
    assert "who or what is meant" in mistakes(binary_document(problem={"decided_by": text}))["problem.decided_by"]


def test_both_ways_to_be_wrong_have_a_price() -> None:
    def of(**value: float) -> list[str]:
        return [key.rpartition(".")[2] for key in mistakes(binary_document(problem={"value": value}))]

    assert of() == ["false_positive_cost", "false_negative_cost"]
    assert of(false_negative_cost=3) == ["false_positive_cost"]
    assert of(false_positive_cost=3) == ["false_negative_cost"]
    assert of(error_cost_per_unit=3, false_positive_cost=3, true_positive_value=1) == ["error_cost_per_unit"]
    declare(binary_document(problem={"value": {"false_positive_cost": 1, "true_positive_value": 2}}))


def test_a_regression_pays_by_the_unit() -> None:
    found = mistakes(regression_document(problem={"value": {"false_positive_cost": 2}}))
    assert list(found) == ["problem.value.false_positive_cost", "problem.value.error_cost_per_unit"]
    assert "it pays by error_cost_per_unit" in found["problem.value.false_positive_cost"]


def test_a_currency_is_a_code() -> None:
    with pytest.raises(ValidationError, match="currency"):
        declare(regression_document(problem={"value": {"currency": "dollars", "error_cost_per_unit": 1}}))
