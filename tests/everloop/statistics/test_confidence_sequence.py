from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betaln

from everloop.statistics.binomial import exact_lower_bound
from everloop.statistics.confidence_sequence import lower_bound_at_any_time


def ever_above(rate: float, trials: int, confidence: float) -> float:
    """The probability that the bound after any of so many trials lies above their rate: exactly."""
    counts, above, fewest = np.eye(1, trials + 2)[0], 0.0, 1
    for n in range(1, trials + 1):
        counts = counts * (1 - rate) + np.append(0.0, counts[:-1]) * rate
        while fewest <= n and lower_bound_at_any_time(fewest, n, confidence) <= rate:
            fewest += 1
        above += float(counts[fewest:].sum())
        counts[fewest:] = 0
        fewest = min(fewest, n + 1)
    return above


@pytest.mark.parametrize("rate", [0.001, 0.02, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("confidence", [0.9, 0.99])
def test_it_is_wrong_at_any_time_no_more_often_than_declared(rate: float, confidence: float) -> None:
    assert 0 < ever_above(rate, 600, confidence) <= 1 - confidence


def test_the_bound_of_a_fixed_number_is_wrong_more_often_at_any_time() -> None:
    """Which is why there is this one: the same count, with the exact bound in its place."""
    rng = np.random.default_rng(3)
    counts = (rng.random((300, 200)) < 0.02).cumsum(axis=1)
    fewest = [next(k for k in range(n + 2) if k > n or exact_lower_bound(k, n, 0.9) > 0.02) for n in range(1, 201)]
    assert (counts >= np.array(fewest)).any(axis=1).mean() > 0.15


@given(trials=st.integers(1, 100_000), data=st.data(), confidence=st.floats(0.5, 0.9999))
def test_is_where_what_was_seen_is_that_much_less_likely_than_on_average(
    trials: int, data: st.DataObject, confidence: float
) -> None:
    count = data.draw(st.integers(1, trials))
    bound = lower_bound_at_any_time(count, trials, confidence)
    assert 0 < bound < count / trials
    seen = count * np.log(bound) + (trials - count) * np.log1p(-bound)
    average = betaln(count + 1, trials - count + 4) - betaln(1, 4)
    assert seen - average == pytest.approx(np.log(1 - confidence), abs=1e-5)


@given(trials=st.integers(1, 5000), data=st.data())
def test_rises_with_successes_and_with_less_confidence(trials: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, trials - 1))
    bound = lower_bound_at_any_time(count, trials, 0.95)
    assert bound < lower_bound_at_any_time(count + 1, trials, 0.95)
    assert bound <= lower_bound_at_any_time(count, trials, 0.9)


def test_knows_nothing_without_successes() -> None:
    assert lower_bound_at_any_time(0, 0, 0.95) == lower_bound_at_any_time(0, 9, 0.95) == 0
