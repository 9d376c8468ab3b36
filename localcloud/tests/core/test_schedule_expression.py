"""When schedule expressions are due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.core.schedule_expression import ScheduleExpressionError, parse

CREATED = datetime(2026, 1, 5, 0, 0, 30, tzinfo=UTC)


def due(text: str, count: int = 3, timezone: str = "UTC", after: datetime = CREATED) -> list[str]:
    expression, moment, found = parse(text, timezone), after, list[str]()
    for _ in range(count):
        following = expression.next_after(moment, CREATED)
        if following is None:
            break
        found.append(following.strftime("%Y-%m-%d %H:%M:%S"))
        moment = following
    return found


def test_rates_count_from_their_anchor() -> None:
    assert due("rate(5 minutes)", 2) == ["2026-01-05 00:05:30", "2026-01-05 00:10:30"]
    assert due("rate(1 day)", 1) == ["2026-01-06 00:00:30"]
    before = CREATED - timedelta(seconds=1)
    assert due("rate(1 hour)", 2, after=before) == ["2026-01-05 00:00:30", "2026-01-05 01:00:30"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cron(0 12 * * ? *)", ["2026-01-05 12:00:00", "2026-01-06 12:00:00"]),
        ("cron(0/15 * * * ? *)", ["2026-01-05 00:15:00", "2026-01-05 00:30:00"]),
        ("cron(5/20 8-9 ? * MON-FRI *)", ["2026-01-05 08:05:00", "2026-01-05 08:25:00"]),
        ("cron(0 10 ? * 2#1 *)", ["2026-01-05 10:00:00", "2026-02-02 10:00:00"]),
        ("cron(0 10 ? * 6L *)", ["2026-01-30 10:00:00", "2026-02-27 10:00:00"]),
        ("cron(0 10 ? * L *)", ["2026-01-10 10:00:00", "2026-01-17 10:00:00"]),
        ("cron(0 0 L * ? *)", ["2026-01-31 00:00:00", "2026-02-28 00:00:00"]),
        ("cron(0 0 LW * ? *)", ["2026-01-30 00:00:00", "2026-02-27 00:00:00"]),
        ("cron(0 0 1W * ? *)", ["2026-02-02 00:00:00", "2026-03-02 00:00:00"]),
        ("cron(0 0 31 * ? *)", ["2026-01-31 00:00:00", "2026-03-31 00:00:00"]),
        ("cron(0 0 29 FEB ? *)", ["2028-02-29 00:00:00", "2032-02-29 00:00:00"]),
        ("cron(0 0 1 1,JUL ? 2026-2027)", ["2026-07-01 00:00:00", "2027-01-01 00:00:00"]),
        ("cron(0 22-1 ? * SUN *)", ["2026-01-11 00:00:00", "2026-01-11 01:00:00"]),
        ("cron(0 0 ? * SAT-SUN *)", ["2026-01-10 00:00:00", "2026-01-11 00:00:00"]),
    ],
)
def test_cron_fields(text: str, expected: list[str]) -> None:
    assert due(text, 2) == expected


def test_cron_ends_with_its_years() -> None:
    assert due("cron(0 0 1 1 ? 2025)") == []
    assert due("cron(0 0 30 2 ? *)") == []


def test_at_is_due_once_in_its_zone() -> None:
    assert due("at(2026-02-01T09:00:00)", timezone="Europe/Berlin") == ["2026-02-01 08:00:00"]
    assert due("at(2020-02-01T09:00:00)") == []


def test_a_skipped_local_time_is_skipped_and_a_repeated_one_comes_once() -> None:
    spring = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert due("cron(30 2 * * ? *)", 2, "Europe/Berlin", spring) == ["2026-03-30 00:30:00", "2026-03-31 00:30:00"]
    autumn = datetime(2026, 10, 24, 12, tzinfo=UTC)
    assert due("cron(30 2 * * ? *)", 2, "Europe/Berlin", autumn) == ["2026-10-25 00:30:00", "2026-10-26 01:30:00"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("every day", "expected rate"),
        ("rate(0 minutes)", "positive"),
        ("rate(1 minutes)", "singular"),
        ("rate(2 minute)", "singular"),
        ("cron(0 12 * * *)", "6 fields"),
        ("cron(0 12 * * * *)", "exactly one"),
        ("cron(0 12 ? * ? *)", "exactly one"),
        ("cron(60 12 * * ? *)", "minute: '60'"),
        ("cron(0 12 32 * ? *)", "day of month: '32'"),
        ("cron(0 12 ? * 8 *)", "day of week: '8'"),
        ("cron(0 12 ? * MON#6 *)", "day of week: '6'"),
        ("cron(*/0 12 ? * MON *)", "step"),
        ("at(2026-13-01T00:00:00)", "at"),
    ],
)
def test_what_is_no_expression_is_refused(text: str, named: str) -> None:
    with pytest.raises(ScheduleExpressionError, match=named):
        parse(text)


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(ScheduleExpressionError, match="time zone"):
        parse("cron(0 12 * * ? *)", "Mars/Base")


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
    st.sampled_from(["cron(7 3 ? * TUE *)", "cron(0/7 * 1,L * ? *)", "rate(37 minutes)", "cron(0 0 15W * ? *)"]),
    st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata"]),
)
def test_next_is_always_later_and_nothing_lies_between(moment: datetime, text: str, timezone: str) -> None:
    expression = parse(text, timezone)
    following = expression.next_after(moment, CREATED)
    assert following is not None
    assert following > moment
    halfway = moment + (following - moment) / 2
    assert expression.next_after(halfway, CREATED) == following
