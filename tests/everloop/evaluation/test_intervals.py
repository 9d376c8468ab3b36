from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.evaluation.intervals import interval_facts, learned_interval
from everloop.recalibration.interval import rows_needed
from tests.helpers.present import present


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95, 0.99])
def test_a_coming_row_is_covered_as_often_as_declared(coverage: float) -> None:
    """Of rows + 1 exchangeable residuals, the one that was left out lies inside at least as often as declared."""
    rng = np.random.default_rng(3)
    rows, held = rows_needed(coverage) + 7, []
    for _ in range(4000):
        drawn = rng.exponential(3, rows + 1) - 2
        found = present(learned_interval(coverage, drawn[:-1]))
        held.append(-found.below <= drawn[-1] <= found.above)
    assert np.mean(held) > coverage - 0.015


@pytest.mark.slow
@settings(deadline=None)
@given(
    st.lists(st.floats(-1e50, 1e50), min_size=19, max_size=60),
    st.sampled_from([0.5, 0.8, 0.9]),
)
def test_no_answer_lies_outside_and_enough_rows_lie_inside(residuals: list[float], coverage: float) -> None:
    found = present(learned_interval(coverage, np.array(residuals)))
    assert found.below > 0
    assert found.above > 0
    inside = [-found.below <= each <= found.above for each in residuals]
    assert np.mean(inside) >= coverage - 1e-9


def test_sides_are_as_unlike_as_errors_are() -> None:
    found = present(learned_interval(0.9, np.random.default_rng(1).exponential(10, 5000) - 2))
    assert found.below == pytest.approx(1.5, abs=0.2)
    assert found.above == pytest.approx(10 * np.log(20) - 2, rel=0.1)


def test_a_model_that_is_off_keeps_a_little_on_the_other_side() -> None:
    found = present(learned_interval(0.9, np.linspace(5.0, 15.0, 1001)))
    assert found.above == pytest.approx(14.5, abs=0.02)
    assert found.below == pytest.approx(0.45, abs=0.01)


def test_too_few_rows_say_how_many_are_needed() -> None:
    days = np.repeat(np.arange("2013-01-01", "2013-01-04", dtype="datetime64[D]"), 6)
    found, facts = interval_facts(0.9, np.linspace(-1, 1, 18), days)
    assert (found, facts.below, facts.measured) == (None, None, None)
    assert "needs at least 19 test rows, and there are 18" in facts.reason
    assert "data.split.test_days" in facts.reason


def test_it_is_measured_on_newer_days_than_it_is_learned_on() -> None:
    """GIVEN noise that doubles on the newer days, THEN the report says so, and what serves has seen all of it."""
    rng = np.random.default_rng(2)
    days = np.repeat(np.arange("2013-01-01", "2013-01-09", dtype="datetime64[D]"), 200)
    scale = np.where(days < np.datetime64("2013-01-05"), 1.0, 2.0)
    found, facts = interval_facts(0.9, rng.normal(0, scale), days)
    measured = present(facts.measured)
    assert (measured.learned_rows, measured.learned_days, measured.rows, measured.days) == (800, 4, 800, 4)
    assert measured.share < 0.7
    assert present(measured.low) < present(measured.share) < present(measured.high) < 0.9
    assert measured.share + measured.below + measured.above == pytest.approx(1)
    assert measured.mean_width == pytest.approx(2 * 1.645, rel=0.1)
    assert measured.score > present(found).below + present(found).above
    assert present(found).below + present(found).above > 1.3 * measured.mean_width
    assert (facts.rows, facts.days, facts.unmeasured) == (1600, 8, "")


@pytest.mark.parametrize(
    ("days", "why"), [(1, "all test rows are of one day"), (12, "the older half of the test days")]
)
def test_halves_that_are_too_small_are_told(days: int, why: str) -> None:
    rows = np.resize(np.arange("2013-01-01", f"2013-01-{days + 1:02d}", dtype="datetime64[D]"), 24)
    found, facts = interval_facts(0.9, np.linspace(-1, 1, 24), np.sort(rows))
    assert found is not None
    assert facts.measured is None
    assert why in facts.unmeasured


def test_a_model_that_never_errs_still_has_two_sides() -> None:
    found = present(learned_interval(0.9, np.zeros(100)))
    assert 0 < found.below < 1e-6
    assert 0 < found.above < 1e-6
