"""The schedule expressions that a declaration may have: EventBridge Scheduler's ``rate(…)`` and ``cron(…)``.

Only what is needed of a declaration is read: whether the service takes the expression, how many days lie between the
days on which it runs, and when a backtest runs by it. See https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import islice, pairwise

from everloop.exceptions import TerminalError

LONGEST_SPREAD_MINUTES = 60
"""So a thousand models of one schedule ask Lambda's API for no more than an account may.

Measured in ``benchmarks/control_plane.md``.
"""

LONGEST = 256
"""Characters of a schedule expression."""

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"), start=1
    )
}
_WEEKDAYS = {name: n for n, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), start=1)}
_PER_DAY = {"minute": 24 * 60, "hour": 24, "day": 1}

_DAY_OF_MONTH_WORD = re.compile(r"L|LW|([1-9]|[12]\d|3[01])W")
_WEEKDAY_WORD = re.compile(rf"L|([1-7]|{'|'.join(_WEEKDAYS)})(L|#[1-5])")
"""The last day, the nearest weekday, the n-th weekday of a month: days that no fixed span lies between."""


class ScheduleError(TerminalError, ValueError):
    """No such schedule expression; the message says what is allowed."""


@dataclass(frozen=True)
class Schedule:
    """When something runs.

    Attributes
    ----------
    days_between : int or None
        From one UTC day with a run to the next, for as long as it is deployed; None where that differs.
    """

    days_between: int | None


def parse_schedule(text: str) -> Schedule:
    """Read a schedule expression.

    Raises
    ------
    ScheduleError
    """
    if len(text) > LONGEST:
        raise ScheduleError(f"at most {LONGEST} characters")
    rate = re.fullmatch(r"rate\((.*)\)", text)
    if rate is not None:
        return _rate(rate[1])
    cron = re.fullmatch(r"cron\((.*)\)", text)
    if cron is not None:
        return _cron([field for field in cron[1].split(" ") if field])
    raise ScheduleError("rate(…) or cron(…), e.g. rate(1 day) or cron(0 6 * * ? *)")


def due(text: str, begin: datetime, end: datetime) -> Iterator[datetime]:
    """The instants at which a schedule is due, after ``begin`` and before ``end``, oldest first; UTC.

    A rate counts from ``begin``.

    Raises
    ------
    ScheduleError
        When it is none, or names days by a word (``L``, ``W``, ``#``), which is not read here.
    """
    parse_schedule(text)
    if text.startswith("rate("):
        yield from _due_by_rate(text, begin, end)
        return
    minute, hour, day, month, weekday, year = text[len("cron(") : -1].split()
    minutes, hours = sorted(_values("minute", minute, 0, 59)), sorted(_values("hour", hour, 0, 23))
    months, years = _values("month", month, 1, 12, _MONTHS), _values("year", year, 1970, 2199)
    days = None if day == "?" else _named_days("day-of-month", day, 31)
    weekdays = None if weekday == "?" else _named_days("day-of-week", weekday, 7, _WEEKDAYS)
    date = begin.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    while date < end:
        # Sunday is 1.
        on = (date.day in days) if days is not None else weekdays is not None and date.isoweekday() % 7 + 1 in weekdays
        if on and date.month in months and date.year in years:
            instants = (date.replace(hour=h, minute=m) for h in hours for m in minutes)
            yield from (instant for instant in instants if begin < instant < end)
        date += timedelta(days=1)


def spread_minutes(text: str) -> int:
    """How much later a run may begin, so that models of one schedule do not all begin at once; 0 for no later.

    At most half of the shortest time between two runs.

    Raises
    ------
    ScheduleError
    """
    parse_schedule(text)
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    try:
        instants = list(islice(due(text, begin, begin + timedelta(days=2 * 366)), _LOOKED_AT))
    except ScheduleError:  # days by a word, which no declaration may have: nothing is known of their hours
        return 0
    between = min((later - earlier for earlier, later in pairwise(instants)), default=timedelta(days=1))
    return min(LONGEST_SPREAD_MINUTES, between // timedelta(minutes=2))


_LOOKED_AT = 24 * 60
"""Runs between which the shortest time is looked for: those of a day, if one is due each minute."""


def _due_by_rate(text: str, begin: datetime, end: datetime) -> Iterator[datetime]:
    count, unit = text[len("rate(") : -1].split()
    step = timedelta(minutes=int(count) * {"m": 1, "h": 60, "d": 24 * 60}[unit[0]])
    instant = begin + step
    while instant < end:
        yield instant
        instant += step


def _named_days(name: str, field: str, high: int, names: Mapping[str, int] | None = None) -> frozenset[int]:
    if re.search(r"[LW#]", re.sub("|".join(names or {"-": 0}), "", field)):
        raise ScheduleError(
            f"days by number or name in the field {name}, not {field!r}, which gives no fixed number of days"
            " between runs"
        )
    return _values(name, field, 1, high, names)


def _rate(body: str) -> Schedule:
    match = re.fullmatch(r"([1-9]\d{0,8}) (minute|hour|day)(s?)", body)
    if match is None or (match[1] == "1") == bool(match[3]):
        raise ScheduleError("rate(1 minute), rate(1 hour), rate(1 day), or a larger whole number and the plural")
    days = Fraction(int(match[1]), _PER_DAY[match[2]])
    if days <= 1:
        return Schedule(1)
    return Schedule(int(days) if days.denominator == 1 else None)


def _cron(fields: list[str]) -> Schedule:
    if len(fields) != 6:
        raise ScheduleError(
            f"six fields in cron(…), minute hour day-of-month month day-of-week year, not {len(fields)}; "
            "every day at 6:00 UTC is cron(0 6 * * ? *)"
        )
    minute, hour, day, month, weekday, year = fields
    if (day == "?") == (weekday == "?"):
        raise ScheduleError("'?' in exactly one of day-of-month and day-of-week, the third and the fifth field")
    _values("minute", minute, 0, 59)
    _values("hour", hour, 0, 23)
    months = _values("month", month, 1, 12, _MONTHS)
    years = _values("year", year, 1970, 2199)
    if day == "?":
        days, whole, word = weekday, 7, _WEEKDAY_WORD.fullmatch(weekday)
        found = frozenset() if word else _values("day-of-week", days, 1, 7, _WEEKDAYS)
    else:
        days, whole, word = day, 31, _DAY_OF_MONTH_WORD.fullmatch(day)
        found = frozenset() if word else _values("day-of-month", days, 1, 31)
    if len(months) < 12 or len(years) < 2199 - 1970 + 1:
        return Schedule(None)
    if len(found) == whole:
        return Schedule(1)
    return Schedule(7 if day == "?" and len(found) == 1 else None)


def _values(name: str, field: str, low: int, high: int, names: Mapping[str, int] | None = None) -> frozenset[int]:
    """The values that a field names."""
    values: set[int] = set()
    for part in field.split(","):
        span, slash, step = part.partition("/")
        if slash and not re.fullmatch(r"[1-9]\d{0,3}", step):
            raise ScheduleError(f"a whole number from 1 after the '/' in the field {name}, not {step!r}")
        first, last = (low, high) if span == "*" else _span(name, span, low, high, names or {})
        if slash and "-" not in span:
            last = high
        values.update(range(first, last + 1, int(step) if slash else 1))
    return frozenset(values)


def _span(name: str, span: str, low: int, high: int, names: Mapping[str, int]) -> tuple[int, int]:
    ends = []
    for end in span.split("-"):
        number = names.get(end, int(end) if re.fullmatch(r"[0-9]{1,4}", end) else -1)
        if not low <= number <= high:
            also = f", or {next(iter(names))} to {list(names)[-1]}" if names else ""
            raise ScheduleError(f"{low} to {high}{also}, in the field {name}, not {end!r}")
        ends.append(number)
    if len(ends) > 2 or ends[0] > ends[-1]:
        raise ScheduleError(f"a range from low to high in the field {name}, not {span!r}")
    return ends[0], ends[-1]
