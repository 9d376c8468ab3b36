"""Who holds an execution's activity token, thread by thread.

An execution holds one token for each of its threads that works: the main one, one for each branch of a
Parallel state and each worker of a Map state. A thread gives its token back while it waits on the clock, for
a task token or for its branches; whoever wakes it takes the token in its name, so there is no moment at which
a driver could take the local cloud for quiet.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

from localcloud.core.activity import Activity
from localcloud.core.clock import Clock


class _Current(threading.local):
    baton: Baton


_current = _Current()


class Baton:
    """The right of one thread to hold a token.

    Attributes
    ----------
    label : str
        Shown among what goes on.
    machine_arn : str
        The state machine in whose name the thread calls services.

    A baton is abandoned when its task's time is over while the thread can not be stopped: from then on its
    token belongs to the thread that gave up waiting for it.
    """

    def __init__(self, activity: Activity, label: str, machine_arn: str, *, inherits: bool = False) -> None:
        self._activity = activity
        self._lock = threading.Lock()
        self._held = 1
        self._abandoned = False
        self.label = label
        self.machine_arn = machine_arn
        if not inherits:
            activity.enter(label)

    def give_back(self) -> None:
        """Give the token back, for the length of a wait or for good."""
        with self._lock:
            if not self._abandoned:
                self._held -= 1
                self._activity.leave(self.label)

    def take(self) -> None:
        """Take the token again."""
        with self._lock:
            if not self._abandoned:
                self._held += 1
                self._activity.enter(self.label)

    def abandon(self) -> None:
        """Leave exactly one token, to somebody else."""
        with self._lock:
            self._abandoned = True
            if self._held < 1:
                self._activity.enter(self.label)
            elif self._held > 1:
                self._activity.leave(self.label)

    def child(self) -> Baton:
        """A baton for the thread that works while this one's thread waits for it: they share the token."""
        return Baton(self._activity, self.label, self.machine_arn, inherits=True)

    def sibling(self) -> Baton:
        """A baton with a token of its own."""
        return Baton(self._activity, self.label, self.machine_arn)


def current_baton() -> Baton:
    """The calling thread's baton."""
    return _current.baton


@contextmanager
def carrying(baton: Baton) -> Iterator[Baton]:
    """Make ``baton`` the calling thread's."""
    _current.baton = baton
    try:
        yield baton
    finally:
        del _current.baton


class Parking:
    """A wait without a token. The first of several wakers says why it ended, and takes the token."""

    def __init__(self, baton: Baton) -> None:
        self._baton = baton
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._reason: str | None = None

    def wake(self, reason: str) -> None:
        """End the wait, unless it has ended."""
        with self._lock:
            if self._reason is None:
                self._reason = reason
                self._baton.take()
                self._woken.set()

    def wait(self) -> str:
        """Block until somebody wakes this thread; the reason."""
        self._baton.give_back()
        self._woken.wait()
        assert self._reason is not None
        return self._reason


class Interrupts:
    """Parkings by interpreter environment, to be woken when the environment stops running."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parkings: WeakKeyDictionary[Any, set[Parking]] = WeakKeyDictionary()

    def wait(self, env: Any, parking: Parking) -> str:
        """Park the calling thread until it is woken or ``env`` stops (``"interrupted"``)."""
        with self._lock:
            self._parkings.setdefault(env, set()).add(parking)
        if not env.is_running():
            parking.wake("interrupted")
        try:
            return parking.wait()
        finally:
            with self._lock:
                self._parkings[env].discard(parking)

    def stop(self, env: Any) -> None:
        """Wake all that wait in ``env``."""
        with self._lock:
            parkings = list(self._parkings.get(env, ()))
        for parking in parkings:
            parking.wake("interrupted")


INTERRUPTS = Interrupts()


def sleep_until(clock: Clock, env: Any, due: datetime) -> None:
    """Block the calling thread until the clock reaches ``due`` or ``env`` stops running."""
    if due <= clock.now():
        return
    baton = current_baton()
    parking = Parking(baton)
    timer = clock.call_at(due, lambda: parking.wake("due"), label=f"wake {baton.label}")
    INTERRUPTS.wait(env, parking)
    timer.cancel()


class DeadlineExceededError(TimeoutError):
    """A task did not end within its TimeoutSeconds."""


def run_with_deadline(clock: Clock, seconds: float, label: str, work: Callable[[], None]) -> None:
    """Do ``work`` in a thread of its own, for at most ``seconds`` of the local clock.

    A moved clock stands still while the work holds a token, so only waiting can make it late.

    Raises
    ------
    DeadlineExceededError
        When the time is over; the thread is left to itself.
    Exception
        What ``work`` raises.
    """
    baton = current_baton().child()
    lock = threading.Lock()
    ended = threading.Event()
    outcome: list[Exception | None] = []

    def end(error: Exception | None, *, late: bool = False) -> None:
        with lock:
            if outcome:
                return
            if late:
                baton.abandon()
            outcome.append(error)
            ended.set()

    def run() -> None:
        with carrying(baton):
            try:
                work()
            except Exception as error:
                end(error)
            else:
                end(None)

    timer = clock.call_at(
        clock.now() + timedelta(seconds=seconds),
        lambda: end(DeadlineExceededError(), late=True),
        label=f"timeout {label}",
    )
    threading.Thread(target=run, name=label, daemon=True).start()
    ended.wait()
    timer.cancel()
    if outcome[0] is not None:
        raise outcome[0]
