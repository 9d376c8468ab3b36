"""What each model's scores are when recalibration learns every day from the labels that have arrived."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from everloop.model_file.schema import ModelDeclaration
from everloop.recalibration.beginning import nothing_learned
from everloop.recalibration.calibration import Kind
from everloop.recalibration.daily import serve_days
from everloop.retraining.backtest.timeline import Timeline

MAX_SHIFT = 8.0
"""The most that a score is moved where the declaration says nothing of it: its own default."""


def declared_shift(declaration: ModelDeclaration) -> float:
    """The most that a score is moved; the default where none is, and a backtest says what it would be worth."""
    return MAX_SHIFT if declaration.recalibration is None else declaration.recalibration.max_shift


def recalibrated(
    timeline: Timeline,
    scores: np.ndarray,
    kind: Kind,
    *,
    max_shift: float = MAX_SHIFT,
    progress: Callable[[int], None] = lambda done: None,
) -> np.ndarray:
    """The served scores of each model, from its own window on.

    A model starts as it is: rows that it learned from say nothing of its calibration. From then on it is recalibrated
    at the start of every day, by :mod:`everloop.recalibration.learner`.

    Parameters
    ----------
    scores : float array, shape (models, rows)
    max_shift : float
        As ``recalibration.max_shift`` declares it.
    progress : callable
        Is told how many models are done.

    Returns
    -------
    float array, shape (models, rows)
        NaN before a model's own window.
    """
    served = np.full(scores.shape, np.nan)
    for model in range(timeline.windows):
        _recalibrate(timeline, scores[model], served[model], timeline.first_day(model), timeline.days, kind, max_shift)
        progress(model + 1)
    return served


def recalibrated_in_turn(
    timeline: Timeline,
    scores: np.ndarray,
    kind: Kind,
    turns: Iterable[tuple[int, int]],
    *,
    max_shift: float = MAX_SHIFT,
) -> np.ndarray:
    """The served scores where one model follows the other, each from one window up to another; NaN elsewhere.

    Parameters
    ----------
    scores : float array, shape (rows,)
    turns : iterable of tuple
        Of each model its first window, and the next one's.
    max_shift : float
        As ``recalibration.max_shift`` declares it.
    """
    served = np.full(scores.shape, np.nan)
    for first, last in turns:
        _recalibrate(timeline, scores, served, timeline.first_day(first), timeline.first_day(last), kind, max_shift)
    return served


def _recalibrate(
    timeline: Timeline,
    scores: np.ndarray,
    served: np.ndarray,
    first: int,
    last: int,
    kind: Kind,
    max_shift: float,
) -> None:
    """Fill in what is served of one model's scores from one day up to another, both arrays of shape (rows,)."""
    starts, target = timeline.day_starts, timeline.target
    raw = np.asarray(scores, dtype=np.float64)
    state = nothing_learned(
        kind, raw[starts[first] : starts[first + timeline.window_days]], timeline.lag_days, max_shift
    )
    serve_days(
        state, lambda day: slice(starts[day], starts[day + 1]), raw, target, served, begin=first, end=last, own=first
    )
