from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from everloop.statistics.gamma import gamma_quantile


@pytest.mark.slow
@given(st.floats(0.0005, 0.9999), st.floats(0.02, 100_000))
def test_quantile_is_scipys(probability: float, shape: float) -> None:
    expected = stats.gamma.ppf(probability, shape)
    assert gamma_quantile(probability, shape) == pytest.approx(expected, rel=1e-5, abs=1e-290)


def test_a_quantile_below_all_numbers_is_zero() -> None:
    """Of a few days with few positives a p-value asks for one."""
    assert stats.gamma.ppf(5e-10, 0.0101) == 0
    assert gamma_quantile(5e-10, 0.0101) == 0


@pytest.mark.parametrize(("probability", "shape"), [(0, 1), (1, 1), (0.5, 0), (float("nan"), 1), (0.5, float("nan"))])
def test_what_has_no_quantile_is_refused(probability: float, shape: float) -> None:
    with pytest.raises(ValueError, match="no gamma quantile"):
        gamma_quantile(probability, shape)
