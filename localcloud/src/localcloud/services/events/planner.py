"""Keeps one timer on the local clock for each thing that recurs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from localcloud.core.clock import Timer
from localcloud.core.context import CloudContext

_TICK = timedelta(microseconds=1)


class Planner:
    """Timers by key, each planned again when it has fired."""

    def __init__(self, context: CloudContext) -> None:
        self._clock = context.clock
        self._lock = threading.RLock()
        self._timers: dict[str, Timer] = {}

    def plan(
        self,
        key: str,
        next_after: Callable[[datetime], datetime | None],
        fire: Callable[[datetime], bool],
        *,
        label: str,
        inclusive: bool = False,
    ) -> None:
        """Fire at every due instant from now on, in place of what ``key`` had planned.

        Parameters
        ----------
        next_after : callable
            The first due instant after a moment, or None when there is none.
        fire : callable
            Called with the due instant on the clock's thread; False ends the series.
        inclusive : bool
            Whether an instant that is due right now counts.
        """
        with self._lock:
            self.cancel(key)
            now = self._clock.now()
            due = next_after(now - _TICK if inclusive else now)
            if due is not None:
                self._timers[key] = self._clock.call_at(
                    due, lambda: self._run(key, due, next_after, fire, label), label=label
                )

    def cancel(self, key: str) -> None:
        """Forget what was planned for ``key``."""
        with self._lock:
            timer = self._timers.pop(key, None)
            if timer is not None:
                timer.cancel()

    def _run(
        self,
        key: str,
        due: datetime,
        next_after: Callable[[datetime], datetime | None],
        fire: Callable[[datetime], bool],
        label: str,
    ) -> None:
        timer = self._timers.get(key)
        if fire(due) and self._timers.get(key) is timer:
            self.plan(key, next_after, fire, label=label)
