from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.instants import format_instant, from_epoch_ms, parse_instant, to_epoch_ms


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2013-03-01T05:00:00Z", "2013-03-01T05:00:00Z"),
        ("2013-03-01T05:00:00.000Z", "2013-03-01T05:00:00Z"),
        ("2013-03-01T05:00:00.120456+02:00", "2013-03-01T03:00:00.120Z"),
    ],
)
def test_an_instant_is_written_in_utc(text: str, written: str) -> None:
    assert format_instant(parse_instant(text)) == written


@pytest.mark.parametrize("text", ["2013-03-01T05:00:00", "yesterday", "", "0001-01-01T00:00:00+10:00", None, 5])
def test_what_names_no_instant_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"instant|offset|outside"):
        parse_instant(text)  # type: ignore[arg-type]  # documents may hold anything in an instant's place


def test_a_time_without_a_zone_can_not_be_written() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        format_instant(datetime(2013, 3, 1))


@given(st.integers(min_value=-(10**12), max_value=10**13))
def test_milliseconds_go_round(milliseconds: int) -> None:
    instant = from_epoch_ms(milliseconds)
    assert instant.tzinfo == UTC
    assert to_epoch_ms(instant.astimezone(timezone(timedelta(hours=5)))) == milliseconds
    assert to_epoch_ms(parse_instant(format_instant(instant))) == milliseconds
