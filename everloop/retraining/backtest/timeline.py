"""A history cut into windows, and what models trained at each of them answer in all later ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from everloop.numbers_of import number_of
from everloop.retraining.exceptions import BacktestError

FEWEST_WINDOWS = 4

Rows = np.ndarray
"""Indices of rows, int, rising."""

Answer = Callable[[Rows], np.ndarray]
"""A trained model: the scores of these rows, float, shape (rows,)."""

Fit = Callable[[Rows], Answer]
"""Trains a model on these rows."""


@dataclass(frozen=True)
class Timeline:
    """Labelled rows in their order, the first of them history, the others in windows of whole days.

    Attributes
    ----------
    target : float array, shape (rows,)
    day : int array, shape (rows,)
        Counted from 0, never falling.
    history_days : int
        Days before the first window: the first model learns from them.
    window_days : int
    lag_days : int
        How many days after its own a row's label is known.
    """

    target: np.ndarray
    day: np.ndarray
    history_days: int
    window_days: int
    lag_days: int = 0

    def __post_init__(self) -> None:
        if len(self.target) != len(self.day) or (np.diff(self.day) < 0).any():
            raise BacktestError("rows must be in the order of their days")
        if self.windows < FEWEST_WINDOWS:
            days = int(self.day[-1]) + 1 if len(self.day) else 0
            raise BacktestError(
                f"{number_of(days, 'day')} give {number_of(max(self.windows, 0), 'window')} of"
                f" {number_of(self.window_days, 'day')} after the first {self.history_days}, and at least"
                f" {FEWEST_WINDOWS} are required: use more history, or make the windows or the first training"
                " shorter"
            )

    @property
    def windows(self) -> int:
        """How many whole windows there are."""
        last = int(self.day[-1]) if len(self.day) else -1
        return (last + 1 - self.history_days) // self.window_days

    def first_day(self, window: int) -> int:
        """The day on which a window starts."""
        return self.history_days + window * self.window_days

    def window_of(self, day: int) -> int:
        """The window that a day belongs to; negative before the first."""
        return (day - self.history_days) // self.window_days

    @property
    def days(self) -> int:
        """The days there are up to the end of the last window."""
        return self.first_day(self.windows)

    @cached_property
    def day_starts(self) -> np.ndarray:
        """The first row of each day, int, shape (days + 1,); a day without rows starts where the next one does."""
        return np.searchsorted(self.day, np.arange(self.days + 1))

    @cached_property
    def rows_by_day(self) -> np.ndarray:
        """How many rows each day has, int, shape (days,)."""
        return np.diff(self.day_starts)

    def rows_before(self, window: int, *, days: int | None = None, held_out_days: int = 0) -> Rows:
        """The rows whose labels are known when a window starts, of as many of the latest days as asked for.

        The very newest ``held_out_days`` are left out, as a test part is.
        """
        end = max(self.first_day(window) - self.lag_days - held_out_days, 0)
        start = 0 if days is None else max(end - days, 0)
        return np.arange(self.day_starts[start], self.day_starts[end])

    def rows_from(self, window: int) -> Rows:
        """The rows of a window and of all later ones."""
        return np.arange(self.day_starts[self.first_day(window)], self.day_starts[-1])


def score_windows(
    timeline: Timeline,
    fit: Fit,
    *,
    training_days: int | None = None,
    most_rows: int | None = None,
    held_out_days: int = 0,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> np.ndarray:
    """Train a model at the start of each window and let it answer that window and all later ones.

    Parameters
    ----------
    training_days : int, optional
        Each learns from so many of the latest days; from all of them, when it is not given.
    most_rows : int, optional
        Each learns from a sample of so many rows where there are more.
    held_out_days : int
        The newest labelled days that none learns from.
    progress : callable
        Is told how many models are done.

    Returns
    -------
    ndarray, float32, shape (windows, rows)
        NaN before a model's own window.
    """
    rows = timeline.day_starts[-1]
    scores = np.full((timeline.windows, rows), np.nan, dtype=np.float32)
    for window in range(timeline.windows):
        known = timeline.rows_before(window, days=training_days, held_out_days=held_out_days)
        if most_rows is not None and len(known) > most_rows:
            chosen = np.random.default_rng([seed, window]).choice(len(known), most_rows, replace=False)
            known = known[np.sort(chosen)]
        asked = timeline.rows_from(window)
        scores[window, asked] = fit(known)(asked)
        progress(window + 1)
    return scores
