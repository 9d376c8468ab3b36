from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from everloop.statistics.binomial import at_least, at_most, both_tails, exact_lower_bound


@pytest.mark.slow
@given(st.integers(0, 400), st.integers(1, 400), st.floats(0, 1))
def test_tails_are_scipys(count: int, trials: int, probability: float) -> None:
    assert at_least(count, trials, probability) == pytest.approx(
        stats.binom.sf(count - 1, trials, probability), abs=1e-9
    )
    assert at_most(count, trials, probability) == pytest.approx(stats.binom.cdf(count, trials, probability), abs=1e-9)


@pytest.mark.slow
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


class TestExactBound:
    @pytest.mark.parametrize(
        ("errors", "requests", "confidence", "bound"),
        [
            # The lower ends of two-sided 95% and 90% intervals, from published tables of Clopper and Pearson's.
            (10, 100, 0.975, 0.0490),
            (1, 10, 0.975, 0.0025),
            (5, 10, 0.95, 0.2224),
        ],
    )
    def test_agrees_with_tables(self, errors: int, requests: int, confidence: float, bound: float) -> None:
        assert exact_lower_bound(errors, requests, confidence) == pytest.approx(bound, abs=5e-5)

    def test_when_all_failed_it_is_the_root(self) -> None:
        assert exact_lower_bound(3, 3, 0.95) == pytest.approx(0.05 ** (1 / 3), abs=1e-9)

    def test_knows_nothing_without_requests(self) -> None:
        assert exact_lower_bound(0, 0, 0.95) == 0

    @pytest.mark.slow
    @given(requests=st.integers(1, 100_000), data=st.data())
    def test_lies_between_zero_and_the_rate_and_rises_with_errors(self, requests: int, data: st.DataObject) -> None:
        errors = data.draw(st.integers(0, requests))
        bound = exact_lower_bound(errors, requests, 0.95)
        assert 0 <= bound <= errors / requests
        if errors < requests:
            assert exact_lower_bound(errors + 1, requests, 0.95) > bound

    @pytest.mark.slow
    @given(requests=st.integers(1, 400), data=st.data(), confidence=st.floats(0.8, 0.999))
    def test_is_the_rate_at_which_so_many_errors_are_that_unlikely(
        self, requests: int, data: st.DataObject, confidence: float
    ) -> None:
        errors = data.draw(st.integers(1, requests))
        bound = exact_lower_bound(errors, requests, confidence)
        assert float(stats.binom.pmf(np.arange(errors, requests + 1), requests, bound).sum()) == pytest.approx(
            1 - confidence, rel=1e-4, abs=1e-9
        )
