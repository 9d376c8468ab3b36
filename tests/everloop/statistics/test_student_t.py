"""The distribution agrees with scipy's, which the gate's function does not have."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from everloop.statistics.student_t import t_cdf, t_quantile


@settings(deadline=None)
@given(st.floats(-50, 50), st.integers(1, 400))
@example(1.192092896e-07, 15)
@example(2.9259618374198785e-09, 1)
def test_the_distribution_is_scipys(t: float, freedom: int) -> None:
    # Next to zero scipy says 0.5; the distribution is as steep there as it is dense.
    near = abs(t) < 1e-4
    expected = 0.5 + t * stats.t.pdf(0, freedom) if near else stats.t.cdf(t, freedom)
    assert t_cdf(t, freedom) == pytest.approx(expected, rel=1e-9, abs=1e-13)


@settings(deadline=None)
@given(st.floats(0.0005, 0.9995), st.integers(1, 400))
def test_the_quantile_is_scipys(probability: float, freedom: int) -> None:
    assert t_quantile(probability, freedom) == pytest.approx(stats.t.ppf(probability, freedom), rel=1e-8, abs=1e-8)


@pytest.mark.parametrize(("probability", "freedom"), [(0, 5), (1, 5), (float("nan"), 5), (0.5, 0)])
def test_what_has_no_quantile_is_refused(probability: float, freedom: float) -> None:
    with pytest.raises(ValueError, match="no quantile"):
        t_quantile(probability, freedom)


@pytest.mark.slow
def test_the_gate_runs_on_the_standard_library() -> None:
    """The gate's function has neither numpy nor pandas in its package."""
    code = "import sys, everloop.evaluation.gate as g; print(g.__name__, 'numpy' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["everloop.evaluation.gate", "False"]
