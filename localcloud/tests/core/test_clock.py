"""One clock: moved timer by timer, each only once the work before it is done."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from localcloud.core.activity import Activity, NotQuietError
from localcloud.core.clock import Clock

START = datetime(2013, 3, 1, tzinfo=UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock(Activity(), START)


def test_timers_run_in_order_each_at_its_own_instant(clock: Clock) -> None:
    # GIVEN timers set out of order, and one that sets another on its way
    seen: list[tuple[str, datetime]] = []

    def note(label: str) -> Callable[[], None]:
        return lambda: seen.append((label, clock.now()))

    clock.call_at(START + timedelta(hours=3), note("c"), label="c")
    clock.call_at(START + timedelta(hours=1), note("a"), label="a")

    def set_another() -> None:
        clock.call_at(clock.now() + timedelta(minutes=30), note("b2"), label="b2")

    clock.call_at(START + timedelta(hours=2), set_another, label="b")
    # WHEN the clock is moved past them all
    ran = clock.advance(START + timedelta(hours=4))
    # THEN each ran at its instant
    assert ran == ["a", "b", "b2", "c"]
    assert [at - START for _, at in seen] == [timedelta(hours=h) for h in (1, 2.5, 3)]
    assert clock.now() == START + timedelta(hours=4)


def test_a_cancelled_timer_never_runs(clock: Clock) -> None:
    timer = clock.call_at(START + timedelta(hours=1), lambda: pytest.fail("ran"), label="x")
    timer.cancel()
    assert clock.advance(START + timedelta(hours=2)) == []


def test_the_clock_stands_while_somebody_is_busy(clock: Clock) -> None:
    # GIVEN work that a timer sets off, and a later timer
    done = threading.Event()
    order: list[str] = []

    def work() -> None:
        done.wait(5)
        order.append("work")
        clock.activity.leave("job")

    def set_off() -> None:
        clock.activity.enter("job")
        threading.Thread(target=work).start()

    clock.call_at(START + timedelta(hours=1), set_off, label="set off")
    clock.call_at(START + timedelta(hours=2), lambda: order.append("later"), label="later")
    # WHEN the clock moves, and the work ends after a while
    threading.Timer(0.1, done.set).start()
    clock.advance(START + timedelta(hours=3))
    # THEN the later timer waited for it
    assert order == ["work", "later"]


def test_a_sleeper_wakes_at_its_instant_before_any_later_timer(clock: Clock) -> None:
    order: list[tuple[str, datetime]] = []
    asleep = threading.Event()

    def sleeper() -> None:
        asleep.set()
        clock.sleep(3600, label="wait")
        order.append(("sleeper", clock.now()))
        clock.activity.leave("wait")

    clock.activity.enter("wait")
    threading.Thread(target=sleeper).start()
    asleep.wait(5)
    clock.call_at(START + timedelta(hours=1), lambda: order.append(("timer", clock.now())), label="timer")
    clock.advance(START + timedelta(hours=2))
    assert [name for name, _ in sorted(order)] == ["sleeper", "timer"]
    assert {at for _, at in order} == {START + timedelta(hours=1)}


def test_what_never_ends_is_named() -> None:
    activity = Activity()
    clock = Clock(activity, START)
    activity.enter("job train-1")
    with pytest.raises(NotQuietError, match="1 x job train-1"):
        clock.advance(START + timedelta(hours=1), quiet_timeout_seconds=0.05)


def test_the_clock_never_goes_back_and_real_time_is_not_moved(clock: Clock) -> None:
    with pytest.raises(RuntimeError, match="back"):
        clock.advance(START - timedelta(seconds=1))
    with pytest.raises(RuntimeError, match="real time"):
        Clock(Activity()).advance(START)


def test_in_real_time_a_timer_runs_by_itself() -> None:
    clock = Clock(Activity())
    ran = threading.Event()
    clock.call_at(datetime.now(UTC) + timedelta(milliseconds=20), ran.set, label="soon")
    assert ran.wait(5)


def test_time_is_passed_at_once_and_goes_on_from_there() -> None:
    # GIVEN a clock on real time with something due in hours, which sets off something later
    clock = Clock(Activity())
    begin, seen = clock.now(), list[tuple[str, datetime]]()

    def set_another() -> None:
        seen.append(("first", clock.now()))
        clock.call_at(begin + timedelta(hours=2), lambda: seen.append(("second", clock.now())), label="second")

    clock.call_at(begin + timedelta(hours=1), set_another, label="first")
    # WHEN three hours are passed
    ran = clock.pass_time(begin + timedelta(hours=3))
    # THEN each ran at its instant, and the clock goes on by itself
    assert ran == ["first", "second"]
    assert seen == [("first", begin + timedelta(hours=1)), ("second", begin + timedelta(hours=2))]
    assert timedelta(hours=3) <= clock.now() - begin < timedelta(hours=4)
    soon = threading.Event()
    clock.call_at(clock.now() + timedelta(milliseconds=20), soon.set, label="soon")
    assert soon.wait(5)
    assert not clock.is_moved


def test_nobody_else_runs_a_timer_while_time_is_passed() -> None:
    # GIVEN timers that are due now and later, and note which thread runs them
    clock = Clock(Activity())
    begin, threads = clock.now(), list[str]()

    def set_overdue() -> None:
        clock.call_at(begin, lambda: threads.append(threading.current_thread().name), label="overdue")

    clock.call_at(begin + timedelta(hours=1), set_overdue, label="sets an overdue one")
    clock.pass_time(begin + timedelta(hours=2))
    # THEN the passing thread ran them, also the overdue one, which the clock's own thread would take
    assert threads == [threading.current_thread().name]


def test_what_never_ends_keeps_time_from_passing_and_real_time_goes_on() -> None:
    activity = Activity()
    clock = Clock(activity)
    begin = clock.now()
    clock.call_at(begin + timedelta(hours=1), lambda: activity.enter("job"), label="start")
    with pytest.raises(NotQuietError, match="1 x job"):
        clock.pass_time(begin + timedelta(hours=2), quiet_timeout_seconds=0.05)
    assert timedelta(hours=1) <= clock.now() - begin < timedelta(hours=2)
    activity.leave("job")
    clock.pass_time(begin + timedelta(hours=2))
    with pytest.raises(RuntimeError, match="back"):
        clock.pass_time(begin)


def test_a_moved_clock_passes_time_as_it_is_moved(clock: Clock) -> None:
    assert clock.pass_time(START + timedelta(hours=1)) == []
    assert clock.now() == START + timedelta(hours=1)


def test_a_token_can_not_be_given_back_twice() -> None:
    activity = Activity()
    activity.enter("x")
    activity.leave("x")
    with pytest.raises(RuntimeError, match="did not hold"):
        activity.leave("x")
