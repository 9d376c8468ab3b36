"""A schedule is read as EventBridge Scheduler reads it, or refused with what is allowed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.model_file.schedule import LONGEST_SPREAD_MINUTES, ScheduleError, due, parse_schedule, spread_minutes
from localcloud.core.schedule_expression import Expression, ScheduleExpressionError, parse


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("rate(1 minute)", 1),
        ("rate(6 hours)", 1),
        ("rate(24 hours)", 1),
        ("rate(1 day)", 1),
        ("rate(48 hours)", 2),
        ("rate(7 days)", 7),
        ("rate(10080 minutes)", 7),
        ("rate(36 hours)", None),
        ("cron(0 6 * * ? *)", 1),
        ("cron(0/15 8-17,23 ? JAN-DEC SUN-SAT *)", 1),
        ("cron(0 6 */1 1/1 ? 1970-2199)", 1),
        ("cron(0 6 ? * MON *)", 7),
        ("cron(0 6 ? * 2 *)", 7),
        ("cron(0 6 ? * MON-FRI *)", None),
        ("cron(0 6 1/2 * ? *)", None),
        ("cron(0 6 L * ? *)", None),
        ("cron(0 6 LW * ? *)", None),
        ("cron(0 6 15W * ? *)", None),
        ("cron(0 6 ? * 6L *)", None),
        ("cron(0 6 ? * MON#2 *)", None),
        ("cron(0 6 * 1-6 ? *)", None),
        ("cron(0 6 * * ? 2026-2030)", None),
    ],
)
def test_the_days_between_runs(text: str, days: int | None) -> None:
    assert parse_schedule(text).days_between == days


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("", "rate(…) or cron(…)"),
        ("daily", "rate(…) or cron(…)"),
        ("at(2026-01-01T00:00:00)", "rate(…) or cron(…)"),
        ("rate(banana)", "rate(1 day)"),
        ("rate(0 days)", "whole number"),
        ("rate(1 days)", "rate(1 day)"),
        ("rate(2 day)", "the plural"),
        ("rate(1.5 hours)", "whole number"),
        ("rate(1 week)", "rate(1 day)"),
        ("rate(1 day)\n", "rate(…) or cron(…)"),
        ("cron(0 11 * * *)", "six fields"),
        ("cron(0 0 11 * * ? *)", "not 7"),
        ("cron(0 11 * * * *)", "'?' in exactly one"),
        ("cron(0 11 ? * ? *)", "'?' in exactly one"),
        ("cron(60 11 * * ? *)", "0 to 59, in the field minute, not '60'"),
        ("cron(0 24 * * ? *)", "0 to 23, in the field hour, not '24'"),
        ("cron(0 6 0 * ? *)", "1 to 31, in the field day-of-month, not '0'"),
        ("cron(0 6 * JUNE ? *)", "1 to 12, or JAN to DEC, in the field month, not 'JUNE'"),
        ("cron(0 6 ? * 0 *)", "1 to 7, or SUN to SAT, in the field day-of-week, not '0'"),
        ("cron(0 6 ? * MON#6 *)", "not 'MON#6'"),
        ("cron(0 6 * * ? 1969)", "1970 to 2199"),
        ("cron(0 6 32W * ? *)", "not '32W'"),
        ("cron(0 6 * * ? ?)", "in the field year, not '?'"),
        ("cron(*/0 6 * * ? *)", "a whole number from 1 after the '/'"),
        ("cron(5-1 6 * * ? *)", "a range from low to high"),
        ("cron(1-2-3 6 * * ? *)", "a range from low to high"),
        ("cron(, 6 * * ? *)", "not ''"),
        ("cron(² 6 * * ? *)", "not '²'"),
        (f"cron(0{',0' * 200} 6 * * ? *)", "at most 256"),
    ],
)
def test_what_is_no_schedule_is_refused(text: str, allowed: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        parse_schedule(text)
    assert allowed in str(refused.value)


def field(low: int, high: int, *words: str) -> st.SearchStrategy[str]:
    number = st.integers(low - 1, high + 1).map(str)
    single = number | st.sampled_from(["*", *words])
    span = st.tuples(number, number).map("-".join)
    stepped = st.tuples(single | span, st.integers(0, 9).map(str)).map("/".join)
    return st.lists(single | span | stepped, min_size=1, max_size=2).map(",".join)


CRON = st.tuples(
    field(0, 59),
    field(0, 23),
    field(1, 31, "?", "L", "LW", "3W") | st.sampled_from("?*"),
    field(1, 12, "JAN", "dec"),
    field(1, 7, "?", "L", "5L", "MON#1", "TUE", "FRI") | st.sampled_from("?*"),
    field(1970, 2199) | st.just("*"),
).map(lambda fields: f"cron({' '.join(fields)})")
RATE = st.tuples(
    st.integers(0, 90), st.sampled_from(["minute", "hour", "day", "week"]), st.sampled_from(["", "s"])
).map(lambda parts: f"rate({parts[0]} {parts[1]}{parts[2]})")


@pytest.mark.slow
@given(CRON | RATE)
def test_what_is_accepted_runs_on_the_days_that_are_told(text: str) -> None:
    """The local cloud reads the same expressions by its own parser, as the real service does by its own."""
    try:
        schedule = parse_schedule(text)
    except ScheduleError:
        return
    expression = parse(text)
    if schedule.days_between is not None:
        days = run_days(expression, datetime(2027, 12, 20, 9, 30, tzinfo=UTC))
        assert {(b - a).days for a, b in pairwise(days)} == {schedule.days_between}


@given(st.sampled_from(["* *", "0 6", "0/7 3-9"]), st.sampled_from(["* * ?", "? * *", "? * 3", "*/1 JAN-DEC ?"]))
def test_schedules_of_whole_windows_are_recognised(time: str, days: str) -> None:
    """So that the property above is not kept by telling nothing."""
    assert parse_schedule(f"cron({time} {days} *)").days_between in (1, 7)


@pytest.mark.slow
@given(CRON | RATE)
def test_what_the_local_cloud_refuses_is_refused_at_synthesis(text: str) -> None:
    try:
        parse(text)
    except ScheduleExpressionError:
        with pytest.raises(ScheduleError):
            parse_schedule(text)


@pytest.mark.slow
@given(CRON | RATE, st.integers(0, 700))
def test_it_is_due_when_the_local_cloud_is(text: str, days: int) -> None:
    begin = datetime(2027, 1, 31, 9, 30, tzinfo=UTC) + timedelta(days=days)
    end = begin + timedelta(days=3)
    try:
        found = list(due(text, begin, end))
    except ScheduleError:
        return
    expression = parse(text)
    expected: list[datetime] = []
    moment = expression.next_after(begin, begin)
    while moment is not None and moment < end and len(expected) < 100:
        expected.append(moment)
        moment = expression.next_after(moment, begin)
    assert found[:100] == expected
    # Of those that run each minute, the last ones of the three days are looked at too.
    for last in found[100:][-3:]:
        assert expression.next_after(last - timedelta(minutes=1), begin) == last


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("cron(0 6 * * ? *)", 31),
        ("cron(30 4,16 ? * MON-FRI *)", 42),
        ("cron(0 6 2,15 * ? *)", 2),
        ("rate(9 hours)", 82),
    ],
)
def test_a_month_of_it_is_due(text: str, count: int) -> None:
    """So that the property above is not kept by refusing."""
    begin = datetime(2027, 1, 1, tzinfo=UTC)
    found = list(due(text, begin, begin + timedelta(days=31)))
    assert len(found) == count
    assert found[0] > begin


@pytest.mark.parametrize(
    "text", ["cron(0 6 L * ? *)", "cron(0 6 15W * ? *)", "cron(0 6 ? * 6L *)", "cron(0 6 ? * MON#2 *)"]
)
def test_days_that_are_no_numbers_are_refused_when_it_is_asked_when(text: str) -> None:
    begin = datetime(2027, 1, 1, tzinfo=UTC)
    with pytest.raises(ScheduleError, match="days by number or name"):
        list(due(text, begin, begin + timedelta(days=31)))


def run_days(expression: Expression, begin: datetime) -> list[datetime]:
    """The first UTC days on which it runs."""
    days: list[datetime] = []
    moment = begin
    while len(days) < 40:
        due = expression.next_after(moment, begin)
        assert due is not None
        days.append(due.replace(hour=0, minute=0, second=0))
        # On from the end of that day: how often it runs on it does not matter.
        moment = days[-1] + timedelta(days=1) - timedelta(seconds=1)
    return days


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("cron(0 6 * * ? *)", LONGEST_SPREAD_MINUTES),
        ("cron(0 6 ? * MON *)", LONGEST_SPREAD_MINUTES),
        ("rate(1 day)", LONGEST_SPREAD_MINUTES),
        ("rate(1 hour)", 30),
        ("cron(0/20 8-17 * * ? *)", 10),
        ("cron(0,50 6 * * ? *)", 25),
        ("rate(1 minute)", 0),
        ("cron(0 6 L * ? *)", 0),
        ("cron(0 6 1 1 ? 2150)", LONGEST_SPREAD_MINUTES),
    ],
)
def test_runs_are_spread_over_at_most_half_of_the_time_to_the_next(text: str, minutes: int) -> None:
    assert spread_minutes(text) == minutes
