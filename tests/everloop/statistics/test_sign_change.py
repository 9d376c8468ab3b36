from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.statistics.sign_change import negative_from


@given(st.floats(0.01, 9.99), st.sampled_from([1.0, 3.0, 0.3]), st.floats(1e-9, 1e-2))
def test_it_is_found_within_what_is_asked_for(at: float, power: float, within: float) -> None:
    def function(x: float) -> float:
        return math.copysign(abs(at - x) ** power, at - x)

    found = negative_from(function, 0.0, 10.0, within=within)
    assert function(found) < 0
    assert found - at <= 2 * within


@given(st.floats(0.01, 9.99))
def test_a_jump_and_what_is_infinite_are_halved(at: float) -> None:
    for high in (1.0, math.inf):
        found = negative_from(lambda x, high=high: high if x <= at else -1.0, 0.0, 10.0, within=1e-6)  # type: ignore[misc]  # a default for each turn
        assert at < found <= at + 2e-6


def test_a_smooth_function_takes_few_looks() -> None:
    asked: list[float] = []

    def function(x: float) -> float:
        asked.append(x)
        return math.exp(-x) - 0.01

    assert negative_from(function, 0.0, 10.0, within=1e-9) == pytest.approx(-math.log(0.01), abs=2e-9)
    assert len(asked) < 15, "halving would take 33"


@pytest.mark.parametrize(("value", "expected"), [(-1.0, 0.0), (1.0, 10.0), (0.0, 10.0)])
def test_without_a_change_it_is_an_end(value: float, expected: float) -> None:
    assert negative_from(lambda _: value, 0.0, 10.0, within=1e-6) == expected
