"""Schedule expressions of EventBridge: ``rate(…)``, ``cron(…)`` and ``at(…)``, and when they are due next.

``cron`` is AWS's: six fields (minute, hour, day of month, month, day of week, year), Sunday is 1, one of the
two day fields is ``?``, and there are ``L``, ``W`` and ``#``. A local time that a change to summer time skips
is skipped; one that comes twice is taken once, the first time.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

_MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_DAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}
_UNITS = {"minute": 60, "hour": 3600, "day": 86400}
_FIRST_YEAR, _LAST_YEAR = 1970, 2199


class ScheduleExpressionError(ValueError):
    """A schedule expression that is not valid; the message says which part and why."""


@dataclass(frozen=True)
class Rate:
    """Every so many seconds, counted from an anchor."""

    seconds: int

    def next_after(self, moment: datetime, anchor: datetime) -> datetime | None:
        """The first due instant after ``moment``: the anchor, or whole periods after it."""
        if moment < anchor:
            return anchor
        periods = (moment - anchor) // timedelta(seconds=self.seconds) + 1
        return anchor + periods * timedelta(seconds=self.seconds)


@dataclass(frozen=True)
class At:
    """Once, at a local time."""

    local: datetime
    zone: ZoneInfo

    def next_after(self, moment: datetime, anchor: datetime) -> datetime | None:
        """The instant, when it lies after ``moment``."""
        due = _instant(self.local, self.zone)
        return due if due is not None and due > moment else None


@dataclass(frozen=True)
class Cron:
    """At the local times that all fields agree on."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days_of_month: str
    months: frozenset[int]
    days_of_week: str
    years: frozenset[int]
    zone: ZoneInfo

    def next_after(self, moment: datetime, anchor: datetime) -> datetime | None:
        """The first due instant after ``moment``, or None when there is none any more."""
        start = moment.astimezone(self.zone).replace(tzinfo=None)
        for day in self._days_from(start.date()):
            for hour in sorted(self.hours):
                for minute in sorted(self.minutes):
                    local = datetime(day.year, day.month, day.day, hour, minute)
                    due = _instant(local, self.zone)
                    if due is not None and due > moment:
                        return due
        return None

    def _days_from(self, first: date) -> Iterator[date]:
        for year in sorted(year for year in self.years if year >= first.year):
            for month in sorted(self.months):
                if (year, month) < (first.year, first.month):
                    continue
                for day in self._days_of(year, month):
                    if date(year, month, day) >= first:
                        yield date(year, month, day)

    def _days_of(self, year: int, month: int) -> list[int]:
        if self.days_of_month != "?":
            return sorted(_days_of_month(self.days_of_month, year, month))
        return sorted(_days_by_weekday(self.days_of_week, year, month))


Expression = Rate | At | Cron


def parse(text: str, timezone: str = "UTC", *, is_strict: bool = True) -> Expression:
    """Read a schedule expression.

    Parameters
    ----------
    text : str
        ``rate(5 minutes)``, ``cron(0 12 ? * MON-FRI *)`` or ``at(2026-01-31T08:00:00)``.
    timezone : str
        IANA name of the zone ``cron`` and ``at`` are meant in.
    is_strict : bool
        Whether the unit of a rate must agree with its number, as in rules; schedules take ``rate(5 minute)`` too.

    Raises
    ------
    ScheduleExpressionError
        When it is not one.
    """
    try:
        zone = ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        raise ScheduleExpressionError(f"{timezone!r} is not a time zone; use an IANA name or UTC") from None
    match = re.fullmatch(r"(rate|cron|at)\((.+)\)", text.strip())
    if match is None:
        raise ScheduleExpressionError(f"{text!r}: expected rate(…), cron(…) or at(…)")
    kind, body = match[1], match[2].strip()
    if kind == "rate":
        return _parse_rate(body, is_strict)
    return _parse_at(body, zone) if kind == "at" else _parse_cron(body, zone)


def _parse_rate(body: str, is_strict: bool) -> Rate:
    match = re.fullmatch(r"([1-9]\d*)\s+(minute|hour|day)(s?)", body)
    if match is None or (is_strict and (match[1] == "1") == bool(match[3])):
        raise ScheduleExpressionError(
            f"rate({body}): expected a positive number and minutes, hours or days (in the singular for 1)"
        )
    return Rate(int(match[1]) * _UNITS[match[2]])


def _parse_at(body: str, zone: ZoneInfo) -> At:
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", body):
        raise ScheduleExpressionError(f"at({body}): expected yyyy-mm-ddThh:mm:ss")
    try:
        return At(datetime.fromisoformat(body), zone)
    except ValueError as error:
        raise ScheduleExpressionError(f"at({body}): {error}") from error


