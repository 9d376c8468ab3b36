from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.recalibration.calibration import Calibration, Part
from everloop.recalibration.interval import Interval
from everloop.recalibration.written import LARGEST_FACTOR
from everloop.serving.scores import Scores
from tests.helpers.present import present

FACTORS = st.floats(1 / LARGEST_FACTOR, LARGEST_FACTOR)
WIDTHS = st.floats(1e-9, 1e50)
INTERVAL = Interval(0.9, 2.0, 3.0)


def test_without_a_calibration_the_interval_is_the_one_of_its_birth() -> None:
    scores = Scores.of(np.array([1.0, 5.0]), None, interval=INTERVAL)
    assert (present(scores.bounds).low.tolist(), present(scores.bounds).high.tolist()) == ([-1.0, 3.0], [4.0, 8.0])
    assert present(scores.bounds).coverage == 0.9
    assert Scores.of(np.array([1.0]), None).bounds is None


def test_level_and_slope_move_it_and_the_spread_widens_it() -> None:
    made = Calibration("value", (Part(1.0, 10.0, 2.0),), 50.0, spread=(0.5, 2.0))
    scores = Scores.of(np.array([1.0]), made, interval=INTERVAL)
    assert scores.served.tolist() == [12.0]
    assert (present(scores.bounds).low.tolist(), present(scores.bounds).high.tolist()) == ([11.0], [18.0])


@pytest.mark.slow
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=5), FACTORS, FACTORS, WIDTHS, WIDTHS)
def test_bounds_never_cross_the_answer_and_are_always_numbers(
    raw: list[float], below: float, above: float, low: float, high: float
) -> None:
    made = Calibration("value", (Part(1.0, 0.5, 1.1),), 1.0, spread=(below, above))
    try:
        scores = Scores.of(np.array(raw), made, interval=Interval(0.8, low, high))
    except OverflowError:
        pytest.fail("a value next to the largest one is answered too")
    assert (present(scores.bounds).low <= scores.served).all()
    assert (scores.served <= present(scores.bounds).high).all()
    if np.isfinite(scores.served).all():
        json.dumps([present(scores.bounds).low.tolist(), present(scores.bounds).high.tolist()], allow_nan=False)
