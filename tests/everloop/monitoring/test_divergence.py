from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from everloop.monitoring.divergence import distance, sampling_p_value, smallest_share, stability_index
from everloop.statistics.chi_square import chi_square_tail
from everloop.statistics.f_distribution import f_tail

CELLS = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), min_size=2, max_size=30)


@given(st.floats(0, 5_000), st.floats(0.1, 500))
def test_tail_is_scipys(value: float, freedom: float) -> None:
    assert chi_square_tail(value, freedom) == pytest.approx(special.chdtrc(freedom, value), rel=1e-9, abs=1e-13)


@pytest.mark.parametrize(("value", "freedom"), [(-1, 1), (1, 0), (float("nan"), 1)])
def test_tail_refuses_what_is_no_chi_square(value: float, freedom: float) -> None:
    with pytest.raises(ValueError, match="no chi-square tail"):
        chi_square_tail(value, freedom)


@given(CELLS)
def test_index_is_symmetric_and_not_negative(cells: list[tuple[int, int]]) -> None:
    left, right = [a for a, _ in cells], [b for _, b in cells]
    assert stability_index(left, right) >= 0
    assert stability_index(left, right) == pytest.approx(stability_index(right, left))
    assert stability_index(left, left) == 0


def test_index_of_a_known_shift() -> None:
    # (0.5 - 0.6) ln(0.5 / 0.6) + (0.5 - 0.4) ln(0.5 / 0.4)
    assert stability_index([500_000, 500_000], [600_000, 400_000]) == pytest.approx(0.0405, abs=1e-4)


def test_sampling_test_is_the_g_test() -> None:
    reference, window = [120, 80, 300], [30, 40, 75]
    expected = stats.chi2_contingency([reference, window], lambda_="log-likelihood").pvalue
    assert sampling_p_value(reference, window) == pytest.approx(expected, rel=1e-9)


def test_sampling_test_keeps_its_level() -> None:
    rng = np.random.default_rng(4)
    shares = [0.1, 0.2, 0.3, 0.4]
    p_values = [
        sampling_p_value(rng.multinomial(3000, shares).tolist(), rng.multinomial(400, shares).tolist())
        for _ in range(2000)
    ]
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=0.015)


def test_nothing_to_compare_is_no_difference() -> None:
    assert sampling_p_value([5, 0], [7, 0]) == 1.0
    assert sampling_p_value([0, 0], [7, 1]) == 1.0


@given(st.floats(0, 1e6), st.floats(1, 30), st.floats(1, 500))
def test_f_tail_is_scipys(value: float, numerator: float, denominator: float) -> None:
    expected = special.fdtrc(numerator, denominator, value)
    assert f_tail(value, numerator, denominator) == pytest.approx(expected, rel=1e-7, abs=1e-12)


def test_f_tail_refuses_what_is_no_f() -> None:
    with pytest.raises(ValueError, match="no F tail"):
        f_tail(1, 0, 5)


def test_value_that_never_occurred_counts_as_little_as_a_short_reference_knows() -> None:
    assert smallest_share(10) == 0.1
    assert smallest_share(500) == 0.02
    assert distance([100, 0], [0, 100], 0.1) == pytest.approx(1 + 10)
