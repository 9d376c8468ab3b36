from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.statistics.day_shares import DayShares
from tests.helpers.present import present

DAYS = st.lists(st.integers(1, 50).flatmap(lambda rows: st.tuples(st.integers(0, rows), st.just(rows))), max_size=12)


def of(days: list[tuple[int, int]]) -> DayShares:
    found = DayShares()
    for inside, rows in days:
        found = found.plus(inside, rows)
    return found


@pytest.mark.slow
@given(DAYS)
def test_an_interval_holds_the_share_and_stays_within_0_and_1(days: list[tuple[int, int]]) -> None:
    found = of(days)
    assert found.days == len(days)
    bounds = found.bounds()
    if len(days) < 2:
        assert bounds is None
        return
    low, high = present(bounds)
    assert 0 <= low <= present(found.share) <= high <= 1
    assert low < high, "no share is known to the last digit"


def test_a_day_without_rows_is_no_day() -> None:
    assert of([(3, 4)]).plus(0, 0) == of([(3, 4)])
    assert DayShares().share is None


def test_days_that_differ_say_less_than_rows() -> None:
    alike, apart = of([(45, 50)] * 8), of([(50, 50), (40, 50)] * 4)
    assert alike.share == apart.share
    assert present(apart.bounds())[0] < present(alike.bounds())[0]
    # AND days without a single row outside are no proof that there will be none
    assert present(of([(50, 50)] * 8).bounds())[0] < 0.7


@pytest.mark.slow
@pytest.mark.parametrize(("dependent", "days"), [(0.0, 10), (0.3, 10), (0.3, 30)])
def test_nineteen_of_twenty_hold_the_truth(dependent: float, days: int) -> None:
    rng = np.random.default_rng(5)
    held = []
    for _ in range(2000):
        rates = np.clip(0.9 + dependent * rng.uniform(-0.3, 0.3, days), 0, 1)
        bounds = present(of([(int(rng.binomial(40, rate)), 40) for rate in rates]).bounds())
        held.append(bounds[0] <= 0.9 <= bounds[1])
    assert np.mean(held) > 0.93
