"""Servers that stand for several clouds: which programs import the same, start from the same.

They stand in a folder, where whoever is the first to need one starts it. They end with the process that made the
folder, whichever started them: each reads from a pipe in it that nobody else writes to.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

ALIVE = "alive"
"""The name of the pipe, which is open for as long as whoever made its folder is there."""

_PROCESS = "process"


@contextlib.contextmanager
def standing_folder() -> Iterator[Path]:
    """A folder in which servers may stand while this lasts."""
    # Short, for a socket's name has room for a hundred characters, and this user's alone.
    folder = Path(tempfile.mkdtemp(prefix="preloaded-"))
    os.mkfifo(folder / ALIVE, 0o600)
    held = os.open(folder / ALIVE, os.O_RDWR)
    try:
        yield folder
    finally:
        os.close(held)
        shutil.rmtree(folder, ignore_errors=True)


def note_server(folder: Path, pid: int) -> None:
    """Leave in a server's own folder which process it is."""
    partial = folder / f"{_PROCESS}.partial"
    partial.write_text(str(pid))
    partial.replace(folder / _PROCESS)


def server_of(folder: Path) -> int | None:
    """The process whose own folder this is; None while there is none."""
    try:
        return int((folder / _PROCESS).read_text())
    except FileNotFoundError:
        return None


def standing_servers(standing: Path) -> set[int]:
    """The processes that stand there."""
    return {pid for folder in standing.iterdir() if folder.is_dir() and (pid := server_of(folder)) is not None}
