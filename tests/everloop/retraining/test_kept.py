"""A request to train that came while nothing could start waits, until a run answers it or it is too old."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.documents.records import StoredTrigger, Trigger
from everloop.registry.kept_requests import KeptRequest
from everloop.registry.records import Run
from everloop.retraining.kept import DAYS_KEPT, told_waiting, update_asked_for, waiting, what_became_of

CAME = datetime(2013, 6, 1, 11, tzinfo=UTC)


def request(hours: float = 0, reason: str = "new stations") -> KeptRequest:
    trigger: Trigger = {"kind": "manual", "reason": reason, "requested_at": CAME, "window_end": None}
    at = CAME + timedelta(hours=hours)
    return KeptRequest("flights", f"asked-{hours:g}", at, trigger, "the run train-1, active since …", "a person")


def run(hours: float, *, kind: str = "train", trained: bool = True, status: str = "succeeded") -> Run:
    at = CAME + timedelta(hours=hours)
    trigger: StoredTrigger = {"kind": "drift"}
    return Run("flights", f"{kind}{hours:g}", kind, at, at, status=status, trigger=trigger, trained=trained)


def at(hours: float) -> datetime:
    return CAME + timedelta(hours=hours)


@pytest.mark.parametrize(
    ("runs", "hours", "state", "by"),
    [
        ([], 1, "waiting", None),
        # The run that was in its way has learned from what there was when it began.
        ([run(-5)], 100, "waiting", None),
        ([run(-5), run(30), run(90)], 100, "answered", "train30"),
        ([run(30, status="open")], 31, "answered", "train30"),
        # One that broke before it trained answers nothing.
        ([run(30, trained=False, status="failed")], 31, "waiting", None),
        ([run(30, kind="smoke"), run(31, kind="rollout")], 40, "waiting", None),
        ([], 24 * DAYS_KEPT - 0.01, "waiting", None),
        ([], 24 * DAYS_KEPT, "expired", None),
        ([run(24 * DAYS_KEPT + 1)], 24 * DAYS_KEPT + 2, "expired", None),
        ([run(24 * DAYS_KEPT - 1)], 24 * DAYS_KEPT + 2, "answered", f"train{24 * DAYS_KEPT - 1}"),
    ],
)
def test_what_became_of_it(runs: list[Run], hours: float, state: str, by: str | None) -> None:
    found = what_became_of(request(), runs, as_of=at(hours))
    assert (found.state, found.answered_by) == (state, by)
    assert found.to_json()["state"] == state
    assert "(new stations)" in found.sentence
    assert {"waiting": "the monitor starts", "answered": "answered by the run", "expired": "so it expired"}[state] in (
        found.sentence
    )


@pytest.mark.slow
@given(
    came=st.lists(st.integers(-100, 1000), max_size=5, unique=True),
    began=st.lists(st.tuples(st.integers(-100, 1000), st.booleans()), max_size=5, unique_by=lambda r: r[0]),
    now=st.integers(0, 1100),
)
def test_those_that_wait_are_those_that_nothing_answered_oldest_first(
    came: list[int], began: list[tuple[int, bool]], now: int
) -> None:
    requests = [request(hours) for hours in came]
    runs = [run(hours, trained=trained) for hours, trained in began if hours <= now]
    found = [k.request.request_id for k in waiting(requests, runs, as_of=at(now))]
    expected = [
        f"asked-{c}"
        for c in sorted(came)
        if c <= now < c + 24 * DAYS_KEPT and not any(c < hours and trained for hours, trained in began if hours <= now)
    ]
    assert found == expected


@given(came=st.integers(0, 700), later=st.integers(0, 2000), more=st.integers(0, 500))
def test_what_was_answered_or_let_go_never_waits_again(came: int, later: int, more: int) -> None:
    """GIVEN runs that trained, THEN time alone brings no request back."""
    runs = [run(hours) for hours in (50, 300)]
    first = what_became_of(request(came), [r for r in runs if r.started_at <= at(later)], as_of=at(later))
    again = what_became_of(request(came), [r for r in runs if r.started_at <= at(later + more)], as_of=at(later + more))
    if first.state != "waiting":
        assert again.state == first.state


def test_what_waits_is_told_by_the_oldest() -> None:
    kept = waiting([request(3), request(1, "a storm"), request(2)], [], as_of=at(5))
    assert told_waiting(kept) == "since 2013-06-01T12:00:00Z (a storm), and 2 more requests"
    assert told_waiting(kept[:1]) == "since 2013-06-01T12:00:00Z (a storm)"


def test_requests_are_answered_by_a_warm_start_if_each_asks_for_one() -> None:
    full, warm = request(), replace(request(1), trigger={**request().trigger, "update": "warm"})
    assert update_asked_for(waiting([warm], [], as_of=at(2))) == "warm"
    assert update_asked_for(waiting([full, warm], [], as_of=at(2))) == "full"
