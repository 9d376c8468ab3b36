from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from everloop.statistics.binomial import at_least, at_most, both_tails


@given(st.integers(0, 400), st.integers(1, 400), st.floats(0, 1))
def test_tails_are_scipys(count: int, trials: int, probability: float) -> None:
    assert at_least(count, trials, probability) == pytest.approx(
        stats.binom.sf(count - 1, trials, probability), abs=1e-9
    )
    assert at_most(count, trials, probability) == pytest.approx(stats.binom.cdf(count, trials, probability), abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.integers(0, 12))
def test_unequal_probabilities_have_lighter_tails(probabilities: list[float], count: int) -> None:
    exact = np.ones(1)
    for p in probabilities:
        exact = np.convolve(exact, [1 - p, p])
    expected = float(np.sum(probabilities))
    if count > len(probabilities):
        return
    tail = exact[count:].sum() if count > expected else exact[: count + 1].sum()
    assert both_tails(count, expected, len(probabilities)) >= min(1.0, 2 * tail) - 1e-9 or abs(count - expected) < 1
