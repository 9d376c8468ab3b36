"""``problem.interval``: what a declaration may say of prediction intervals."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from everloop.model_file.exceptions import ModelFileError
from everloop.model_file.reader import parse_model_file
from everloop.model_file.schema import ModelDeclaration
from tests.helpers.declarations import as_yaml, binary_document, declare, regression_document
from tests.helpers.present import present


def refusals(document: dict[str, Any]) -> list[tuple[tuple[Any, ...], Any, str]]:
    try:
        declare(document)
    except ValidationError as error:
        return [(e["loc"], e["input"], e["msg"]) for e in error.errors()]
    return []


def of(interval: object, **changes: Any) -> dict[str, Any]:
    return regression_document(problem={"interval": interval}, **changes)


def test_it_comes_back_from_the_json_that_functions_read() -> None:
    declaration = declare(of({"coverage": 0.9}))
    assert present(declaration.problem.interval).coverage == 0.9
    assert ModelDeclaration.model_validate_json(declaration.model_dump_json()) == declaration
    assert declare(regression_document()).problem.interval is None


@pytest.mark.parametrize("wrong", [{"coverage": 1.0}, {"coverage": 0.0}, {"coverage": 90}, {"coverage": "0.9"}, {}])
def test_another_coverage_is_refused(wrong: dict[str, Any]) -> None:
    ((place, _, _),) = refusals(of(wrong))
    assert place == ("problem", "interval", "coverage")


def test_a_classification_has_none() -> None:
    document = binary_document(problem={"interval": {"coverage": 0.9}})
    ((place, _, says),) = refusals(document)
    assert place == ("problem", "interval")
    assert "no 'interval' with the type binary_classification" in says


@pytest.mark.parametrize(("coverage", "needed"), [(0.9, 19), (0.95, 39), (0.99, 199), (0.5, 3)])
def test_the_gate_wants_the_rows_that_it_needs(coverage: float, needed: int) -> None:
    rows = max(needed, 30)
    assert refusals(of({"coverage": coverage}, gate={"minimum_test_rows": rows})) == []
    if needed > 30:
        ((place, found, says),) = refusals(of({"coverage": coverage}, gate={"minimum_test_rows": needed - 1}))
        assert (place, found) == (("gate", "minimum_test_rows"), needed - 1)
        assert f"at least {needed}: an interval of problem.interval.coverage {coverage:g}" in says


def test_the_refusal_names_the_line() -> None:
    text = as_yaml(of({"coverage": 1.5}))
    line = next(n for n, line in enumerate(text.splitlines(), 1) if "coverage: 1.5" in line)
    with pytest.raises(ModelFileError, match=rf"model\.yaml:{line}: problem\.interval\.coverage: found 1\.5"):
        parse_model_file(text)
