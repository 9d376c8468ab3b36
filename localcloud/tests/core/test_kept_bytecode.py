"""The folder of what programs of all clouds compile."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

from localcloud.core.preloaded.kept_bytecode import bytecode_folder


def test_what_is_new_stays_and_what_is_old_goes(tmp_path: Path) -> None:
    # GIVEN what one cloud's programs compiled, some of it a while ago
    folder = bytecode_folder(tmp_path)
    (folder / "new").write_bytes(b"1")
    (folder / "old").write_bytes(b"2")
    hour_ago = time.time() - 3600
    os.utime(folder / "old", (hour_ago, hour_ago))
    # WHEN the next cloud begins, THEN it finds the new part of it, and other users nothing
    assert bytecode_folder(tmp_path, kept_seconds=1800) == folder
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
