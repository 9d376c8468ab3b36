from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from everloop.statistics.evidence import gathered
from everloop.statistics.mean_bets import SHARES, WEIGHTS, above_mean


@settings(max_examples=40, deadline=None)
@given(least=st.floats(-5, 1), room=st.floats(0.05, 6), far=st.floats(0.01, 6), below=st.floats(0, 1))
def test_a_bet_against_a_kept_limit_does_not_grow_on_average(
    least: float, room: float, far: float, below: float
) -> None:
    """Exactly, of a value with two outcomes: the lowest, and one above the limit."""
    limit, high = least + room, least + room + far
    chance = room / (room + far) * below
    low_growth, high_growth = (np.exp(above_mean([value], limit, least)) for value in (least, high))
    assert ((1 - chance) * low_growth + chance * high_growth <= 1 + 1e-9).all()
    assert len(low_growth) == len(SHARES) == len(WEIGHTS)


def test_it_is_wrong_at_any_time_no_more_often_than_declared() -> None:
    """GIVEN means at the limit that differ from block to block in spread; THEN a tenth at most is ever found above."""
    rng, draws = np.random.default_rng(4), 60
    found = 0
    for _ in range(draws):
        chances = rng.choice([0.02, 0.5], size=40)
        blocks = [rng.choice([-1, 1 / chance - 1], p=[1 - chance, chance], size=4) for chance in chances]
        found += gathered((above_mean(block.tolist(), 0.0, -1.0) for block in blocks), WEIGHTS).is_enough(0.1)
    assert found <= binom.ppf(0.999, draws, 0.1)


@pytest.mark.parametrize(("mean", "spread", "needed"), [(0.3, 0.5, 200), (0.1, 0.1, 200), (0.02, 0.05, 1500)])
def test_it_finds_a_mean_above_the_limit(mean: float, spread: float, needed: int) -> None:
    values = np.clip(np.random.default_rng(2).normal(mean, spread, needed), -1, 1)
    assert gathered((above_mean([v], 0.0, -1.0) for v in values), WEIGHTS).is_enough(0.001)
