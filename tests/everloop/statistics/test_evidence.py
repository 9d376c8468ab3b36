from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, hypergeom

from everloop.statistics.binomial import exact_lower_bound
from everloop.statistics.evidence import NO_GROWTH, ODDS, above, gathered, more_often


def mean_growth(log_probabilities: np.ndarray, growths: list[tuple[float, ...]]) -> np.ndarray:
    values: np.ndarray = np.exp(log_probabilities[:, None] + np.array(growths)).sum(axis=0)
    return values


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(trials=st.integers(1, 120), limit=st.floats(1e-4, 0.99), share=st.floats(0, 1))
def test_a_bet_against_a_kept_limit_does_not_grow_on_average(trials: int, limit: float, share: float) -> None:
    """Exactly: over all numbers of successes, at the limit and below it."""
    counts = range(trials + 1)
    growths = [above(count, trials, limit) for count in counts]
    assert mean_growth(binom.logpmf(counts, trials, limit), growths) == pytest.approx(np.ones(len(ODDS)), rel=1e-6)
    assert (mean_growth(binom.logpmf(counts, trials, limit * share), growths) <= 1 + 1e-6).all()


@settings(max_examples=40, deadline=None)
@given(trials=st.integers(1, 80), other=st.integers(1, 200), both=st.integers(1, 280))
def test_a_bet_against_random_routing_does_not_grow_on_average(trials: int, other: int, both: int) -> None:
    """Exactly: over all the ways in which the successes of both can fall."""
    both = min(both, trials + other)
    counts = range(max(0, both - other), min(both, trials) + 1)
    growths = [more_often(count, trials, both - count, other) for count in counts]
    spread = hypergeom(trials + other, both, trials).logpmf(list(counts))
    assert (mean_growth(spread, growths) <= 1 + 1e-9).all()


def ever_enough(rate: float, blocks: int, each: int, alpha: float, draws: int, limit: float) -> float:
    rng = np.random.default_rng(5)
    counts = rng.binomial(each, rate, (draws, blocks))
    growths = [above(count, each, limit) for count in range(each + 1)]
    found = [gathered(growths[count] for count in row).is_enough(alpha) for row in counts.tolist()]
    return float(np.mean(found))


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "each"), [(0.001, 100), (0.02, 10), (0.02, 1), (0.3, 20)])
def test_it_is_wrong_at_any_time_no_more_often_than_declared(rate: float, each: int) -> None:
    """GIVEN a look after each of 200 blocks; THEN at the limit itself at most a tenth is ever found above it."""
    assert ever_enough(rate, 200, each, 0.1, 400, rate) <= binom.ppf(0.999, 400, 0.1) / 400


@pytest.mark.slow
def test_the_bound_of_a_fixed_number_is_wrong_more_often_at_any_time() -> None:
    """Which is why there is this one: the same count, with the exact bound in its place."""
    rng = np.random.default_rng(3)
    counts = (rng.random((300, 200)) < 0.02).cumsum(axis=1)
    fewest = [next(k for k in range(n + 2) if k > n or exact_lower_bound(k, n, 0.9) > 0.02) for n in range(1, 201)]
    assert (counts >= np.array(fewest)).any(axis=1).mean() > 0.15


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=12), st.floats(0.001, 0.9))
def test_more_blocks_take_nothing_back(blocks: list[tuple[int, int]], limit: float) -> None:
    growths = [above(min(count, trials), trials, limit) for count, trials in blocks]
    stakes = [gathered(growths[:n]).log_stake for n in range(len(growths) + 1)]
    assert stakes == sorted(stakes)
    assert stakes[0] == 0
    whole = gathered(growths)
    assert 0 <= whole.begin <= whole.end <= len(growths)


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), min_size=1, max_size=8), st.floats(0.01, 0.6))
def test_a_stake_is_the_sum_of_its_parts(blocks: list[tuple[int, int]], limit: float) -> None:
    """Against the definition: each beginning and each rate on its own."""
    growths = [above(min(count, trials), trials, limit) for count, trials in blocks]
    weights = np.array([0.03, 0.05, 0.1, 0.12, 0.14, 0.14, 0.12, 0.1, 0.05, 0.15])
    later = 2.109742801
    begins = [0.5, *(0.5 / (later * (n + 1) * math.log(n + 1) ** 2) for n in range(1, len(blocks)))]
    best = 1.0
    for end in range(1, len(blocks) + 1):
        parts = [begins[begin] * (weights * np.exp(np.sum(growths[begin:end], axis=0))).sum() for begin in range(end)]
        best = max(best, sum(parts) + 1 - sum(begins[:end]))
    assert gathered(growths).log_stake == pytest.approx(math.log(best), abs=1e-6)


def test_names_the_blocks_that_speak() -> None:
    growths = [*[above(0, 100, 0.02)] * 50, above(30, 100, 0.02), above(40, 100, 0.02), *[above(0, 100, 0.02)] * 9]
    found = gathered(growths)
    assert (found.begin, found.end) == (50, 52)


def test_without_trials_nothing_is_known() -> None:
    assert above(0, 0, 0.02) == more_often(0, 0, 3, 9) == more_often(3, 9, 0, 0) == more_often(0, 9, 0, 9) == NO_GROWTH
    assert gathered([]).log_stake == 0
    assert not gathered([]).is_enough(0.5)


def test_where_nothing_may_fail_one_failure_is_enough_and_where_all_may_none_is() -> None:
    found = gathered([above(0, 5, 0.0), above(1, 5, 0.0)])
    assert (found.is_enough(1e-300), found.begin, found.end) == (True, 1, 2)
    assert found.to_one == pytest.approx(1e12)
    assert gathered([above(5, 5, 1.0)]).log_stake == 0
