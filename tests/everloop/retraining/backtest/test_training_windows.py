"""Models that learn from the newest days alone beside models that learn from all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.retraining.backtest.judgement import judge
from everloop.retraining.backtest.recalibrated import recalibrated, recalibrated_in_turn
from everloop.retraining.backtest.timeline import Answer, Rows, Timeline, score_windows
from everloop.retraining.backtest.training_windows import (
    ALL_ROWS,
    BLOCKS,
    block_scores,
    blocks,
    declared_scores,
    rows_of,
    walks_of,
)

HISTORY, WINDOW, WINDOWS, A_DAY = 20, 5, 12, 6


class Means:
    """A model that says the mean of what it learned from; it counts how often it is trained, and on how many rows."""

    def __init__(self, target: np.ndarray) -> None:
        self.target = target
        self.learned: list[int] = []

    def __call__(self, known: Rows) -> Answer:
        self.learned.append(len(known))
        mean = float(self.target[known].mean())
        return lambda asked: np.full(len(asked), mean)


def drifting(slope: float) -> Timeline:
    day = np.repeat(np.arange(HISTORY + WINDOWS * WINDOW), A_DAY)
    noise = np.random.default_rng(3).normal(0, 0.1, len(day))
    return Timeline(slope * day + noise, day, HISTORY, WINDOW, 1)


@given(st.integers(1, 60))
def test_blocks_hold_every_window_once(windows: int) -> None:
    found = blocks(windows)
    assert [w for first, last in found for w in range(first, last)] == list(range(windows))
    assert len(found) == min(BLOCKS, windows)


@pytest.mark.parametrize("slope", [0.0, 0.2])
def test_the_newest_days_win_where_the_world_moves(slope: float) -> None:
    line = drifting(slope)
    fit = Means(line.target)
    models = score_windows(line, fit)
    fit.learned.clear()
    newest = block_scores(line, fit, 5, models)
    # THEN each block is trained once, on the newest days whose labels are known
    assert fit.learned == [5 * A_DAY] * len(blocks(WINDOWS))
    first = int(line.day_starts[HISTORY])
    assert np.isnan(newest[:first]).all()
    assert np.isfinite(newest[first:]).all()
    walks = walks_of(line, {"all": declared_scores(line, models), "5": newest}, "mae")
    assert judge(walks, 0.0, ["5"]).against["all"].mean == pytest.approx(
        float((walks[0].loss - walks[1].loss)[8:].mean())
    )
    assert (judge(walks, 0.0).chosen == "5") == (slope > 0)


def test_what_would_be_the_same_rows_is_not_trained_again() -> None:
    line = drifting(0.1)
    fit = Means(line.target)
    models = score_windows(line, fit)
    fit.learned.clear()
    assert block_scores(line, fit, ALL_ROWS, models)[-1] == declared_scores(line, models)[-1]
    assert fit.learned == []
    # A window of 30 days is all there is for the first blocks, and less for the later ones.
    block_scores(line, fit, 30, models)
    later = [first for first, _ in blocks(WINDOWS) if line.first_day(first) - line.lag_days > 30]
    assert fit.learned == [30 * A_DAY] * len(later)


def test_a_declared_window_is_the_yardstick() -> None:
    line = drifting(0.1)
    fit = Means(line.target)
    models = score_windows(line, fit, training_days=10)
    fit.learned.clear()
    block_scores(line, fit, ALL_ROWS, models, declared_days=10)
    assert fit.learned == [A_DAY * (line.first_day(first) - 1) for first, _ in blocks(WINDOWS)]


@pytest.mark.slow
def test_one_model_after_the_other_is_recalibrated_as_each_alone() -> None:
    line = drifting(0.1)
    models = score_windows(line, Means(line.target))
    alone, turns = recalibrated(line, models, "value"), blocks(WINDOWS)
    found = recalibrated_in_turn(line, declared_scores(line, models), "value", turns)
    for first, last in turns:
        rows = rows_of(line, first, last)
        assert found[rows] == pytest.approx(alone[first, rows])
    assert np.isnan(found[: int(line.day_starts[HISTORY])]).all()
