"""Metrics as CloudWatch keeps them: per minute, with their distribution, in bounded memory."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

MINUTE = 60
HOUR = 3600
MAX_MINUTES_PER_SERIES = 10_080
"""A week of minutes; older ones are kept as hours (CloudWatch does so after 15 days)."""

EXACT_VALUES = 64
_RATIO = math.log(1.01)
OLDEST = timedelta(days=14)
NEWEST = timedelta(hours=2)
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,2})?|100)\Z")
_NUMBER = r"(\d+(?:\.\d{1,10})?)?"
_RANK = re.compile(rf"PR\({_NUMBER}:{_NUMBER}\)\Z")

Dimensions = tuple[tuple[str, str], ...]


class MetricError(ValueError):
    """Data or a query that CloudWatch does not take; ``code`` is its name of the error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


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


@dataclass
class Bucket:
    """What arrived in one minute (or hour).

    ``values`` maps a value to how often it arrived: exactly for up to 64 different values, beyond that to
    1 % relative precision, so that a busy minute takes no more memory than a few hundred numbers.
    """

    count: float = 0.0
    total: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    values: dict[float, float] = field(default_factory=dict)

    def add(self, value: float, times: float = 1.0) -> None:
        """Count a value."""
        self.count += times
        self.total += value * times
        self.low = min(self.low, value)
        self.high = max(self.high, value)
        self._spread(value, times)

    def add_summary(self, count: float, total: float, low: float, high: float) -> None:
        """Count a StatisticSet, whose distribution is unknown but for its ends and its mean."""
        self.count += count
        self.total += total
        self.low = min(self.low, low)
        self.high = max(self.high, high)
        self._spread(total / count, count)

    def merge(self, other: Bucket) -> None:
        """Count all that another bucket counted."""
        self.count += other.count
        self.total += other.total
        self.low = min(self.low, other.low)
        self.high = max(self.high, other.high)
        for value, times in other.values.items():
            self._spread(value, times)

    def statistic(self, name: str) -> float:
        """A statistic by CloudWatch's name.

        Raises
        ------
        MetricError
            For a name that is neither a basic statistic, a percentile nor a percentile rank.
        """
        basic = {
            "SampleCount": self.count,
            "Sum": self.total,
            "Average": self.total / self.count if self.count else math.nan,
            "Minimum": self.low,
            "Maximum": self.high,
        }
        if name in basic:
            return basic[name]
        rank = _RANK.match(name)
        if rank is not None and (rank[1] or rank[2]):
            return self._percentile_rank(float(rank[1] or "-inf"), float(rank[2] or "inf"))
        return self._percentile(percentile_of(name))

    def _percentile_rank(self, above: float, up_to: float) -> float:
        """The percentage of values in (above, up_to]."""
        if not self.count:
            return math.nan
        inside = sum(times for value, times in self.values.items() if above < self._held(value) <= up_to)
        return 100 * inside / self.count

    def _held(self, value: float) -> float:
        """A value that was rounded, no further than the values reach."""
        return min(max(value, self.low), self.high)

    def _percentile(self, percent: float) -> float:
        rank = percent / 100 * self.count
        reached = 0.0
        for value, times in sorted(self.values.items()):
            reached += times
            if reached >= rank:
                return self._held(value)
        return self.high

    def _spread(self, value: float, times: float) -> None:
        if value in self.values or len(self.values) < EXACT_VALUES:
            self.values[value] = self.values.get(value, 0.0) + times
            return
        if len(self.values) == EXACT_VALUES:
            exact, self.values = self.values, {}
            for seen, seen_times in exact.items():
                rounded = _rounded(seen)
                self.values[rounded] = self.values.get(rounded, 0.0) + seen_times
        rounded = _rounded(value)
        self.values[rounded] = self.values.get(rounded, 0.0) + times


def _rounded(value: float) -> float:
    if value == 0:
        return 0.0
    return math.copysign(math.exp(round(math.log(abs(value)) / _RATIO) * _RATIO), value)


def percentile_of(name: str) -> float:
    """The percent of a statistic such as ``p99.9``.

    Raises
    ------
    MetricError
    """
    match = _PERCENTILE.match(name)
    if match is None:
        raise MetricError(
            "InvalidParameterValue",
            f"statistic {name!r} is not executed by the local cloud: it executes SampleCount, Sum, Average, "
            "Minimum, Maximum, percentiles such as p99 and percentile ranks such as PR(:300)",
        )
    return float(match[1])


class _Series:
    def __init__(self) -> None:
        self.minutes: dict[int, Bucket] = {}
        self.hours: dict[int, Bucket] = {}
        self.unit: str | None = None

    def bucket(self, at: int) -> Bucket:
        start = at - at % MINUTE
        bucket = self.minutes.get(start)
        if bucket is None:
            if len(self.minutes) >= MAX_MINUTES_PER_SERIES:
                self._roll_up()
            bucket = self.minutes[start] = Bucket()
        return bucket

    def _roll_up(self) -> None:
        for start in sorted(self.minutes)[: MAX_MINUTES_PER_SERIES // 2]:
            self.hours.setdefault(start - start % HOUR, Bucket()).merge(self.minutes.pop(start))

    def between(self, start: int, end: int) -> Iterable[tuple[int, Bucket]]:
        span = (end - start) // MINUTE
        if span < len(self.minutes):
            first = start - start % MINUTE
            for at in range(first, end, MINUTE):
                if at in self.minutes and at >= start:
                    yield at, self.minutes[at]
        else:
            yield from ((at, bucket) for at, bucket in self.minutes.items() if start <= at < end)
        yield from ((at, bucket) for at, bucket in self.hours.items() if start <= at < end)


class MetricStore:
    """All series of one local cloud."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._series: dict[MetricName, _Series] = {}
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
            series = self._series.get(name)
            if series is None:
                series = self._series[name] = _Series()
            change(series.bucket(int(when.timestamp())))
            series.unit = unit or series.unit
            listeners = list(self._listeners.get(name, ()))
        for listener in listeners:
            listener(when)
