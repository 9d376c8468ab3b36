"""What one version did in a stretch of time, as the guardrail judges it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

RECENT = timedelta(hours=1)


class Counts(Protocol):
    """What is counted, of a minute or of a whole stretch.

    Attributes
    ----------
    requests, errors : int
        Invocations, and those that failed (crashed, or answered 5xx).
    refused : int
        Requests that the version's contract refused, answered with 4xx.
    timed, slow : int
        Invocations whose duration is known, and those of them that took longer than ``max_p99_latency_ms``; without
        initialisation.
    cold, slow_cold : int
        Cold starts that a request waited for, and those of them that took longer than ``max_cold_start_ms``.
    """

    @property
    def requests(self) -> int: ...  # noqa: D102  # see the class
    @property
    def errors(self) -> int: ...  # noqa: D102
    @property
    def refused(self) -> int: ...  # noqa: D102
    @property
    def timed(self) -> int: ...  # noqa: D102
    @property
    def slow(self) -> int: ...  # noqa: D102
    @property
    def cold(self) -> int: ...  # noqa: D102
    @property
    def slow_cold(self) -> int: ...  # noqa: D102


@dataclass(frozen=True)
class Minute:
    """The counts of one minute, which begins ``at``; see :class:`Counts`. Older ones come in longer periods."""

    at: datetime
    requests: int = 0
    errors: int = 0
    refused: int = 0
    timed: int = 0
    slow: int = 0
    cold: int = 0
    slow_cold: int = 0


NO_REQUESTS = Minute(datetime.min)


@dataclass(frozen=True)
class VersionMetrics:
    """The counts of a stretch of time; see :class:`Counts`.

    Attributes
    ----------
    p99_ms : float or None
        99th percentile of the duration in milliseconds; None without requests. It tells, and decides nothing.
    minutes : tuple of Minute
        The same counts minute by minute, in the order of time; minutes without requests may be left out. Where there
        are none, the stretch counts as one block.
    until : datetime, optional
        The stretch's end.
    """

    requests: int
    errors: int
    p99_ms: float | None
    refused: int = 0
    timed: int = 0
    slow: int = 0
    cold: int = 0
    slow_cold: int = 0
    minutes: tuple[Minute, ...] = field(default=(), compare=False)
    until: datetime | None = field(default=None, compare=False)

    @classmethod
    def of(cls, minutes: tuple[Minute, ...], p99_ms: float | None, until: datetime) -> VersionMetrics:
        """The counts of these minutes."""
        requests, errors = sum(m.requests for m in minutes), sum(m.errors for m in minutes)
        refused = sum(m.refused for m in minutes)
        timed, slow = sum(m.timed for m in minutes), sum(m.slow for m in minutes)
        cold, slow_cold = sum(m.cold for m in minutes), sum(m.slow_cold for m in minutes)
        return cls(requests, errors, p99_ms, refused, timed, slow, cold, slow_cold, minutes, until)

    @property
    def blocks(self) -> tuple[Counts, ...]:
        """The minutes, or all as one block."""
        return self.minutes or (self,)

    def beside(self, other: VersionMetrics) -> list[tuple[Counts, Counts]]:
        """The blocks of both in the same minutes, this one's first."""
        if not self.minutes or not other.minutes:
            return [(self, other)]
        others = {minute.at: minute for minute in other.minutes}
        return [(minute, others.get(minute.at, NO_REQUESTS)) for minute in self.minutes]

    @property
    def recent(self) -> tuple[Minute, ...]:
        """The minutes of the last hour."""
        return tuple(m for m in self.minutes if self.until is not None and m.at >= self.until - RECENT)
