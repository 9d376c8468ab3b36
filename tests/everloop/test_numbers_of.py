from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.numbers_of import number_of


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0 days"), (1, "1 day"), (1.0, "1 day"), (2, "2 days"), (0.5, "0.5 days"), (5040, "5,040 days")],
)
def test_what_is_counted_agrees_with_the_number(count: float, told: str) -> None:
    assert number_of(count, "day") == told


def test_a_verb_agrees_too() -> None:
    assert number_of(1, "row was", "rows were") == "1 row was"
    assert number_of(3, "row was", "rows were") == "3 rows were"


@given(st.integers(0, 10**12))
def test_the_number_can_be_read_again(count: int) -> None:
    number, _, word = number_of(count, "row").partition(" ")
    assert int(number.replace(",", "")) == count
    assert word == ("row" if count == 1 else "rows")
