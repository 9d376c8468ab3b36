"""How long a caller waits for a process that has just begun: Lambda counts it by no version, so the function does.

Counted from the process's beginning to its first answer. That is what Lambda logs as ``Init Duration`` and
``Duration``; what it takes Lambda to find a machine and to fetch the code stands in neither.

Sources
-------
https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

INITIALIZATION_TYPE = "AWS_LAMBDA_INITIALIZATION_TYPE"
ON_DEMAND = "on-demand"

MOST_IDLE_SECONDS = 1.0
"""A request that comes later than this after its process was ready did not wait for it: Lambda begins some processes
before anybody asks."""

_STARTED = 19
"""The place of ``starttime`` after the command's name, in clock ticks since the system began."""


def process_age() -> float | None:
    """How many seconds ago this process began, to a hundredth; None where the system does not say (Linux does)."""
    try:
        with open("/proc/self/stat", "rb") as file:
            began = int(file.read().rpartition(b")")[2].split()[_STARTED])
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - began / os.sysconf("SC_CLK_TCK"))
    except (OSError, AttributeError):
        return None


class ColdStart:
    """What the first request of a process waits.

    Parameters
    ----------
    age : callable
        How many seconds ago the process began, or None.
    clock : callable
        Seconds that only grow. The process is ready when this is made.
    """

    def __init__(
        self, age: Callable[[], float | None] = process_age, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._age, self._clock, self._ready = age, clock, clock()

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> ColdStart | None:
        """Of a process that is ready now; None where no caller waits for one, as with provisioned concurrency."""
        return cls() if variables.get(INITIALIZATION_TYPE, ON_DEMAND) == ON_DEMAND else None

    def is_waited_for(self) -> bool:
        """Whether a request that comes now has waited for the process to begin."""
        return self._clock() - self._ready <= MOST_IDLE_SECONDS

    def milliseconds(self) -> float | None:
        """How long ago the process began; None where that can't be told."""
        age = self._age()
        return None if age is None else round(age * 1000, 3)
