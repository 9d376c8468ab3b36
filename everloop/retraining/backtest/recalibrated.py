"""What each model's scores are when recalibration learns every day from the labels that have arrived."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from everloop.recalibration.calibration import Kind
from everloop.recalibration.learner import calibration, learn, start
from everloop.recalibration.state import Limits, State
from everloop.recalibration.sums import LogOddsSums, Sums, ValueSums
from everloop.retraining.backtest.timeline import Timeline

MAX_SHIFT = 4.0
"""The most that log odds are moved."""

SPREADS = 4.0
"""The most that a value is moved, in standard deviations of a model's first scores."""


def recalibrated(
    timeline: Timeline, scores: np.ndarray, kind: Kind, *, progress: Callable[[int], None] = lambda done: None
) -> np.ndarray:
    """The served scores of each model, from its own window on.

    A model starts as it is: rows that it learned from say nothing of its calibration. From then on it is recalibrated
    at the start of every day, by :mod:`everloop.recalibration.learner`.

    Parameters
    ----------
    scores : float array, shape (models, rows)
    progress : callable
        Is told how many models are done.

    Returns
    -------
    float array, shape (models, rows)
        NaN before a model's own window.
    """
    served = np.full(scores.shape, np.nan)
    for model in range(timeline.windows):
        _recalibrate(timeline, scores[model], served[model], timeline.first_day(model), timeline.days, kind)
        progress(model + 1)
    return served


def recalibrated_in_turn(
    timeline: Timeline, scores: np.ndarray, kind: Kind, turns: Iterable[tuple[int, int]]
) -> np.ndarray:
    """The served scores where one model follows the other, each from one window up to another; NaN elsewhere.

    Parameters
    ----------
    scores : float array, shape (rows,)
    turns : iterable of tuple
        Of each model its first window, and the next one's.
    """
    served = np.full(scores.shape, np.nan)
    for first, last in turns:
        _recalibrate(timeline, scores, served, timeline.first_day(first), timeline.first_day(last), kind)
    return served


def _recalibrate(timeline: Timeline, scores: np.ndarray, served: np.ndarray, first: int, last: int, kind: Kind) -> None:
    """Fill in what is served of one model's scores from one day up to another, both arrays of shape (rows,)."""
    starts, target = timeline.day_starts, timeline.target
    raw = np.asarray(scores, dtype=np.float64)
    state = _started(kind, raw[starts[first] : starts[first + timeline.window_days]], timeline.lag_days)
    for day in range(first, last):
        labelled = day - 1 - timeline.lag_days
        if labelled >= first:
            rows = slice(starts[labelled], starts[labelled + 1])
            state = learn(state, labelled, _sums(state, raw[rows], target[rows]))
        rows = slice(starts[day], starts[day + 1])
        if rows.stop > rows.start:
            served[rows] = calibration(state).apply(raw[rows])


def _started(kind: Kind, first: np.ndarray, lag_days: int) -> State:
    """Nothing learned; a regression's unit is that of the scores in the model's first window."""
    if kind == "log_odds":
        return start(kind, lag_days, Limits(MAX_SHIFT))
    spread, center = (float(first.std()), float(first.mean())) if len(first) else (0.0, 0.0)
    return start(kind, lag_days, Limits(SPREADS * spread or 1.0), center=center)


def _sums(state: State, raw: np.ndarray, target: np.ndarray) -> Sums:
    if state.kind == "log_odds":
        return LogOddsSums.of_rows(raw, target) if len(raw) else LogOddsSums.none()
    return ValueSums.of_rows(raw, target, state.center, state.bin_width)
