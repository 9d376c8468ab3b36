"""What processes hold."""

from __future__ import annotations

import os
import subprocess

HAS_PROC = os.path.isdir("/proc/self")
"""Whether this system tells of its processes in files, which costs next to nothing."""


def is_there(pid: int) -> bool:
    """Whether there is a process of this id, be it one that has ended and that nobody has asked about."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def resident_mb(pid: int) -> int:
    """The resident memory of a process in MB, rounded up; 0 when it is gone."""
    if HAS_PROC:
        try:
            with open(f"/proc/{pid}/statm", "rb") as file:
                pages = int(file.read().split()[1])
        except (FileNotFoundError, ProcessLookupError):
            return 0
        return -(-pages * os.sysconf("SC_PAGE_SIZE") // 1_048_576)
    answer = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return -(-int(answer.stdout) // 1024) if answer.stdout.strip() else 0
