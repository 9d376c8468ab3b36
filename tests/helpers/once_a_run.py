"""What is the same for all tests and takes long to make: the first process of a run makes it, the others find it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def once_a_run(temporary: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The file or folder of that name, which ``make`` makes where it does not exist yet; nobody changes it afterwards.

    Parameters
    ----------
    make : callable
        Makes it at the path that it is given. Who else asks for it meanwhile, waits.
    """
    own = temporary.getbasetemp()
    # Workers have a folder each, in that of their run.
    made = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / name
    with made.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            making = made.with_name(f"{name}.making-{os.getpid()}")
            make(making)
            making.rename(made)
    return made
