"""How a version did on its own answers, from the windows in which it served.

A refit serves before any label has judged it: only its evaluated counterpart was evaluated, on rows that the refit has
learned from. The first rows that show how good the refit is are the rows that it answers itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from everloop.instants import format_instant
from everloop.numbers_of import number_of
from everloop.registry.records import Version, Window

BATCH = 32
"""Windows that are read at first; as many again as long as they reach not far enough."""


@dataclass(frozen=True)
class OwnLabels:
    """How a version did on rows it answered itself.

    Attributes
    ----------
    state : str
        ``awaiting`` until a monitored window holds labels of such rows, ``judged`` from then on.
    since, until : datetime or None
        The ends of the first and the last of these windows.
    rows : int
        Labelled rows in them.
    loss : float or None
        Their mean loss, in the gate's metric.
    """

    version: int
    state: Literal["awaiting", "judged"]
    since: datetime | None = None
    until: datetime | None = None
    rows: int = 0
    loss: float | None = None

    @property
    def sentence(self) -> str:
        """The state for people."""
        if self.state == "awaiting" or self.since is None:
            return "awaiting its own labels"
        return (
            f"judged by its own labels since the window that ended {format_instant(self.since)}:"
            f" {number_of(self.rows, 'row')}, "
            f"mean loss {self.loss:.4g}"
        )


def own_labels(windows: Iterable[Window], version: int) -> OwnLabels:
    """The state of ``version`` after these windows, in any order."""
    records = (window.record for window in windows)
    own = sorted(
        (record.end, record.profile["outcomes"]["rows"], record.loss)
        for record in records
        if record.version == version and record.loss is not None and record.profile["outcomes"]["rows"]
    )
    if not own:
        return OwnLabels(version, "awaiting")
    rows = sum(count for _, count, _ in own)
    return OwnLabels(
        version=version,
        state="judged",
        since=own[0][0],
        until=own[-1][0],
        rows=rows,
        loss=math.fsum(count * loss for _, count, loss in own) / rows,
    )


def windows_since(created_at: datetime, latest: Callable[[int], Sequence[Window]]) -> Sequence[Window]:
    """The recorded windows that ended after an instant, and perhaps some before, newest first.

    Parameters
    ----------
    latest : callable
        Reads that many of the latest windows.
    """
    count = BATCH
    while True:
        windows = latest(count)
        if len(windows) < count or windows[-1].end <= created_at:
            return windows
        count *= 2


def own_labels_of(version: Version, latest: Callable[[int], Sequence[Window]]) -> OwnLabels:
    """The state of a version by every window that it can have served in."""
    return own_labels(windows_since(version.created_at, latest), version.version)
