"""Draws without putting back, held against scipy."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from everloop.statistics.hypergeometric import both_tails, drawn_at_least


@settings(max_examples=50)
@given(st.integers(1, 5000), st.data())
def test_the_tail_is_scipys(total: int, data: st.DataObject) -> None:
    draws, marked = data.draw(st.integers(0, total)), data.draw(st.integers(0, total))
    count = data.draw(st.integers(-1, draws + 1))
    expected = float(stats.hypergeom.sf(count - 1, total, marked, draws))
    assert drawn_at_least(count, draws, marked, total) == pytest.approx(expected, rel=1e-7, abs=1e-13)


def test_a_small_tail_of_many_rows_is_right_too() -> None:
    expected = float(stats.hypergeom.logsf(5199, 10_000_000, 1_000_000, 50_000))
    assert drawn_at_least(5200, 50_000, 1_000_000, 10_000_000) == pytest.approx(2.718281828459045**expected, rel=1e-6)


def test_far_from_the_mean_nothing_overflows() -> None:
    assert drawn_at_least(100_000, 1_000_000, 50_000_000, 100_000_000) == 1.0
    assert drawn_at_least(900_000, 1_000_000, 50_000_000, 100_000_000) == 0.0
    assert both_tails(100_000, 1_000_000, 50_000_000, 100_000_000) == 0.0


def test_both_tails_are_twice_the_smaller_and_one_at_most() -> None:
    assert both_tails(5, 10, 50, 100) == 1.0
    assert both_tails(9, 10, 50, 100) == pytest.approx(2 * drawn_at_least(9, 10, 50, 100))
    assert both_tails(1, 10, 50, 100) == pytest.approx(both_tails(9, 10, 50, 100))
    assert both_tails(0, 0, 50, 100) == both_tails(10, 10, 100, 100) == 1.0


@pytest.mark.parametrize(("draws", "marked"), [(11, 1), (1, 11), (-1, 1), (1, -1)])
def test_more_than_there_are_is_refused(draws: int, marked: int) -> None:
    with pytest.raises(ValueError, match="no draws without putting back"):
        drawn_at_least(1, draws, marked, 10)
