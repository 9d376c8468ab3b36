"""What a backtest knows of a history, and what of it a policy may know when it decides."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from everloop.retraining.backtest.losses import LossTable
from everloop.retraining.exceptions import BacktestError

LEAST_SHARE = 0.5
"""Of a window's days must be labelled before it counts as seen."""


@dataclass(frozen=True)
class History:
    """All that models lost, for all policies.

    Attributes
    ----------
    served : LossTable
        What callers would have got of each model: recalibrated, or as it was.
    probe : LossTable
        Cheap probes, trained when the models were.
    raw : LossTable
        The models without recalibration, for triggers that watch the model itself.
    errors : LossTable
        Of ``raw``: wrong answers, 0 or 1 a row.
    fresh : float array, shape (windows,)
        What the reference lost in each window: a model that is always new, and recalibrated.
    shift_stability, shift_distance : float array, shape (models, windows)
        The largest population stability index, and the least p-value of Kolmogorov and Smirnov's test over all
        features, of the model's training rows and the window.
    """

    served: LossTable
    probe: LossTable
    raw: LossTable
    errors: LossTable
    fresh: np.ndarray
    shift_stability: np.ndarray | None = None
    shift_distance: np.ndarray | None = None

    @property
    def windows(self) -> int:
        """How many there are."""
        return self.served.timeline.windows

    @cached_property
    def window_loss(self) -> float:
        """What the reference loses in a window on average."""
        return float(self.fresh.mean())

    @cached_property
    def staleness(self) -> np.ndarray:
        """What each probe lost more by day than the one that was fresh then, float, shape (models, days)."""
        line = self.probe.timeline
        window = np.array([line.window_of(day) for day in range(line.days)])
        fresh = self.probe.daily[np.maximum(window, 0), np.arange(line.days)]
        return np.asarray(self.probe.daily - fresh)


@dataclass(frozen=True)
class View:
    """What is known at the start of window ``now``, before it is served. What lies ahead is refused.

    Attributes
    ----------
    history : History
    now : int
        The window that is about to be served.
    serving : int
        The model that has served so far, named by the window at whose start it was trained.
    since : int
        The window from which it serves: later than ``serving`` where it serves once more.
    trained : tuple of int
        All models trained so far, the first one included.
    cost : float
        Of a retraining, in the unit of the losses.
    """

    history: History
    now: int
    serving: int
    since: int
    trained: tuple[int, ...]
    cost: float

    @property
    def age(self) -> int:
        """Windows since the serving model was trained."""
        return self.now - self.serving

    @property
    def newest(self) -> int:
        """The model that was trained last, whether it serves or not."""
        return self.trained[-1]

    @cached_property
    def known_days(self) -> int:
        """Days whose labels are known, counted from the first."""
        line = self.history.served.timeline
        return line.first_day(self.now) - line.lag_days

    @cached_property
    def seen(self) -> int:
        """Windows of which enough days are labelled."""
        line = self.history.served.timeline
        days = self.known_days - line.history_days
        whole, rest = divmod(max(days, 0), line.window_days)
        return whole + (rest >= LEAST_SHARE * line.window_days)

    def losses(self, table: LossTable, model: int, first: int = 0) -> np.ndarray:
        """A model's loss by window, from the first one on up to the newest that was seen, float, shape (windows,).

        A window of which some days have no labels yet counts as if they were like the others.
        """
        return self._by_window(table.daily[model])[first : self.seen]

    def day_losses(self, table: LossTable, model: int, window: int) -> np.ndarray:
        """A model's loss by labelled day of a window.

        Raises
        ------
        BacktestError
            When the window was not seen yet.
        """
        if window >= self.seen:
            raise BacktestError(f"window {window} is not known at the start of window {self.now}")
        return table.days_of(model, window)[: self.known_days - table.timeline.first_day(window)]

    def staleness(self) -> np.ndarray:
        """What probes lost more than the fresh one, by window and by age, float, shape (windows seen, ages)."""
        by_window = self._by_window(self.history.staleness)[:, : self.seen]
        window = np.arange(self.seen)
        model = window[:, None] - window[None, :]
        found = by_window[np.maximum(model, 0), window[:, None]] if self.seen else np.zeros((0, 0))
        return np.where(model >= 0, found, np.nan)

    def rows_by_window(self) -> np.ndarray:
        """How many rows each seen window has; of unlabelled days as many as of the others."""
        return self._by_window(self.history.served.timeline.rows_by_day.astype(float))[: self.seen]

    def newest_less_probe(self) -> np.ndarray:
        """By window since its training: what the newest model lost more than the probe that was fresh then."""
        windows = np.arange(self.newest, self.seen)
        served = self.losses(self.history.served, self.newest)[windows]
        probes = self._by_window(self.history.probe.daily)[windows, windows]
        return np.asarray(served - probes)

    def _by_window(self, daily: np.ndarray) -> np.ndarray:
        """Daily sums, the last axis, as sums by window; unlabelled days count as the mean of the labelled ones."""
        line = self.history.served.timeline
        known = self.known_days
        windows = -(-(known - line.history_days) // line.window_days)
        padded = np.full((*daily.shape[:-1], max(windows, 0) * line.window_days), np.nan)
        padded[..., : known - line.history_days] = daily[..., line.history_days : known]
        days = padded.reshape(*daily.shape[:-1], max(windows, 0), line.window_days)
        labelled = np.arange(days.shape[-2] * line.window_days) < known - line.history_days
        share = labelled.reshape(days.shape[-2], line.window_days).mean(-1)
        total: np.ndarray = np.nansum(days, axis=-1) / share
        return np.where(np.isnan(days[..., 0]), np.nan, total)
