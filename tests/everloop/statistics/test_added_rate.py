from __future__ import annotations

from bisect import bisect_left
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from everloop.statistics.added_rate import added, is_above_by
from everloop.statistics.evidence import NO_GROWTH, ODDS, gathered, more_often

# scipy's own binomial overflows at the least numbers above zero.
RARE = st.one_of(st.just(0.0), st.floats(1e-300, 1), st.floats(1e-300, 0.02))


@settings(max_examples=40, deadline=None)
@given(
    trials=st.integers(1, 12),
    other=st.integers(1, 12),
    allowed=st.floats(1e-4, 0.6),
    rate=RARE,
    less=RARE,
    past=st.tuples(st.integers(0, 500), st.integers(1, 1000)),
)
def test_a_bet_against_a_kept_difference_does_not_grow_on_average(
    trials: int, other: int, allowed: float, rate: float, less: float, past: tuple[int, int]
) -> None:
    """Exactly: over all counts of both, whatever was guessed from the blocks before, at the limit and below it."""
    before = (0, 0, min(past), max(past))
    theirs = rate * (1 - allowed)
    counts = list(product(range(trials + 1), range(other + 1)))
    growths = np.array([list(added([before, (a, trials, b, other)], allowed))[1] for a, b in counts])
    for ours in (theirs + allowed, (theirs + allowed) * (1 - less)):
        chance = np.array([binom.pmf(a, trials, ours) * binom.pmf(b, other, theirs) for a, b in counts])
        assert (chance @ np.exp(growths) <= 1 + 1e-6).all()
    assert growths.shape[1] == len(ODDS)


def test_more_than_is_allowed_is_found_and_what_is_allowed_is_not() -> None:
    """GIVEN 1% over 0.1%; THEN it is more than 0.2% above, and not more than 1% above."""
    blocks = [(20, 2_000, 6, 6_000)] * 20
    assert gathered(added(blocks, 0.002)).is_enough(1e-6)
    assert not gathered(added(blocks, 0.01)).is_enough(0.5)
    assert is_above_by((400, 40_000, 120, 120_000), 0.002, 1e-6)
    assert not is_above_by((400, 40_000, 120, 120_000), 0.01, 0.5)


def test_an_outage_of_both_takes_little_and_what_comes_after_it_is_found() -> None:
    quiet, outage, bad = (1, 1_000, 3, 3_000), (600, 1_000, 1_800, 3_000), (50, 1_000, 3, 3_000)
    assert not gathered(added([*[quiet] * 30, *[outage] * 5, *[quiet] * 30], 0.005)).is_enough(0.1)
    assert gathered(added([*[quiet] * 30, *[outage] * 5, *[bad] * 30], 0.005)).is_enough(1e-6)


def test_where_nothing_more_is_allowed_no_guess_is_made() -> None:
    blocks = [(3, 50, 1, 90), (0, 0, 2, 9), (4, 40, 1, 90)]
    assert list(added(blocks, 0.0)) == [more_often(*block) for block in blocks]


def test_nothing_is_known_without_trials_and_nothing_can_be_more_than_all() -> None:
    assert list(added([(0, 0, 3, 9), (3, 9, 0, 0), (9, 9, 0, 9)], 0.999)) == [NO_GROWTH] * 3
    assert not is_above_by((0, 0, 0, 9), 0.1, 0.5)
    assert not is_above_by((9, 9, 0, 0), 0.1, 0.5)
    assert not is_above_by((9, 9, 0, 9), 0.1, 0.0)


@pytest.mark.parametrize("rate", [0.0, 0.001, 0.3])
@pytest.mark.parametrize("trials", [5, 60])
def test_one_look_keeps_its_probability(trials: int, rate: float) -> None:
    """Exactly, at the limit itself: from how many successes on it is found, beside each number of the other's."""
    allowed, probability = 0.02, 0.05
    wrong = 0.0
    for other in range(trials + 1):
        chance = float(binom.pmf(other, trials, rate))
        if chance > 1e-6:
            counts = range(trials + 1)
            first = bisect_left(
                counts, True, key=lambda k: is_above_by((k, trials, other, trials), allowed, probability)
            )
            wrong += chance * float(binom.sf(first - 1, trials, rate + allowed))
    assert wrong <= probability
