"""The rows of a history as a deployed loop would have met them: asked about, answered, and labelled later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from everloop.dataset.snapshot import SnapshotParts, build_snapshot
from everloop.dataset.snapshot_query import snapshot_window
from everloop.dataset.standing import Standing
from everloop.recalibration.calibration import group_places
from everloop.recalibration.grouped_by import GroupBy

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration

SOURCE = "backtest"
"""What stands for the query in a snapshot's document."""

_HOUR = np.timedelta64(1, "h")


@dataclass(frozen=True)
class LoopRows:
    """Rows in the order of their times and keys.

    Attributes
    ----------
    frame : pandas.DataFrame
        Lake columns ``key``, ``time``, ``label`` and the features. A row after the begin is asked about at the start of
        its hour, and that is its time from then on.
    known_at : datetime64[ms] array, shape (rows,)
        When the label arrived; NaT where none ever does.
    request : int array, shape (rows,)
        Rows of one number are asked about together; -1 of history.
    begin : datetime
        From it on rows are asked about; those before it were imported then.
    """

    frame: pd.DataFrame
    known_at: np.ndarray
    request: np.ndarray
    begin: datetime

    @classmethod
    def of(
        cls, frame: pd.DataFrame, declaration: ModelDeclaration, begin: datetime, *, request_rows: int | None = None
    ) -> LoopRows:
        """The rows of a history as a replay lives through them.

        A label that was not known at the begin never comes to history. Those of a day come together, once the day and
        the declared lag are over.

        Parameters
        ----------
        frame : pandas.DataFrame
            Lake columns, ordered by time.
        request_rows : int, optional
            At most so many rows of an hour are asked about together; as many as a request takes, where not given.
        """
        lag = np.timedelta64(timedelta(hours=declaration.data.label_lag_hours))
        cut, time = instant(begin), frame["time"].to_numpy().astype("datetime64[ms]")
        label = frame["label"].to_numpy(np.float64)
        asked, days = time >= cut, time.astype("datetime64[D]").astype("datetime64[ms]")
        known = np.where(asked, days + np.timedelta64(1, "D") + lag, cut)
        late = ~asked & (time + lag > cut)
        known[np.isnan(label) | late] = np.datetime64("NaT")
        hours = np.where(asked, time.astype("datetime64[h]").astype("datetime64[ms]"), time)
        most = min(request_rows or declaration.serving.max_rows, declaration.serving.max_rows)
        request = np.where(asked, _requests(hours, most), -1)
        moved = frame.assign(time=hours, label=np.where(np.isnat(known), np.nan, label))
        order = np.lexsort([moved["key"].to_numpy().astype(str), hours])
        return cls(moved.iloc[order].reset_index(drop=True), known[order], request[order], begin)

    def places(self, by: GroupBy, rows: np.ndarray) -> np.ndarray:
        """The group of each of these rows, int array as :func:`everloop.recalibration.calibration.group_places`."""
        column = self.frame[by.feature].iloc[rows]
        return group_places(by, column.fillna("").to_numpy(object) if by.values else column.to_numpy(np.float64))

    @cached_property
    def time(self) -> np.ndarray:
        """When each row was asked about, datetime64[ms]."""
        return self.frame["time"].to_numpy().astype("datetime64[ms]")

    @cached_property
    def label(self) -> np.ndarray:
        """float64; NaN where there is none."""
        return self.frame["label"].to_numpy(np.float64)

    @cached_property
    def first_asked(self) -> int:
        """The first row that is asked about."""
        return int(np.searchsorted(self.time, instant(self.begin)))

    def between(self, begin: datetime, end: datetime) -> slice:
        """The rows that were asked about from ``begin`` on and before ``end``."""
        first, last = np.searchsorted(self.time, [instant(begin), instant(end)])
        return slice(max(int(first), self.first_asked), max(int(last), self.first_asked))

    def snapshot(
        self, declaration: ModelDeclaration, as_of: datetime, standing: Standing | None = None
    ) -> SnapshotParts:
        """The training set that a run makes at ``as_of``; raises as ``build_snapshot``."""
        told = self.told(declaration, as_of)
        return build_snapshot(told, declaration, query=SOURCE, as_of=as_of, standing=standing)

    def told(self, declaration: ModelDeclaration, as_of: datetime) -> pd.DataFrame:
        """The rows of a training set made at ``as_of``, with the labels that were known then.

        Labels of history are known of every row that is old enough, as on the lake: also before the begin.
        """
        window = snapshot_window(declaration, as_of)
        inside = self.time <= instant(window.newest)
        if window.oldest is not None:
            inside &= self.time > instant(window.oldest)
        told = self.frame[inside].copy()
        known = (self.known_at <= instant(as_of)) | ((self.request < 0) & ~np.isnat(self.known_at))
        told.loc[~known[inside], "label"] = np.nan
        return told


def instant(at: datetime) -> np.datetime64:
    """The same instant without a zone, in milliseconds."""
    return np.datetime64(pd.Timestamp(at).tz_convert("UTC").tz_localize(None), "ms")


def _requests(hours: np.ndarray, most_rows: int) -> np.ndarray:
    """A number for the rows of an hour, or for as many of them as a request takes."""
    starts = np.concatenate([[True], hours[1:] != hours[:-1]]) if len(hours) else np.zeros(0, dtype=bool)
    hour = np.cumsum(starts) - 1
    place = np.arange(len(hours)) - np.flatnonzero(starts)[hour] if len(hours) else np.zeros(0, dtype=int)
    return np.unique(np.stack([hour, place // most_rows]), axis=1, return_inverse=True)[1].reshape(-1)
