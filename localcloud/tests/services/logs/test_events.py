"""A stream's events: all there and in order wherever they stand, and gone when they are too old."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto.logs.models import LogEvent

from localcloud.services.logs import events as log_events
from localcloud.services.logs.events import LogEvents


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_events, "IN_MEMORY", 3)
    monkeypatch.setattr(log_events, "PER_FILE", 6)


def event(at: int, message: str = "m") -> LogEvent:
    return LogEvent(at + 1, {"timestamp": at, "message": message})


def seen(events: LogEvents) -> list[tuple[int, int, int, str]]:
    return [(e.event_id, e.ingestion_time, e.timestamp, e.message) for e in events]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(st.lists(st.lists(st.tuples(st.integers(0, 10**13), TEXTS), max_size=8), max_size=8))
def test_what_is_put_is_there_in_order(tmp_path: Path, puts: list[list[tuple[int, str]]]) -> None:
    events = LogEvents(tmp_path)
    given_events = []
    for put in puts:
        made = [event(at, message) for at, message in put]
        given_events += made
        events += made

    assert seen(events) == [(e.event_id, e.ingestion_time, e.timestamp, e.message) for e in given_events]
    assert len(events) == len(given_events)
    assert bool(events) == bool(given_events)
    times = [e.timestamp for e in given_events]
    assert (events.oldest, events.newest) == ((min(times), max(times)) if times else (None, None))


def test_only_the_newest_are_in_memory(tmp_path: Path) -> None:
    events = LogEvents(tmp_path)
    for at in range(100):
        events.extend([event(at)])

    assert len(events._recent) < 3
    assert len(list(tmp_path.iterdir())) == 17
    assert [e.timestamp for e in events] == list(range(100))


def test_old_files_are_deleted_and_their_events_with_them(tmp_path: Path) -> None:
    events = LogEvents(tmp_path)
    events.extend(map(event, range(100)))
    for at in range(100, 130):
        events.extend([event(at)])

    events.expire(100)

    assert [e.timestamp for e in events] == list(range(100, 130))
    reading = iter(events)
    next(reading)
    events.clear()
    assert list(events) == []
    assert list(tmp_path.iterdir()) == []


def test_a_stream_that_rests_holds_nothing_and_goes_on(tmp_path: Path) -> None:
    events = LogEvents(tmp_path)
    events.extend([event(1), event(2)])
    events.spill()
    events.spill()

    assert events._recent == []
    events.extend([event(3)])
    assert [e.timestamp for e in events] == [1, 2, 3]
    assert (len(events), len(list(tmp_path.iterdir()))) == (3, 1)
