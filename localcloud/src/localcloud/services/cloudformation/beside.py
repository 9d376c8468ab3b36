"""Deployments go on beside who asked for them. Who asked waits a moment: most are done by then.

AWS answers at once, and who asked looks again: the CDK's command line five seconds later, however small the stack.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from localcloud.core.activity import Activity

log = logging.getLogger(__name__)

MOMENT_SECONDS = 2.0


class Beside:
    """What is being done to stacks, each in a thread of its own; a moved clock stands still meanwhile."""

    def __init__(self, activity: Activity) -> None:
        self._activity = activity
        self._under_way: dict[str, threading.Thread] = {}

    def begin(self, stack: str, label: str, work: Callable[[], None]) -> None:
        """Do something to a stack; a failure is logged."""
        self._activity.enter(label)

        def run() -> None:
            try:
                work()
            except Exception:
                log.exception("%s", label)
            finally:
                self._activity.leave(label)

        thread = threading.Thread(target=run, name=label, daemon=True)
        self._under_way[stack] = thread
        thread.start()

    def wait_a_moment(self, stack: str) -> None:
        """Return when what was begun last has ended, and otherwise after a moment.

        Who waits must not hold what the work needs.
        """
        thread = self._under_way.get(stack)
        if thread is None:
            return
        thread.join(MOMENT_SECONDS)
        if not thread.is_alive() and self._under_way.get(stack) is thread:
            del self._under_way[stack]
