"""What models lost, day by day: sums that add up to windows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from everloop.retraining.backtest.timeline import Timeline

CLIP = 1e-6
"""Probabilities are kept this far from 0 and 1, as no one answer may decide a history."""


def row_losses(target: np.ndarray, scores: np.ndarray, metric: str) -> np.ndarray:
    """The loss of each row; NaN where there is no score.

    Parameters
    ----------
    scores : float array, shape (..., rows)
    metric : {"log_loss", "brier", "mae", "rmse", "error"}
        ``rmse`` is the squared error, whose mean it is the root of; ``error`` is 1 where the likelier class is wrong.
    """
    values = np.asarray(scores, dtype=np.float64)
    if metric == "log_loss":
        kept = np.clip(values, CLIP, 1 - CLIP)
        return np.where(target == 1, -np.log(kept), -np.log1p(-kept))
    if metric == "mae":
        return np.abs(target - values)
    if metric == "error":
        return np.where(np.isnan(values), np.nan, (values >= 0.5) != (target == 1))
    return (target - values) ** 2


@dataclass(frozen=True)
class LossTable:
    """Daily sums of what each model lost.

    Attributes
    ----------
    timeline : Timeline
    daily : float array, shape (models, days)
        Model i was trained at the start of window i; NaN before it.
    """

    timeline: Timeline
    daily: np.ndarray

    @classmethod
    def of(cls, timeline: Timeline, losses: np.ndarray) -> LossTable:
        """From the losses of single rows, float, shape (models, rows)."""
        starts = timeline.day_starts
        padded = np.concatenate([np.nan_to_num(losses), np.zeros((len(losses), 1))], axis=1)
        running = np.concatenate([np.zeros((len(losses), 1)), np.cumsum(padded[:, :-1], axis=1)], axis=1)
        daily = running[:, starts[1:]] - running[:, starts[:-1]]
        for model in range(len(daily)):
            daily[model, : timeline.first_day(model)] = np.nan
        return cls(timeline, daily)

    @cached_property
    def by_window(self) -> np.ndarray:
        """Sums by window, float, shape (models, windows); NaN before a model's own."""
        line = self.timeline
        days = self.daily[:, line.history_days :].reshape(len(self.daily), line.windows, line.window_days)
        return np.asarray(days.sum(axis=2))

    def days_of(self, model: int, window: int) -> np.ndarray:
        """A model's sums for each day of a window, float, shape (window days,)."""
        first = self.timeline.first_day(window)
        return np.asarray(self.daily[model, first : first + self.timeline.window_days])
