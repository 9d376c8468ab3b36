"""The spread keeps its bound against any outcomes, moves within its limits, and looks at no day before it is due."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.recalibration.exceptions import StateFormatError, WindowOutOfOrderError
from everloop.recalibration.interval import Interval
from everloop.recalibration.learner import FULL_ROWS, LEAVE_FLOOR
from everloop.recalibration.spread.learner import adapted_for, continued, factors, factors_for, learn, start
from everloop.recalibration.spread.state import SpreadState
from everloop.recalibration.spread.sums import SpreadSums
from everloop.recalibration.written import LARGEST_FACTOR
from tests.everloop.recalibration.spread.test_sums import of

INTERVAL = Interval(0.8, 2.0, 5.0)
BOUND = math.log(1 / LEAVE_FLOOR)
ROUNDING = 1e-4
"""A state keeps six to nine digits of its numbers."""

Adversary = Callable[[int, tuple[float, float]], np.ndarray]
"""The errors of a day, by its number and the factors that it is served with."""


def lived(adversary: Adversary, days: int, delay: int, interval: Interval = INTERVAL) -> list[float]:
    """By how much each day's served loss exceeds that of the interval at birth, in the unit of the bound."""
    state = start(interval.coverage, delay)
    waiting: list[Any] = []
    excess: list[float] = []
    for day in range(days):
        if len(waiting) > delay:
            known = day - 1 - delay
            state = learn(state, known, waiting[known], interval)
        served = factors_for(state, day)
        sums = of(adversary(day, served), interval)
        if sums.rows:
            pairs = np.array([(1.0, 1.0), served, adapted_for(state, day)])
            left, made, adapted = sums.mean_losses(interval, pairs)
            excess.append(min(1.0, sums.rows / FULL_ROWS) * (made - left) / (2 * max(left, adapted)))
        waiting.append(sums)
    return excess


def worst_stretch(excess: Sequence[float]) -> float:
    worst = now = 0.0
    for each in excess:
        now = max(0.0, now + each)
        worst = max(worst, now)
    return worst


def against(day: int, served: tuple[float, float]) -> np.ndarray:
    """Inside where the interval was widened, and just outside where it was narrowed."""
    side = -INTERVAL.below if day % 2 else INTERVAL.above
    wider = served[1 - day % 2] > 1
    return np.full(60, 0.01 * side if wider else side * 0.999)


def alternating(day: int, served: tuple[float, float]) -> np.ndarray:
    return np.full(60, 40.0 if day % 2 else 0.1)


def trap(day: int, served: tuple[float, float]) -> np.ndarray:
    """Lets a wide interval win for a month, then is calm for ever; and the other way round."""
    calm = (day // 30) % 2 == 1
    return np.linspace(-0.2, 0.5, 60) if calm else np.linspace(-30, 70, 60)


def narrow_trap(day: int, served: tuple[float, float]) -> np.ndarray:
    return np.linspace(-1.9, 4.9, 60) if day % 40 >= 30 else np.linspace(-0.02, 0.05, 60)


def one_row(day: int, served: tuple[float, float]) -> np.ndarray:
    return np.array([900.0 if served[1] < 2 else 0.0])


def one_side(day: int, served: tuple[float, float]) -> np.ndarray:
    return np.full(200, -500.0)


def wild(day: int, served: tuple[float, float]) -> np.ndarray:
    return np.random.default_rng(day).standard_cauchy(70) * 10.0 ** (day % 7)


ADVERSARIES = [against, alternating, trap, narrow_trap, one_row, one_side, wild]


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0, 1, 3])
@pytest.mark.parametrize("adversary", ADVERSARIES, ids=lambda each: each.__name__)
def test_no_stretch_loses_more_than_the_bound(adversary: Adversary, delay: int) -> None:
    excess = lived(adversary, 150, delay)
    assert worst_stretch(excess) <= (delay + 1) * BOUND + ROUNDING


@pytest.mark.slow
def test_the_bound_is_tried() -> None:
    """An adversary comes near enough that a guard which does not count would be caught."""
    assert max(worst_stretch(lived(adversary, 150, 1)) for adversary in ADVERSARIES) > 0.5


@settings(deadline=None, max_examples=25)
@given(st.lists(st.lists(st.floats(-1e5, 1e5), max_size=8), min_size=1, max_size=25), st.integers(0, 3))
def test_nor_on_any_days(days: list[list[float]], delay: int) -> None:
    excess = lived(lambda day, served: np.array(days[day]), len(days), delay)
    assert worst_stretch(excess) <= (delay + 1) * BOUND + ROUNDING


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(st.lists(st.lists(st.floats(-1e9, 1e9), max_size=8), min_size=1, max_size=12))
def test_factors_stay_within_their_limits(days: list[list[float]]) -> None:
    state = start(0.8, 1)
    for day, errors in enumerate(days):
        state = learn(state, day, of(errors) if errors else SpreadSums.none(), INTERVAL)
        assert all(1 / LARGEST_FACTOR <= each <= LARGEST_FACTOR for each in factors(state))
        again = SpreadState.from_document(json.loads(json.dumps(state.to_document())))
        assert again.to_document() == state.to_document()
        assert factors(again) == factors(state)


