"""Equal steps of a rollout are written in one line, and read as the list that they stand for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.model_file.schema import ModelDeclaration
from everloop.rollout.strategies import Situation, strategy_for
from tests.helpers.declarations import binary_document, declare


def declared(steps: Any) -> ModelDeclaration:
    document = binary_document()
    document["rollout"]["steps"] = steps
    return declare(document)


@pytest.mark.parametrize(
    ("every", "percents"),
    [
        (25, [25, 50, 75]),
        (30, [30, 60, 90]),
        (50, [50]),
        (99, [99]),
        (33.3, [33.3, 66.6, 99.9]),
        (33.33333333, [33.333333, 66.666667]),
    ],
)
def test_the_steps_rise_by_the_same_share(every: float, percents: list[float]) -> None:
    declaration = declared({"every_percent": every, "minutes": 30})
    assert [step.percent for step in declaration.rollout.steps] == percents
    assert {step.minutes for step in declaration.rollout.steps} == {30}
    plan = strategy_for(declaration.rollout, Situation("2", True, False)).plan(declaration.rollout)
    assert [step.percent for step in plan.steps] == percents
    # What functions read is what was declared.
    assert ModelDeclaration.model_validate_json(declaration.model_dump_json()).rollout == declaration.rollout


@pytest.mark.slow
@given(st.floats(5, 99.9))
def test_there_are_never_too_many_and_none_is_all_of_the_traffic(every: float) -> None:
    steps = declared({"every_percent": every, "minutes": 1}).rollout.steps
    assert 1 <= len(steps) <= 20
    assert steps[-1].percent < 100
    assert steps[-1].percent + every >= 99.9


@pytest.mark.parametrize(
    "steps",
    [
        {},
        {"every_percent": 10},
        {"every_percent": 4, "minutes": 30},
        {"every_percent": 100, "minutes": 30},
        {"every_percent": "10", "minutes": 30},
        {"every_percent": True, "minutes": 30},
        {"every_percent": float("nan"), "minutes": 30},
        {"every_percent": 10, "minutes": 30, "percent": 5},
        {"every_percent": 10, "minutes": 0},
        {"every_percent": 10, "minutes": 0.5},
        "linear",
        10,
    ],
)
def test_what_stands_for_no_steps_is_refused(steps: Any) -> None:
    with pytest.raises(ValueError, match=r"for equal ones|list"):
        declared(steps)
