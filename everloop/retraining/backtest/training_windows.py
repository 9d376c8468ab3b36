"""From how many of the newest days a model should learn: each choice trained at the same few windows, and compared.

A model that is trained at the start of a block of windows answers the whole block, so every row has one answer by each
choice. The blocks are few, because a choice costs as many trainings.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from everloop.retraining.backtest.losses import row_losses
from everloop.retraining.backtest.timeline import Fit, Timeline
from everloop.retraining.backtest.walk import Walk

BLOCKS = 8
"""Trainings by each choice."""

ALL_ROWS = 0
"""The choice that leaves no row out."""


def blocks(windows: int) -> list[tuple[int, int]]:
    """The windows in contiguous blocks, each from its first window up to the next one's."""
    starts = np.unique(np.linspace(0, windows, min(BLOCKS, windows) + 1).astype(int)).tolist()
    return list(pairwise(starts))


def block_scores(
    timeline: Timeline,
    fit: Fit,
    days: int,
    models: np.ndarray,
    *,
    declared_days: int | None = None,
    held_out_days: int = 0,
) -> np.ndarray:
    """What models that learn from the newest days say of the rows of their blocks, float32, shape (rows,).

    Parameters
    ----------
    days : int
        Of the newest days; ``ALL_ROWS`` for all.
    models : float array, shape (windows, rows)
        What the models of each window say that learned from ``declared_days``: taken where both learn from the same
        rows.
    """
    found = np.full(models.shape[1], np.nan, dtype=np.float32)
    for first, last in blocks(timeline.windows):
        rows = rows_of(timeline, first, last)
        known = timeline.rows_before(first, days=days or None, held_out_days=held_out_days)
        declared = timeline.rows_before(first, days=declared_days, held_out_days=held_out_days)
        same = np.array_equal(known, declared)
        found[rows] = models[first, rows] if same else fit(known)(np.arange(rows.start, rows.stop))
    return found


def declared_scores(timeline: Timeline, models: np.ndarray) -> np.ndarray:
    """The same of the models that learned as is declared: of each block, those of its first window."""
    found = np.full(models.shape[1], np.nan, dtype=np.float32)
    for first, last in blocks(timeline.windows):
        rows = rows_of(timeline, first, last)
        found[rows] = models[first, rows]
    return found


def rows_of(timeline: Timeline, first: int, last: int) -> slice:
    """The rows of the windows from ``first`` up to ``last``."""
    starts = timeline.day_starts
    return slice(int(starts[timeline.first_day(first)]), int(starts[timeline.first_day(last)]))


def walks_of(timeline: Timeline, served: Mapping[str, np.ndarray], metric: str) -> list[Walk]:
    """What each choice loses a row, window by window.

    Parameters
    ----------
    served : mapping of str to float array, shape (rows,)
        Of each choice, the served scores; NaN before the first window.

    Returns
    -------
    list of Walk
        Their losses are means over the rows of a window; one without rows counts as no loss.
    """
    rows = np.maximum(timeline.rows_by_day[timeline.history_days :].reshape(timeline.windows, -1).sum(1), 1)
    asked = slice(int(timeline.day_starts[timeline.first_day(0)]), int(timeline.day_starts[-1]))
    window = (timeline.day[asked] - timeline.history_days) // timeline.window_days
    walks = []
    for name, scores in served.items():
        lost = row_losses(timeline.target[asked], scores[asked], metric)
        mean = np.bincount(window, lost, minlength=timeline.windows) / rows
        walks.append(Walk(name, (), (), mean, float(mean.sum()), float(mean.sum())))
    return walks
