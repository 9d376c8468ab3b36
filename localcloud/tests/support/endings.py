"""Processes of a cloud, and whether they have ended."""

from __future__ import annotations

import time

from localcloud.core.processes import is_there
from support.running_cloud import RunningCloud

_PID = "import os\ndef handle(event, context):\n    return os.getpid()\n"


def worker_pid(cloud: RunningCloud) -> int:
    """The process that runs a function of this cloud."""
    cloud.function("f", _PID)
    return int(cloud.client("lambda").invoke(FunctionName="f")["Payload"].read())


def wait_until_gone(*pids: int) -> None:
    """Return when none of these processes is there any more."""
    for _ in range(400):
        if not any(map(is_there, pids)):
            return
        time.sleep(0.05)
    raise AssertionError(f"still alive: {[pid for pid in pids if is_there(pid)]}")
