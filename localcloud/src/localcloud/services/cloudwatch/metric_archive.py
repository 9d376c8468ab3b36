"""Metrics of long ago: an hour of a series is a row in a file, so that a year of them takes no memory."""

from __future__ import annotations

import math
import sqlite3
from array import array
from collections.abc import Iterator
from pathlib import Path

from localcloud.services.cloudwatch.metric_buckets import Bucket

HOUR = 3600
KEPT_SECONDS = 455 * 86_400
"""How long CloudWatch keeps hours."""

_HEAD = 4


class MetricArchive:
    """Buckets of an hour by series. Its caller lets one thread at a time in.

    Parameters
    ----------
    path : Path or None
        The file; in memory without one.
    """

    def __init__(self, path: Path | None = None) -> None:
        if path is not None:
            path.unlink(missing_ok=True)
        connection = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        # One cursor for all: a connection remembers the last two hundred that were made for it.
        self._database = connection.cursor()
        # The file lives no longer than this process: nothing must survive a crash.
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._oldest = math.inf
        self._database.execute("CREATE TABLE hours (series INTEGER, at INTEGER, bucket BLOB, PRIMARY KEY (series, at))")

    def add(self, series: int, buckets: dict[int, Bucket]) -> None:
        """Merge buckets into a series' hours, by the start of the hour."""
        self._database.execute("BEGIN")
        for at, bucket in buckets.items():
            found = self._database.execute("SELECT bucket FROM hours WHERE series = ? AND at = ?", (series, at))
            for (known,) in found.fetchall():
                bucket.merge(_unpacked(known))
            self._database.execute("INSERT OR REPLACE INTO hours VALUES (?, ?, ?)", (series, at, _packed(bucket)))
        self._database.execute("COMMIT")
        self._oldest = min(self._oldest, *buckets)

    def expire(self, now: int) -> None:
        """Drop the hours of all series that are older than they are kept."""
        if self._oldest >= now - KEPT_SECONDS:
            return
        self._database.execute("DELETE FROM hours WHERE at < ?", (now - KEPT_SECONDS,))
        ((oldest,),) = self._database.execute("SELECT min(at) FROM hours").fetchall()
        self._oldest = math.inf if oldest is None else oldest

    def between(self, series: int, start: int, end: int) -> Iterator[tuple[int, Bucket]]:
        """Start and bucket of a series' hours that start in [start, end)."""
        query = "SELECT at, bucket FROM hours WHERE series = ? AND at >= ? AND at < ? ORDER BY at"
        for at, packed in self._database.execute(query, (series, start, end)).fetchall():
            yield at, _unpacked(packed)


def _packed(bucket: Bucket) -> bytes:
    numbers = array("d", [bucket.count, bucket.total, bucket.low, bucket.high])
    numbers.extend(bucket.values.keys())
    numbers.extend(bucket.values.values())
    return numbers.tobytes()


def _unpacked(packed: bytes) -> Bucket:
    numbers = array("d")
    numbers.frombytes(packed)
    count, total, low, high = numbers[:_HEAD]
    size = (len(numbers) - _HEAD) // 2
    values = dict(zip(numbers[_HEAD : _HEAD + size], numbers[_HEAD + size :], strict=True))
    assert not math.isnan(count)
    return Bucket(count, total, low, high, values)
