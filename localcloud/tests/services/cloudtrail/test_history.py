"""The event history: bounded, paged newest first, by one attribute and a span of time, and only what is there yet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.services.cloudtrail.history import (
    KEPT,
    MOST_PARAMETERS,
    History,
    Recorded,
    Wanted,
    WrongTokenError,
    parameters_text,
)

START = datetime(2026, 1, 5, tzinfo=UTC)


def event(number: int, minutes: float, name: str = "UpdateAlias20150331") -> Recorded:
    at = START + timedelta(minutes=minutes)
    return Recorded(number, at, f"id-{number}", name, "lambda.amazonaws.com", "ada", "KEY", "{}")


def filled(minutes: list[float], **given: timedelta | int) -> History:
    history = History(**given)  # type: ignore[arg-type]  # either of the two
    for each in minutes:
        history.add(lambda number, each=each: event(number, each))  # type: ignore[misc]  # bound by its default
    return history


def all_pages(history: History, wanted: Wanted, now: datetime, size: int) -> list[Recorded]:
    found, token = history.find(wanted, now, size)
    pages = [found]
    while token:
        found, token = history.find(wanted, now, size, token)
        pages.append(found)
    assert all(len(page) == size for page in pages[:-1])
    return [each for page in pages for each in page]


@given(st.lists(st.integers(0, 60), max_size=30), st.integers(0, 60), st.integers(0, 60), st.integers(1, 7))
def test_pages_hold_each_event_of_the_span_once_newest_first(
    minutes: list[int], start: int, end: int, size: int
) -> None:
    history = filled([float(each) for each in sorted(minutes)])
    wanted = Wanted(None, START + timedelta(minutes=start), START + timedelta(minutes=end))
    found = all_pages(history, wanted, START + timedelta(hours=1), size)
    assert [each.at for each in found] == sorted((each.at for each in found), reverse=True)
    assert len(found) == sum(start <= each <= end for each in minutes)
    assert len({each.event_id for each in found}) == len(found)


def test_only_the_newest_are_kept_and_what_was_dropped_is_counted() -> None:
    history = filled([0, 1, 2, 3], most=3)
    assert [each.number for each in history.find(Wanted(), START + timedelta(hours=1))[0]] == [4, 3, 2]
    assert history.dropped == 1


def test_an_event_is_found_after_the_delay_and_until_ninety_days_are_over() -> None:
    history = filled([0], delay=timedelta(minutes=5))
    for after, found in {4.9: 0, 5.0: 1, KEPT.total_seconds() / 60: 1, KEPT.total_seconds() / 60 + 1: 0}.items():
        assert len(history.find(Wanted(), START + timedelta(minutes=after))[0]) == found, after


def test_an_event_that_comes_between_two_pages_moves_none() -> None:
    history = filled([0, 1, 2, 3])
    now = START + timedelta(hours=1)
    first, token = history.find(Wanted(), now, 2)
    history.add(lambda number: event(number, 4))
    second, last = history.find(Wanted(), now, 2, token)
    assert ([each.number for each in (*first, *second)], last) == ([4, 3, 2, 1], "")


@pytest.mark.parametrize("token", ["x", "-", "0000000000000000-1", f"{Wanted().digest()}-", f"{Wanted().digest()}-١"])
def test_a_token_of_another_look_up_is_refused(token: str) -> None:
    with pytest.raises(WrongTokenError):
        filled([0, 1]).find(Wanted(("EventName", "x")) if token[0] == "0" else Wanted(), START, 1, token)


def test_large_parameters_are_left_out_and_it_is_said() -> None:
    assert parameters_text({"name": "é" * 10}) == {"name": "é" * 10}
    assert parameters_text({"name": "x" * MOST_PARAMETERS}) == {"omitted": True, "reason": "more than 4,096 characters"}
    assert parameters_text(None) is None
