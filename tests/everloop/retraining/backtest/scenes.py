"""Small histories of losses."""

from __future__ import annotations

import numpy as np

from everloop.retraining.backtest.history import History
from everloop.retraining.backtest.losses import LossTable
from everloop.retraining.backtest.timeline import Timeline

HISTORY_DAYS, WINDOW_DAYS, ROWS_A_DAY = 10, 5, 4


def timeline(windows: int = 8, lag_days: int = 0) -> Timeline:
    day = np.repeat(np.arange(HISTORY_DAYS + windows * WINDOW_DAYS), ROWS_A_DAY)
    return Timeline(np.zeros(len(day)), day, HISTORY_DAYS, WINDOW_DAYS, lag_days)


def table(line: Timeline, by_window: np.ndarray, noise: np.ndarray | float = 0.0) -> LossTable:
    """A table of given sums by window, float, shape (models, windows), spread evenly over the days but for noise."""
    daily = np.full((line.windows, line.days), np.nan)
    even = np.repeat(by_window / line.window_days, line.window_days, axis=1) + noise
    for model in range(line.windows):
        first = line.first_day(model)
        daily[model, first:] = even[model, first - line.history_days :]
    return LossTable(line, daily)


def ageing_losses(windows: int, slope: float) -> np.ndarray:
    """1 a window when a model is new, more by its age."""
    age = np.arange(windows)[None, :] - np.arange(windows)[:, None]
    values: np.ndarray = 1 + slope * np.maximum(age, 0).astype(float)
    return values


def history(by_window: np.ndarray, *, lag_days: int = 0, noise: np.ndarray | float = 0.0) -> History:
    """A history in which probes lose what the models lose."""
    line = timeline(len(by_window), lag_days)
    losses = table(line, by_window, noise)
    # At most a row in two is wrong, whatever is lost.
    errors = table(line, np.minimum(by_window, 2.0) * ROWS_A_DAY * WINDOW_DAYS / 4)
    return History(losses, losses, losses, errors, np.diag(losses.by_window).copy())
