from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.recalibration.exceptions import SumsFormatError
from everloop.recalibration.interval import Interval
from everloop.recalibration.spread.sums import BINS, Answered, SpreadSums
from everloop.recalibration.written import LARGEST_FACTOR

INTERVAL = Interval(0.8, 2.0, 5.0)
ERRORS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)
PAIRS = st.tuples(*[st.floats(1 / LARGEST_FACTOR, LARGEST_FACTOR)] * 2)


def of(errors: list[float] | np.ndarray, interval: Interval = INTERVAL, factor: float = 1.0) -> SpreadSums:
    """Of rows whose answers were 0, within bounds that are wider by a factor."""
    outcomes = np.array(errors, dtype=float)
    zero = np.zeros_like(outcomes)
    low, high = zero - factor * interval.below, zero + factor * interval.above
    return SpreadSums.of_rows(interval, outcomes, zero, zero, low, high)


def interval_score(errors: np.ndarray, below: float, above: float, tail: float) -> float:
    outside = np.maximum(-below - errors, 0) + np.maximum(errors - above, 0)
    return float(below + above + outside.mean() / tail)


@pytest.mark.slow
@settings(deadline=None)
@given(ERRORS, PAIRS)
def test_a_loss_of_any_factors_is_that_of_the_rows(errors: list[float], pair: tuple[float, float]) -> None:
    sums, below, above = of(errors), pair[0] * INTERVAL.below, pair[1] * INTERVAL.above
    (found,) = sums.mean_losses(INTERVAL, np.array([pair]))
    exact = interval_score(np.array(errors), below, above, INTERVAL.tail)
    # Taken at the mean of a bin: no more than the row's own, and less by what the bin is wide at most.
    assert found <= exact * (1 + 1e-9) + 1e-9
    assert found >= exact - 0.11 * (below + above) / INTERVAL.tail - 1e-6


@pytest.mark.slow
@settings(deadline=None)
@given(ERRORS, PAIRS, PAIRS, st.floats(0, 1))
def test_a_mean_of_factors_loses_no_more_than_the_mean(
    errors: list[float], one: tuple[float, float], other: tuple[float, float], share: float
) -> None:
    pairs = np.array([one, other])
    mixed = share * pairs[0] + (1 - share) * pairs[1]
    losses = of(errors).mean_losses(INTERVAL, np.stack([*pairs, mixed]))
    assert losses[2] <= (share * losses[0] + (1 - share) * losses[1]) * (1 + 1e-9) + 1e-9


@pytest.mark.slow
@given(ERRORS, ERRORS)
def test_sums_add_up_and_survive_their_document(errors: list[float], others: list[float]) -> None:
    both, whole = of(errors) + of(others), of([*errors, *others])
    assert (both.counts == whole.counts).all()
    assert both.served.inside == whole.served.inside
    assert both.served.score(0.1) == pytest.approx(whole.served.score(0.1))
    again = SpreadSums.from_document(json.loads(json.dumps(both.to_document())))
    assert again.to_document() == both.to_document()
    assert again.rows == len(errors) + len(others)


def test_coverage_is_counted_of_what_was_answered_and_of_the_birth() -> None:
    sums = of([-3.0, -1.0, 4.0, 7.0], factor=1.5)
    assert sums.served == Answered(inside=4, width=4 * 10.5, outside=0.0)
    assert sums.raw == Answered(inside=2, width=4 * 7.0, outside=3.0)
    assert sums.raw.score(INTERVAL.tail) == pytest.approx(28.0 + 30.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"bins": [[2, 0, 1, 0.5]]},
        {"bins": [[0, BINS, 1, 0.5]]},
        {"bins": [[0, 0, 0.5, 0.5]]},
        {"bins": [[0, 0, 1, -0.5]]},
        {"bins": [[0, 0, 1]]},
        {"bins": [[0, 0, 1, 0.5], [0, 0, 1, 0.5]]},
        {"bins": None},
        {"served": {"inside": 2, "width": 1.0, "outside": 0.0}},
        {"raw": {"inside": 1, "width": -1.0, "outside": 0.0}},
        {"raw": {}},
    ],
)
def test_what_no_rows_sum_to_is_refused(wrong: dict[str, object]) -> None:
    document = of([1.0]).to_document()
    assert SpreadSums.from_document(document).rows == 1
    with pytest.raises(SumsFormatError):
        SpreadSums.from_document({**document, **wrong})
