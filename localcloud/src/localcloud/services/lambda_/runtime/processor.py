"""A worker's share of a processor, by its memory: as AWS gives it, to what a function does between two events.

AWS gives a function processor time in proportion to its memory, one vCPU at 1,769 MB
(https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html). Initialisation is not slowed
(https://serverlessland.com/content/service/lambda/guides/effectively-running-java-on-serverless/init-heavy-lifting).
Here the system's own count of a process's processor time is read every few milliseconds, and the process is stopped
for as long as it is ahead of its share.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass

MB_OF_A_VCPU = 1769
PERIOD_SECONDS = 0.02
"""In each stretch of this length a worker may use its share at once. AWS names no length."""

SHORTEST_WAIT_SECONDS = 0.001

CAN_SHARE = sys.platform == "linux"
"""Whether this system tells the processor time of another process to the nanosecond, at the price of one call."""

_CPUCLOCK_SCHED = 2
"""Of ``clock_getcpuclockid``: the precise count of a process with all its threads."""


def share_of(memory_mb: int) -> float | None:
    """Processors that a function of so much memory has; None where it has all of this machine's."""
    share = memory_mb / MB_OF_A_VCPU
    return share if share < (os.cpu_count() or 1) else None


def used_seconds(pid: int) -> float:
    """Processor time of a process with all its threads since it began.

    Raises
    ------
    OSError
        When it is gone.
    """
    return time.clock_gettime(~pid << 3 | _CPUCLOCK_SCHED)


@dataclass(frozen=True)
class Turn:
    """What a worker does next: until when it waits for the next look, and whether it is stopped meanwhile."""

    seconds: float
    stopped: bool


@dataclass
class Allowance:
    """What a share allows, period by period; what was not used in one is lost, what was too much is paid back.

    Parameters
    ----------
    share : float
        Processors; above 0.
    used, now : float
        The processor time used so far, and the time: seconds.
    """

    share: float
    used: float
    now: float

    def __post_init__(self) -> None:
        self._begins, self._before = self.now, self.used

    def look(self, used: float, now: float) -> Turn:
        """What follows from the processor time that has been used by ``now``."""
        spent, ends = used - self._before, self._begins + PERIOD_SECONDS
        allowed = self.share * PERIOD_SECONDS
        if spent < allowed and now < ends:
            # It can't have used up what is left before.
            left = (allowed - spent) / math.ceil(self.share)
            return Turn(min(ends - now, max(left, SHORTEST_WAIT_SECONDS)), stopped=False)
        resumes = self._begins + max(spent / self.share, PERIOD_SECONDS)
        self._before, self._begins = used, max(resumes, now)
        return Turn(max(resumes - now, 0.0), stopped=resumes > now)


class ProcessorShare:
    """Holds one worker to its share, from :meth:`begin` to :meth:`end`.

    Its threads count together. What it starts is stopped with it, but the time of such programs is not counted.
    """

    def __init__(self, pid: int, share: float) -> None:
        self._pid = pid
        self._share = share
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    def begin(self) -> None:
        """From now on the worker has its share; nothing where it has that already."""
        if self._thread is None:
            self._ended.clear()
            self._thread = threading.Thread(target=self._hold, name=f"share-{self._pid}", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """From now on the worker has all processors, and runs."""
        if self._thread is not None:
            self._ended.set()
            self._thread.join()
            self._thread = None

    def _hold(self) -> None:
        with contextlib.suppress(OSError):  # it has ended: nothing is left to hold
            allowance = Allowance(self._share, used_seconds(self._pid), time.monotonic())
            while not self._ended.is_set():
                turn = allowance.look(used_seconds(self._pid), time.monotonic())
                if not turn.stopped:
                    self._ended.wait(turn.seconds)
                    continue
                os.killpg(self._pid, signal.SIGSTOP)
                try:
                    self._ended.wait(turn.seconds)
                finally:
                    os.killpg(self._pid, signal.SIGCONT)
