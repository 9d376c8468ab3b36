"""What arrived of one metric in one minute or hour, with its distribution, in bounded memory."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

EXACT_VALUES = 64
_RATIO = math.log(1.01)
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,2})?|100)\Z")
_NUMBER = r"(\d+(?:\.\d{1,10})?)?"
_RANK = re.compile(rf"PR\({_NUMBER}:{_NUMBER}\)\Z")


class MetricError(ValueError):
    """Data or a query that CloudWatch does not take; ``code`` is its name of the error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(slots=True)
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
        if not self.values:
            self.values = dict(other.values)
            return
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