def _parse_cron(body: str, zone: ZoneInfo) -> Cron:
    fields = body.upper().split()
    if len(fields) != 6:
        raise ScheduleExpressionError(
            f"cron({body}): expected 6 fields (minute hour day-of-month month day-of-week year), got {len(fields)}"
        )
    minute, hour, day, month, weekday, year = fields
    if (day == "?") == (weekday == "?"):
        raise ScheduleExpressionError(f"cron({body}): exactly one of day of month and day of week has to be '?'")
    cron = Cron(
        minutes=_values("minute", minute, 0, 59),
        hours=_values("hour", hour, 0, 23),
        days_of_month=day,
        months=_values("month", month, 1, 12, _MONTHS),
        days_of_week=weekday,
        years=_values("year", year, _FIRST_YEAR, _LAST_YEAR),
        zone=zone,
    )
    # Read once, so that a malformed day is told now and not when it is due.
    _days_of_month(day, 2000, 1) if day != "?" else _days_by_weekday(weekday, 2000, 1)
    return cron


def _values(name: str, field: str, low: int, high: int, names: dict[str, int] | None = None) -> frozenset[int]:
    values: set[int] = set()
    for part in field.split(","):
        span, slash, step = part.partition("/")
        if slash and not re.fullmatch(r"[1-9]\d*", step):
            raise ScheduleExpressionError(f"{name}: the step of {part!r} is not a positive number")
        first, last = _range(name, span, low, high, names or {})
        if slash and "-" not in span and span != "*":
            last = high
        numbers = range(first, last + 1) if first <= last else [*range(first, high + 1), *range(low, last + 1)]
        values.update(list(numbers)[:: int(step) if slash else 1])
    return frozenset(values)


def _range(name: str, span: str, low: int, high: int, names: dict[str, int]) -> tuple[int, int]:
    if span == "*":
        return low, high
    ends = [_number(name, end, low, high, names) for end in span.split("-")]
    if len(ends) > 2:
        raise ScheduleExpressionError(f"{name}: {span!r} is not a range")
    return ends[0], ends[-1]


def _number(name: str, text: str, low: int, high: int, names: dict[str, int]) -> int:
    number = names.get(text)
    if number is None and text.isdigit():
        number = int(text)
    if number is None or not low <= number <= high:
        raise ScheduleExpressionError(f"{name}: {text!r} is not a value from {low} to {high}")
    return number


def _days_of_month(field: str, year: int, month: int) -> set[int]:
    last = calendar.monthrange(year, month)[1]
    days: set[int] = set()
    for part in field.split(","):
        if part == "L":
            days.add(last)
        elif part == "LW":
            days.add(_nearest_weekday(year, month, last))
        elif part.endswith("W"):
            day = _number("day of month", part[:-1], 1, 31, {})
            if day <= last:
                days.add(_nearest_weekday(year, month, day))
        else:
            days.update(day for day in _values("day of month", part, 1, 31) if day <= last)
    return days


def _nearest_weekday(year: int, month: int, day: int) -> int:
    """The weekday nearest to a day, in the same month."""
    last = calendar.monthrange(year, month)[1]
    weekday = date(year, month, day).weekday()
    if weekday == 5:
        return day - 1 if day > 1 else day + 2
    if weekday == 6:
        return day + 1 if day < last else day - 2
    return day


def _days_by_weekday(field: str, year: int, month: int) -> set[int]:
    last = calendar.monthrange(year, month)[1]
    by_weekday: dict[int, list[int]] = {number: [] for number in range(1, 8)}
    for day in range(1, last + 1):
        by_weekday[(date(year, month, day).weekday() + 1) % 7 + 1].append(day)
    days: set[int] = set()
    for part in field.split(","):
        if part == "L":
            days.update(by_weekday[7])
        elif part.endswith("L"):
            days.add(by_weekday[_number("day of week", part[:-1], 1, 7, _DAYS)][-1])
        elif "#" in part:
            name, _, nth = part.partition("#")
            candidates = by_weekday[_number("day of week", name, 1, 7, _DAYS)]
            position = _number("day of week", nth, 1, 5, {})
            days.update(candidates[position - 1 : position])
        else:
            days.update(day for number in _values("day of week", part, 1, 7, _DAYS) for day in by_weekday[number])
    return days


def _instant(local: datetime, zone: ZoneInfo) -> datetime | None:
    """The instant of a local time; None when the clocks skip it."""
    due = local.replace(tzinfo=zone).astimezone(UTC)
    return due if due.astimezone(zone).replace(tzinfo=None) == local else None