def days_of(scale: float, days: range, rows: int = 400, state: SpreadState | None = None) -> SpreadState:
    """After days whose noise is ``scale`` times that of the birth."""
    state = state or start(0.8, 1)
    rng = np.random.default_rng(len(days) + rows)
    for day in days:
        drawn = scale * rng.normal(0, 1, rows)
        state = learn(state, day, of(drawn, INTERVAL_OF_NORMAL), INTERVAL_OF_NORMAL)
    return state


INTERVAL_OF_NORMAL = Interval(0.8, 1.2816, 1.2816)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0, 3.0])
def test_it_finds_the_width_that_covers(scale: float) -> None:
    found = factors(days_of(scale, range(40)))
    assert found == pytest.approx((scale, scale), rel=0.08)


def test_sides_move_apart() -> None:
    state, rng = start(0.8, 0), np.random.default_rng(4)
    for day in range(40):
        errors = rng.normal(0, 1, 300)
        state = learn(state, day, of(np.where(errors > 0, 3 * errors, errors), INTERVAL_OF_NORMAL), INTERVAL_OF_NORMAL)
    below, above = factors(state)
    assert above == pytest.approx(3, rel=0.1)
    assert below == pytest.approx(1, rel=0.1)


def test_it_follows_back_when_the_noise_is_gone() -> None:
    risen = days_of(3.0, range(30))
    assert factors(days_of(1.0, range(30, 60), state=risen)) == pytest.approx((1, 1), rel=0.15)


def test_few_rows_move_little() -> None:
    one = learn(start(0.8, 0), 1, of([4.0]), INTERVAL)
    many = learn(start(0.8, 0), 1, of([4.0] * 300), INTERVAL)
    assert abs(math.log(factors(one)[1])) < 0.25 * abs(math.log(factors(many)[1]))


def test_a_window_without_rows_is_only_counted() -> None:
    before = days_of(2.0, range(5))
    after = learn(before, 5, SpreadSums.none(), INTERVAL_OF_NORMAL)
    assert (after.window, after.labelled, after.rows) == (5, before.labelled, before.rows)
    assert after.weights.tolist() == before.weights.tolist()
    assert after.leave == before.leave


def test_what_a_window_is_served_with_depends_on_no_label_of_its_own_or_later() -> None:
    state, waiting = start(0.8, 2), []
    for day in range(12):
        waiting.append(of(np.random.default_rng(day).normal(0, 3, 100)))
        if day > 2:
            state = learn(state, day - 3, waiting[day - 3], INTERVAL)
        served = factors_for(state, day)
        other = state
        for later in (30.0, 0.01):
            if state.window is not None:
                other = learn(state, state.window + 1, of([later] * 100), INTERVAL)
            assert factors_for(other, day) == served


def test_windows_come_in_order() -> None:
    state = learn(start(0.8, 0), 7, SpreadSums.none(), INTERVAL)
    for window in (7, 6):
        with pytest.raises(WindowOutOfOrderError, match="window 7"):
            learn(state, window, SpreadSums.none(), INTERVAL)


def test_nothing_learned_leaves_the_width_alone() -> None:
    assert factors(start(0.9, 1)) == factors_for(start(0.9, 1), 3) == (1.0, 1.0)
    with pytest.raises(StateFormatError):
        start(0.9, 32)


def test_another_version_begins_at_its_own_birth_as_carefully_as_the_one_before() -> None:
    before = days_of(3.0, range(30))
    taken = continued(before, 0.8, 1, same_version=False)
    assert factors(taken) == (1.0, 1.0)
    assert taken.leave == before.leave
    assert taken.weights.tolist() == before.weights.tolist()
    assert not taken.tails.any()
    # AND another coverage, or nothing before, begins anew
    for known in (None, replace(before, coverage=0.9)):
        assert continued(known, 0.8, 1, same_version=True).to_document() == start(0.8, 1).to_document()


def test_labels_that_come_later_leave_the_guard_as_careful() -> None:
    before = days_of(3.0, range(30))
    assert continued(before, 0.8, 1, same_version=True) is before
    later = continued(before, 0.8, 3, same_version=True)
    assert later.leave == (max(before.leave),) * 4
    assert [f.window for f in later.forecasts] == [30, 31, 32, 33]
    assert factors_for(later, 33)[0] > 1.5


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("format", 2),
        ("delay", 40),
        ("coverage", 1.0),
        ("tails", [[1.0]]),
        ("weights", ["a"] * 9),
        ("leave", [0.0]),
        ("forecasts", [{"window": 1, "factors": [[9.0, 1.0]] * 4, "weights": [0.1] * 9, "leave": 0.0}]),
        ("forecasts", [{"window": 1, "factors": [[1.0]], "weights": [0.1] * 9, "leave": 0.0}]),
    ],
)
def test_what_is_no_state_is_refused(key: str, wrong: object) -> None:
    document = days_of(2.0, range(3)).to_document()
    SpreadState.from_document(document)
    with pytest.raises(StateFormatError):
        SpreadState.from_document({**document, key: wrong})


def test_a_state_stays_small() -> None:
    assert len(json.dumps(days_of(2.5, range(60), rows=3000).to_document())) < 8000
