"""Processes of a cloud, and whether they have ended."""

from __future__ import annotations

import time
from pathlib import Path

from localcloud.core.processes import HAS_PROC, is_there
from support.running_cloud import RunningCloud

_PID = "import os\ndef handle(event, context):\n    return os.getpid()\n"


def worker_pid(cloud: RunningCloud) -> int:
    """The process that runs a function of this cloud."""
    cloud.function("f", _PID)
    return int(cloud.client("lambda").invoke(FunctionName="f")["Payload"].read())


def wait_until_gone(*pids: int) -> None:
    """Return when none of these processes runs any more."""
    for _ in range(400):
        if not any(map(_runs, pids)):
            return
        time.sleep(0.05)
    raise AssertionError(f"still alive: {[pid for pid in pids if _runs(pid)]}")


def _runs(pid: int) -> bool:
    """One that has ended keeps its id until somebody asks about it, which where its parent is gone may be never."""
    if HAS_PROC:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
        except (FileNotFoundError, ProcessLookupError):
            return False
    return is_there(pid)
