"""Metric alarms: when a series is judged, and what the judgement is.

An alarm is judged at the end of a period in which data arrived. What follows without new data is known at
that moment: the next judgement is set for the first later period in which the state would differ, if there is
one. So a year of a quiet metric costs nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from localcloud.core.clock import Clock, Timer
from localcloud.services.cloudwatch.metrics import MetricName, MetricStore

HISTORY_KEPT = 100
"""The newest entries of an alarm's history."""

log = logging.getLogger(__name__)

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"
_EXTRA_PERIODS = 2
"""CloudWatch looks back further than the evaluation periods when data points are missing."""

_COMPARISONS: Mapping[str, tuple[str, Callable[[float, float], bool]]] = {
    "GreaterThanOrEqualToThreshold": ("greater than or equal to", lambda value, limit: value >= limit),
    "GreaterThanThreshold": ("greater than", lambda value, limit: value > limit),
    "LessThanThreshold": ("less than", lambda value, limit: value < limit),
    "LessThanOrEqualToThreshold": ("less than or equal to", lambda value, limit: value <= limit),
}
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")


@dataclass(frozen=True)
class AlarmSettings:
    """What PutMetricAlarm says."""

    name: str
    arn: str
    metric: MetricName
    statistic: str
    period: int
    evaluation_periods: int
    datapoints_to_alarm: int
    threshold: float
    comparison: str
    treat_missing: str = "missing"
    description: str | None = None
    unit: str | None = None
    actions_enabled: bool = True
    alarm_actions: tuple[str, ...] = ()
    ok_actions: tuple[str, ...] = ()
    insufficient_data_actions: tuple[str, ...] = ()

    def breaches(self, value: float) -> bool:
        """Whether a data point is on the wrong side of the threshold."""
        return _COMPARISONS[self.comparison][1](value, self.threshold)

    def actions(self, state: str) -> tuple[str, ...]:
        """What to do on a transition to ``state``."""
        if not self.actions_enabled:
            return ()
        return {OK: self.ok_actions, ALARM: self.alarm_actions}.get(state, self.insufficient_data_actions)


@dataclass(frozen=True)
class Judgement:
    """The state that data points lead to, and why."""

    state: str
    reason: str


def is_comparison(name: str) -> bool:
    """Whether alarms know a comparison operator."""
    return name in _COMPARISONS


def judge(settings: AlarmSettings, points: Sequence[float | None], current: str) -> Judgement:
    """Judge the data points of the evaluation range.

    Parameters
    ----------
    points : sequence of float or None
        One per period, the oldest first, None where data is missing; a little longer than the evaluation
        periods, since CloudWatch prefers older real data points to filling in missing ones.
    current : str
        The state the alarm is in.

    Source: "Configuring how CloudWatch alarms treat missing data", CloudWatch user guide.
    """
    needed, total = settings.datapoints_to_alarm, settings.evaluation_periods
    real = [(len(points) - at, value) for at, value in enumerate(points) if value is not None][-total:]
    breaching = [age for age, value in real if settings.breaches(value)]
    filled = total - len(real)
    described = _describe(settings, [value for _, value in real], len(breaching))
    if len(breaching) >= needed:
        return Judgement(ALARM, described)
    if filled and settings.treat_missing == "breaching":
        missing = f"{filled} missing datapoints were treated as breaching"
        return Judgement(ALARM if len(breaching) + filled >= needed else OK, f"{described}; {missing}")
    if not filled or settings.treat_missing == "notBreaching" or len(breaching) < len(real):
        return Judgement(OK, described)
    if settings.treat_missing == "ignore":
        return Judgement(current, f"{described}; missing datapoints were ignored")
    if not real:
        return Judgement(INSUFFICIENT_DATA, f"Insufficient Data: {total} datapoints were unknown.")
    if max(breaching) >= needed:
        return Judgement(ALARM, described)
    return Judgement(current, described)


def periods_until_change(settings: AlarmSettings, points: Sequence[float | None], current: str) -> int | None:
    """After how many periods without new data the state would differ; None when it never would."""
    for periods in range(1, len(points) + 1):
        later = [*points[periods:], *[None] * periods]
        if judge(settings, later, current).state != current:
            return periods
    return None


def _describe(settings: AlarmSettings, values: list[float], breaching: int) -> str:
    words = _COMPARISONS[settings.comparison][0]
    listed = ", ".join(f"{value:g}" for value in reversed(values)) or "none"
    return (
        f"Threshold Crossed: {breaching} out of the last {settings.evaluation_periods} datapoints [{listed}] "
        f"{'were' if breaching else 'was not'} {words} the threshold ({settings.threshold:g}) "
        f"(minimum {settings.datapoints_to_alarm} datapoint{'s' if settings.datapoints_to_alarm > 1 else ''} for "
        "OK -> ALARM transition)."
    )


@dataclass(frozen=True)
class Transition:
    """A change of state."""

    settings: AlarmSettings
    before: str
    after: str
    reason: str
    at: datetime


@dataclass
class Alarm:
    """An alarm and the state it is in. Guarded by the board's lock."""

    settings: AlarmSettings
    configured: datetime
    state: str = INSUFFICIENT_DATA
    reason: str = "Unchecked: Initial alarm creation"
    reason_data: str | None = None
    updated: datetime = field(default_factory=lambda: datetime.now(UTC))
    transitioned: datetime = field(default_factory=lambda: datetime.now(UTC))
    timer: Timer | None = None
    stop_listening: Callable[[], None] = lambda: None
    history: list[dict[str, Any]] = field(default_factory=list)


