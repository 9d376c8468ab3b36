"""What would have been served: each window by what was known when it began."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.recalibration.daily import RowsApart, Terms, continued, served_scores
from everloop.recalibration.grouped_by import GroupBy
from everloop.recalibration.groups import continued_groups, grouped_calibration_for, learn_groups
from everloop.recalibration.learner import calibration_for, learn, start
from everloop.recalibration.state import Limits, State
from everloop.recalibration.sums import LogOddsSums, Sums, ValueSums

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]
FIRST = 735_000


def sigmoid(z: np.ndarray) -> np.ndarray:
    found: np.ndarray = 1 / (1 + np.exp(-z))
    return found


def rows_of(kind: str, seed: int, windows: int = 12, each: int = 30) -> Rows:
    """Windows, raw scores and outcomes; the level is off, and moves."""
    rng = np.random.default_rng(seed)
    window = np.repeat(np.arange(windows), each)
    rng.shuffle(window)
    z = rng.normal(0, 1.2, len(window))
    moved = z + 1.0 + 0.1 * window
    if kind == "value":
        return FIRST + window, 50 + 3 * z, 50 + 3 * moved + rng.normal(0, 1, len(z))
    return FIRST + window, sigmoid(z), (rng.random(len(z)) < sigmoid(moved)).astype(float)


def known_before(kind: Any, delay: int, seed: int) -> State:
    """A state that has learned of twenty earlier windows."""
    center = 50.0 if kind == "value" else 0.0
    state = start(kind, delay, Limits(8.0), center=center)
    windows, scores, outcomes = rows_of(kind, seed, windows=20)
    for window in np.unique(windows):
        rows = windows == window
        state = learn(state, int(window) - 20, sums_of(kind, scores[rows], outcomes[rows], state))
    return state


def sums_of(kind: str, scores: np.ndarray, outcomes: np.ndarray, state: State) -> Sums:
    if kind == "log_odds":
        return LogOddsSums.of_rows(scores, outcomes)
    return ValueSums.of_rows(scores, outcomes, state.center, state.bin_width)


KINDS = st.sampled_from(["log_odds", "value"])

LINES = GroupBy("line", values=("a", "b"))


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(kind=KINDS, delay=st.integers(0, 3), seed=st.integers(0, 99), changed=st.integers(0, 11), known=st.booleans())
def test_no_score_depends_on_an_outcome_that_was_not_there_yet(
    kind: Any, delay: int, seed: int, changed: int, known: bool
) -> None:
    """GIVEN other outcomes from a window on, THEN windows that begin before their labels come are served as before."""
    before = known_before(kind, delay, seed + 100) if known else None
    terms = Terms(kind, delay, 8.0)
    windows, scores, outcomes = rows_of(kind, seed)
    late = windows >= FIRST + changed
    other = np.where(late, outcomes[::-1] if kind == "value" else 1 - outcomes, outcomes)
    served, otherwise = (served_scores(before, terms, windows, scores, o) for o in (outcomes, other))
    untouched = windows <= FIRST + changed + delay
    np.testing.assert_array_equal(served[untouched], otherwise[untouched])
    if changed + delay < 10:
        assert (served[~untouched] != otherwise[~untouched]).any()


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(kind=KINDS, delay=st.integers(0, 3), seed=st.integers(0, 99), minimum=st.sampled_from([1, 31]))
def test_each_window_is_served_as_the_learner_says_that_goes_window_by_window(
    kind: Any, delay: int, seed: int, minimum: int
) -> None:
    before, terms = known_before(kind, delay, seed + 100), Terms(kind, delay, 8.0, minimum)
    windows, scores, outcomes = rows_of(kind, seed)
    served = served_scores(before, terms, windows, scores, outcomes)
    state = before
    for window in np.unique(windows):
        rows = windows == window
        known = sums_of(kind, scores[rows], outcomes[rows], state)
        if minimum > 1:
            known = sums_of(kind, scores[:0], outcomes[:0], state)
        state = continued(state, terms, known)
        np.testing.assert_array_equal(served[rows], calibration_for(state, int(window)).apply(scores[rows]))
        state = learn(state, int(window), known)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(kind=KINDS, delay=st.integers(0, 2), seed=st.integers(0, 99))
def test_the_order_within_a_window_is_kept(kind: Any, delay: int, seed: int) -> None:
    windows, scores, outcomes = rows_of(kind, seed)
    served = served_scores(None, Terms(kind, delay, 8.0), windows, scores, outcomes)
    for window in np.unique(windows):
        rows = windows == window
        order = np.argsort(scores[rows])
        assert (np.diff(served[rows][order]) >= -1e-12).all()


def test_a_level_that_is_off_costs_less_as_served_and_the_first_window_nothing_else() -> None:
    windows, scores, outcomes = rows_of("log_odds", 3, windows=20, each=200)
    served = served_scores(None, Terms("log_odds", 1, 8.0), windows, scores, outcomes)
    np.testing.assert_array_equal(served[windows <= FIRST + 1], scores[windows <= FIRST + 1])
    later = windows > FIRST + 5

    def loss(p: np.ndarray) -> float:
        return float(-np.log(np.where(outcomes == 1, p, 1 - p))[later].mean())

    assert loss(served) < loss(scores) - 0.2


def test_two_models_of_one_answer_are_served_alike() -> None:
    windows, scores, outcomes = rows_of("log_odds", 4)
    before, terms = known_before("log_odds", 1, 9), Terms("log_odds", 1, 8.0)
    once, twice = (served_scores(before, terms, windows, scores, outcomes) for _ in range(2))
    np.testing.assert_array_equal(once, twice)
    assert not np.array_equal(once, scores)


@pytest.mark.parametrize("kind", ["log_odds", "value"])
def test_no_rows_are_served_as_none(kind: Any) -> None:
    nothing = np.array([])
    assert len(served_scores(None, Terms(kind, 1, 8.0), nothing.astype(int), nothing, nothing)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["log_odds", "value"])
@pytest.mark.parametrize("minimum", [1, 60])
def test_groups_are_served_as_a_monitor_would_have_served_them(kind: Any, minimum: int) -> None:
    """Window by window, with what was made for it; without groups nothing else is served than before."""
    windows, scores, outcomes = rows_of(kind, 5)
    places, terms = np.arange(len(scores)) % 3 - 1, Terms(kind, 1, 8.0, 1)
    outcomes = outcomes + 3.0 * places if kind == "value" else np.where(places == 1, 1.0, outcomes)
    before = known_before(kind, 1, 9)
    served = served_scores(before, terms, windows, scores, outcomes, RowsApart(LINES, places, minimum))
    state, groups, moved = before, continued_groups({}, LINES, before), 0
    for window in np.unique(windows):
        rows = windows == window
        known = sums_of(kind, scores[rows], outcomes[rows], state)
        state = continued(state, terms, known)
        groups = continued_groups(groups, LINES, state)
        made = grouped_calibration_for(state, LINES, groups, int(window), minimum)
        np.testing.assert_array_equal(served[rows], made.apply(scores[rows], places[rows]))
        moved += made.by is not None
        own = {n: (rows & (places == i)) for i, n in enumerate(LINES.names)}
        counted = {n: sums_of(kind, scores[r], outcomes[r], state) for n, r in own.items() if r.any()}
        groups = learn_groups(groups, state, int(window), counted)
        state = learn(state, int(window), known)
    assert moved > 0
    shared = served_scores(before, terms, windows, scores, outcomes)
    nobody = RowsApart(LINES, places, 10**9)
    np.testing.assert_array_equal(served_scores(before, terms, windows, scores, outcomes, nobody), shared)
