"""Heuristics are read and never run: a few forms pass, with types that fit, and nothing else."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from everloop.evaluation.expressions import DEEPEST, LONGEST, ExpressionError, check
from everloop.model_file.exceptions import ModelFileError
from everloop.model_file.reader import parse_model_file
from tests.helpers.declarations import as_yaml, binary_document, regression_document

FEATURES = {"wind": "number", "distance": "number", "line": "category"}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("wind", "number"),
        ("-wind + 2 * distance / 3", "number"),
        ("max(wind, distance, 3)", "number"),
        ("1 if line in ['north', 'south'] else abs(wind)", "number"),
        ("wind > 3", "condition"),
        ("0 < wind <= 3 != distance", "condition"),
        ("not (line == 'north' or missing(wind)) and True", "condition"),
        ("line not in ('a',)", "condition"),
    ],
)
def test_what_is_taken(text: str, kind: str) -> None:
    assert check(text, FEATURES) == kind


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("__import__('os').system('true')", "is none of them"),
        ("wind.real", "is none of them"),
        ("(lambda: 1)()", "is none of them"),
        ("[x for x in line]", "is none of them"),
        ("wind ** 9 ** 9 ** 9", "is none of them"),
        ("eval('1')", "is none of them"),
        ("max(wind, distance, key=wind)", "is none of them"),
        ("f'{wind}'", "is none of them"),
        ("(wind := 3)", "is none of them"),
        ("line[0]", "is none of them"),
        ("1j", "is none of them"),
        ("1e999", "is none of them"),
        ("9" * 400, "is none of them"),
        ("wnd > 3", "'wnd' is not one of wind, distance, line"),
        ("line > 3", "a number in place of 'line', which is a text"),
        ("wind == 'north'", "a number in place of"),
        ("wind and True", "a condition in place of 'wind', which is a number"),
        ("wind in line", "a list of values after 'in'"),
        ("1 if wind else 2", "a condition in place of 'wind'"),
        ("'north'", "not a text"),
        ("abs(wind, 3)", "abs of 1 values, not of 2"),
        ("missing(wind + 1)", "missing of a feature"),
        ("wind >", "can't be read"),
        ("wind = 3", "can't be read"),
        ("", "can't be read"),
        ("-" * 200 + "wind", "a simpler expression"),
        ("wind " + "+ 1 " * 240, "a simpler expression"),
        ("wind + " * LONGEST + "1", "at most 1,000 characters"),
    ],
)
def test_what_is_refused(text: str, told: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        check(text, FEATURES)
    assert told in str(refused.value)


@pytest.mark.slow
@given(st.text(max_size=60))
@example("(" * 90)
@example("\x00")
@example("'\\d' == line")
@example("wind\n> 3")
def test_no_text_does_anything_but_pass_or_be_refused(text: str) -> None:
    with contextlib.suppress(ExpressionError):
        assert check(text, FEATURES) in ("number", "condition")


def test_depth_has_a_limit_that_python_reaches_too() -> None:
    inner = "wind"
    for _ in range(DEEPEST - 3):
        inner = f"abs({inner})"
    assert check(inner, FEATURES) == "number"


def test_a_declaration_says_what_is_wrong_at_its_line() -> None:
    document = binary_document()
    document["problem"]["baseline"] = {"kind": "expression", "expression": "wnd > 30"}
    with pytest.raises(ModelFileError) as refused:
        parse_model_file(as_yaml(document))
    (mistake,) = refused.value.mistakes
    assert mistake.path == "problem.baseline.expression"
    assert as_yaml(document).splitlines()[mistake.line - 1].strip() == "expression: wnd > 30"
    assert "'wnd' is not one of distance, wind, line, operator" in mistake.allowed
    document["problem"]["baseline"] = {"kind": "expression"}
    with pytest.raises(ModelFileError, match="the heuristic over features"):
        parse_model_file(as_yaml(document))


def test_a_regression_takes_no_condition_and_no_probabilities() -> None:
    for baseline, told in (
        ({"kind": "expression", "expression": "wind > 30"}, "answers a number, because problem.type is regression"),
        ({"kind": "logistic_regression"}, "answers numbers, because problem.type is regression"),
    ):
        document = regression_document(problem={"baseline": baseline})
        with pytest.raises(ModelFileError, match=told):
            parse_model_file(as_yaml(document))
