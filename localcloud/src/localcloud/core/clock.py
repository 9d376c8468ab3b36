"""The one clock of the local cloud: real time, of which some may be passed at once, or moved by a driver."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from localcloud.core.activity import Activity


@dataclass(order=True)
class Timer:
    """An action that is due at an instant."""

    due: datetime
    order: int
    label: str = field(compare=False)
    action: Callable[[], None] = field(compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        """Keep the action from happening, unless it already did."""
        self.cancelled = True


class Clock:
    """Tells the time and runs what is due.

    With ``start=None`` the clock follows real time, and a thread runs timers as they come due; :meth:`pass_time` lets
    it go on from a later instant. With a ``start`` it stands still until :meth:`advance`. Both run every timer on the
    way, each at its own instant and only once the work the one before set off is done.
    """

    def __init__(self, activity: Activity, start: datetime | None = None) -> None:
        self.activity = activity
        self._driven = start is not None
        self._moved_to = start
        self._ahead = timedelta(0)
        self._timers: list[Timer] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._advancing = threading.Lock()
        if start is None:
            threading.Thread(target=self._follow_real_time, name="clock", daemon=True).start()

    @property
    def is_moved(self) -> bool:
        """Whether a driver moves this clock."""
        return self._driven

    def now(self) -> datetime:
        """The time now, in UTC."""
        return self._moved_to or datetime.now(UTC) + self._ahead

    def call_at(self, due: datetime, action: Callable[[], None], *, label: str) -> Timer:
        """Run ``action`` when the clock reaches ``due``.

        The action runs on the clock's thread and should be short: work it starts elsewhere takes its own
        activity token before the action returns.
        """
        timer = Timer(due, next(self._order), label, action)
        with self._changed:
            heapq.heappush(self._timers, timer)
            self._changed.notify_all()
        return timer

    def sleep(self, seconds: float, *, label: str) -> None:
        """Block the calling thread for ``seconds`` of this clock.

        The caller holds an activity token of ``label``; it is given back for the length of the sleep and
        taken again, by the clock, before any later timer can run.
        """
        if seconds <= 0:
            return
        woken = threading.Event()

        def wake() -> None:
            self.activity.enter(label)
            woken.set()

        self.call_at(self.now() + timedelta(seconds=seconds), wake, label=f"wake {label}")
        self.activity.leave(label)
        woken.wait()

    def advance(self, to: datetime, *, quiet_timeout_seconds: float = 900) -> list[str]:
        """Move a moved clock to ``to`` and return the labels of the timers that ran, in order.

        Raises
        ------
        RuntimeError
            When the clock follows real time, or ``to`` lies before now.
        NotQuietError
            When work set off on the way does not end in ``quiet_timeout_seconds`` of real time.
        """
        if not self._driven:
            raise RuntimeError("this clock follows real time: only one given a start time can be moved")
        with self._advancing:
            return self._move(to, quiet_timeout_seconds)

    def pass_time(self, to: datetime, *, quiet_timeout_seconds: float = 900) -> list[str]:
        """Let the time until ``to`` pass at once, as :meth:`advance` does; a real clock goes on from there.

        Raises
        ------
        RuntimeError
            When ``to`` lies before now.
        NotQuietError
            As :meth:`advance`. The clock then goes on from where it came to.
        """
        if self._driven:
            return self.advance(to, quiet_timeout_seconds=quiet_timeout_seconds)
        with self._advancing:
            self._moved_to = self.now()
            try:
                return self._move(to, quiet_timeout_seconds)
            finally:
                self._ahead = self._moved_to - datetime.now(UTC)
                self._moved_to = None

    def _move(self, to: datetime, quiet_timeout_seconds: float) -> list[str]:
        """Run what is due until ``to``. The caller holds the lock that lets nobody else run timers."""
        if to < self.now():
            raise RuntimeError(f"the clock is at {self.now()} and can't go back to {to}")
        ran: list[str] = []
        while True:
            self.activity.wait_until_quiet(quiet_timeout_seconds)
            timer = self._pop_due(to)
            if timer is None:
                self._moved_to = to
                return ran
            self._moved_to = max(self.now(), timer.due)
            timer.action()
            ran.append(timer.label)

    def _pop_due(self, until: datetime) -> Timer | None:
        with self._changed:
            while self._timers and self._timers[0].due <= until:
                timer = heapq.heappop(self._timers)
                if not timer.cancelled:
                    return timer
            return None

    def _follow_real_time(self) -> None:
        while True:
            with self._advancing:  # while time is passed, whoever passes it runs the timers
                timer = self._pop_due(self.now())
                if timer is not None:
                    timer.action()
                    continue
            with self._changed:
                next_due = self._timers[0].due if self._timers else None
                wait = 1.0 if next_due is None else (next_due - self.now()).total_seconds()
                self._changed.wait(max(0.0, min(wait, 1.0)))
