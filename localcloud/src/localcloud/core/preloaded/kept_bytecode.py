"""Where the programs of all clouds leave what they compile: for one Python, by the text that it was compiled from."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

KEPT_SECONDS = 30 * 86_400
"""What was compiled before goes, used or not: compiling it again takes a millisecond."""


def bytecode_folder(cache_directory: Path, *, kept_seconds: float = KEPT_SECONDS) -> Path:
    """The folder, without what is old."""
    folder = cache_directory / "compiled" / str(sys.implementation.cache_tag)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # people's code: this user's alone
    horizon = time.time() - kept_seconds
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # another cloud was faster
                if entry.stat().st_mtime < horizon:
                    os.unlink(entry.path)
    return folder