class AlarmBoard:
    """All alarms of one local cloud.

    Parameters
    ----------
    act : callable
        Carries out one action of a transition: the transition and the action's ARN. Called on the clock's
        thread; it sets work off and returns.
    """

    def __init__(self, metrics: MetricStore, clock: Clock, act: Callable[[Transition, str], None]) -> None:
        self._metrics = metrics
        self._clock = clock
        self._act = act
        self._alarms: dict[str, Alarm] = {}
        self._lock = threading.RLock()

    def put(self, settings: AlarmSettings) -> None:
        """Create or change an alarm; a changed one keeps its state until it is judged."""
        now = self._clock.now()
        with self._lock:
            known = self._alarms.get(settings.name)
            if known is None:
                alarm = self._alarms[settings.name] = Alarm(settings, now, updated=now, transitioned=now)
            else:
                known.stop_listening()
                known.settings, known.configured, alarm = settings, now, known
            alarm.stop_listening = self._metrics.listen(settings.metric, lambda at: self._arrived(settings.name, at))
            self._schedule(alarm, _period_end(now, settings.period))

    def alarms(self) -> list[Alarm]:
        """All alarms, by name."""
        with self._lock:
            return [replace(self._alarms[name]) for name in sorted(self._alarms)]

    def delete(self, names: Sequence[str]) -> list[str]:
        """Delete alarms; the names that do not exist."""
        unknown = [name for name in names if name not in self._alarms]
        with self._lock:
            for name in names:
                alarm = self._alarms.pop(name, None)
                if alarm is not None:
                    alarm.stop_listening()
                    if alarm.timer is not None:
                        alarm.timer.cancel()
        return unknown

    def set_state(self, name: str, state: str, reason: str, reason_data: str | None) -> bool:
        """Set a state by hand, until the next judgement; False when there is no such alarm."""
        with self._lock:
            alarm = self._alarms.get(name)
            if alarm is None:
                return False
            transition = self._move(alarm, Judgement(state, reason), reason_data)
            self._schedule(alarm, _period_end(self._clock.now(), alarm.settings.period))
        self._carry_out(transition)
        return True

    def enable_actions(self, names: Sequence[str], enabled: bool) -> None:
        """Switch the actions of alarms on or off."""
        with self._lock:
            for name in names:
                if name in self._alarms:
                    alarm = self._alarms[name]
                    alarm.settings = replace(alarm.settings, actions_enabled=enabled)

    def _arrived(self, name: str, at: datetime) -> None:
        with self._lock:
            alarm = self._alarms.get(name)
            if alarm is not None and self._is_in_sight(alarm.settings, at):
                self._schedule(alarm, _period_end(self._clock.now(), alarm.settings.period))

    def _is_in_sight(self, settings: AlarmSettings, at: datetime) -> bool:
        sight = timedelta(seconds=settings.period * (settings.evaluation_periods + _EXTRA_PERIODS))
        return at > self._clock.now() - sight

    def _schedule(self, alarm: Alarm, due: datetime) -> None:
        if alarm.timer is not None:
            if alarm.timer.due <= due:
                return
            alarm.timer.cancel()
        name = alarm.settings.name
        alarm.timer = self._clock.call_at(due, lambda: self._judge(name), label=f"alarm {name}")

    def _judge(self, name: str) -> None:
        with self._lock:
            alarm = self._alarms.get(name)
            if alarm is None:
                return
            alarm.timer = None
            settings, now = alarm.settings, self._clock.now()
            points = self._points(settings, now)
            transition = self._move(alarm, judge(settings, points, alarm.state))
            changes_in = periods_until_change(settings, points, alarm.state)
            if changes_in is not None:
                later = timedelta(seconds=settings.period * (changes_in - 1))
                self._schedule(alarm, _period_end(now, settings.period) + later)
        self._carry_out(transition)

    def _points(self, settings: AlarmSettings, now: datetime) -> list[float | None]:
        period = timedelta(seconds=settings.period)
        count = settings.evaluation_periods + _EXTRA_PERIODS
        end = _period_end(now - timedelta(microseconds=1), settings.period)
        if end > now:
            end -= period
        start = end - period * count
        buckets = self._metrics.periods(settings.metric, start, end, settings.period)
        found = [buckets.get(start + period * index) for index in range(count)]
        return [None if bucket is None else bucket.statistic(settings.statistic) for bucket in found]

    def _move(self, alarm: Alarm, judgement: Judgement, reason_data: str | None = None) -> Transition | None:
        if judgement.state == alarm.state:
            return None
        now = self._clock.now()
        transition = Transition(alarm.settings, alarm.state, judgement.state, judgement.reason, now)
        alarm.state, alarm.reason, alarm.reason_data = judgement.state, judgement.reason, reason_data
        alarm.updated = alarm.transitioned = now
        summary = f"Alarm updated from {transition.before} to {transition.after}"
        alarm.history.append({"Timestamp": now, "HistoryItemType": "StateUpdate", "HistorySummary": summary})
        del alarm.history[:-HISTORY_KEPT]
        return transition

    def _carry_out(self, transition: Transition | None) -> None:
        if transition is None:
            return
        for action in transition.settings.actions(transition.after):
            self._act(transition, action)


def _period_end(at: datetime, period: int) -> datetime:
    """The first end of a period after ``at``."""
    return datetime.fromtimestamp((int(at.timestamp()) // period + 1) * period, UTC)
