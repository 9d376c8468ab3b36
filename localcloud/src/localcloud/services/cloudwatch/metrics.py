"""Metrics as CloudWatch keeps them: a week of minutes in memory, then hours on the disk for 455 days."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from localcloud.services.cloudwatch.metric_archive import MetricArchive
from localcloud.services.cloudwatch.metric_buckets import EXACT_VALUES, Bucket, MetricError, percentile_of

__all__ = ["EXACT_VALUES", "Bucket", "MetricError", "MetricName", "MetricStore", "percentile_of"]

MINUTE = 60
HOUR = 3600
DAY = 86_400
MINUTES_KEPT = 7 * DAY
"""For how many seconds minutes are kept; older ones are kept as hours (CloudWatch does so after 15 days)."""

OLDEST = timedelta(days=14)
NEWEST = timedelta(hours=2)

Dimensions = tuple[tuple[str, str], ...]


@dataclass(frozen=True, order=True)
class MetricName:
    """Which series: namespace, name and dimensions in the order of their names."""

    namespace: str
    name: str
    dimensions: Dimensions = ()

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: Mapping[str, str]) -> MetricName:
        """The name with dimensions in any order."""
        return cls(namespace, name, tuple(sorted(dimensions.items())))


class _Series:
    """One metric: minutes in memory, hours in the archive under ``number``."""

    def __init__(self, number: int, archive: MetricArchive) -> None:
        self.minutes: dict[int, Bucket] = {}
        self.unit: str | None = None
        self._number = number
        self._archive = archive
        self._rolled_at = 0

    def bucket(self, at: int) -> Bucket:
        start = at - at % MINUTE
        bucket = self.minutes.get(start)
        if bucket is None:
            bucket = self.minutes[start] = Bucket()
        return bucket

    def roll_up(self, now: int) -> None:
        """The minutes of more than a week ago become hours."""
        self._rolled_at = now
        hours: dict[int, Bucket] = {}
        for start in [start for start in self.minutes if start < now - MINUTES_KEPT]:
            hours.setdefault(start - start % HOUR, Bucket()).merge(self.minutes.pop(start))
        if hours:
            self._archive.add(self._number, hours)

    def between(self, start: int, end: int) -> Iterable[tuple[int, Bucket]]:
        span = (end - start) // MINUTE
        if span < len(self.minutes):
            first = start - start % MINUTE
            for at in range(first, end, MINUTE):
                if at in self.minutes and at >= start:
                    yield at, self.minutes[at]
        else:
            yield from ((at, bucket) for at, bucket in self.minutes.items() if start <= at < end)
        if start < self._rolled_at - MINUTES_KEPT:
            yield from self._archive.between(self._number, start, end)


class MetricStore:
    """All series of one local cloud.

    Parameters
    ----------
    archive : Path, optional
        The file of what is more than a week old; in memory without one.
    """

    def __init__(self, now: Callable[[], datetime], archive: Path | None = None) -> None:
        self._now = now
        self._archive = MetricArchive(archive)
        self._series: dict[MetricName, _Series] = {}
        self._rolled_on: int | None = None
        self._lock = threading.Lock()
        self._listeners: dict[MetricName, list[Callable[[datetime], None]]] = {}

    def put(
        self,
        name: MetricName,
        value: float,
        *,
        times: float = 1.0,
        at: datetime | None = None,
        unit: str | None = None,
    ) -> None:
        """Count a value, now unless ``at`` is given."""
        self._change(name, at, unit, lambda bucket: bucket.add(value, times))

    def put_values(
        self, name: MetricName, values: Iterable[tuple[float, float]], at: datetime | None, unit: str | None
    ) -> None:
        """Count values, each with how often it occurred."""

        def change(bucket: Bucket) -> None:
            for value, times in values:
                bucket.add(value, times)

        self._change(name, at, unit, change)

    def put_summary(
        self,
        name: MetricName,
        *,
        count: float,
        total: float,
        low: float,
        high: float,
        at: datetime | None,
        unit: str | None,
    ) -> None:
        """Count a StatisticSet."""
        self._change(name, at, unit, lambda bucket: bucket.add_summary(count, total, low, high))

    def names(self, namespace: str | None = None) -> list[MetricName]:
        """The series that exist."""
        with self._lock:
            return [name for name in self._series if namespace is None or name.namespace == namespace]

    def unit(self, name: MetricName) -> str:
        """The unit that last arrived."""
        with self._lock:
            series = self._series.get(name)
            return (series.unit if series else None) or "None"

    def periods(self, name: MetricName, start: datetime, end: datetime, period: int) -> dict[datetime, Bucket]:
        """What arrived in [start, end), by the start of each period that has data.

        Periods lie at multiples of their length since 1970, as CloudWatch aligns them.

        Parameters
        ----------
        period : int
            Seconds, a multiple of 60.
        """
        if period < MINUTE or period % MINUTE:
            raise MetricError("InvalidParameterValue", f"Period is {period}: must be a multiple of 60")
        found: dict[int, Bucket] = {}
        first = int(start.timestamp()) // period * period
        last = math.ceil(end.timestamp())
        with self._lock:
            series = self._series.get(name)
            if series is None:
                return {}
            for at, bucket in series.between(first, last):
                found.setdefault(at - at % period, Bucket()).merge(bucket)
        return {datetime.fromtimestamp(at, UTC): bucket for at, bucket in sorted(found.items())}

    def listen(self, name: MetricName, listener: Callable[[datetime], None]) -> Callable[[], None]:
        """Call ``listener`` with the time of everything that arrives under ``name``; returns how to stop."""
        with self._lock:
            self._listeners.setdefault(name, []).append(listener)

        def stop() -> None:
            with self._lock:
                self._listeners[name].remove(listener)

        return stop

    def _change(
        self, name: MetricName, at: datetime | None, unit: str | None, change: Callable[[Bucket], None]
    ) -> None:
        now = self._now()
        when = now if at is None else at
        if when < now - OLDEST or when > now + NEWEST:
            raise MetricError(
                "InvalidParameterValue",
                f"Timestamp {when.isoformat()} of {name.namespace} {name.name} is more than two weeks before or two "
                f"hours after now, {now.isoformat()}",
            )
        with self._lock:
            self._roll_up(int(now.timestamp()))
            series = self._series.get(name)
            if series is None:
                series = self._series[name] = _Series(len(self._series), self._archive)
            change(series.bucket(int(when.timestamp())))
            series.unit = unit or series.unit
            listeners = list(self._listeners.get(name, ()))
        for listener in listeners:
            listener(when)

    def _roll_up(self, now: int) -> None:
        """Once a day of the clock, all series: those that nothing arrives for any more, too."""
        day = now // DAY
        if day == self._rolled_on:
            return
        self._rolled_on = day
        for series in self._series.values():
            series.roll_up(now)
        self._archive.expire(now)
