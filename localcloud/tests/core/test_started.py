"""A program that was started from a server is waited for by several threads, each as long as it says."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.core.preloaded.preloading import CAN_PRELOAD, Preloading
from localcloud.core.preloaded.started import StartedProgram

pytestmark = [
    pytest.mark.skipif(not CAN_PRELOAD, reason="programs start plainly here"),
    pytest.mark.xdist_group("preloaded"),
]

VARIABLES = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "TZ": "UTC"}


@pytest.fixture
def program(tmp_path: Path) -> Iterator[StartedProgram]:
    (tmp_path / "waits.py").write_text("import time; time.sleep(600)")
    server = Preloading(["colorsys"], VARIABLES)
    output = os.open(os.devnull, os.O_WRONLY)
    started = server.start(["waits.py"], VARIABLES, tmp_path, output)
    os.close(output)
    yield started
    started.kill()
    started.wait()
    server.close()


def test_who_waits_for_the_end_keeps_nobody_from_looking_or_giving_up(program: StartedProgram) -> None:
    ends: list[int] = []
    waiting = threading.Thread(target=lambda: ends.append(program.wait()), daemon=True)
    waiting.start()
    while not program._lock.locked():
        time.sleep(0.001)
    assert program.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        program.wait(0.01)
    program.kill()
    waiting.join(60)
    assert ends == [-9]
    assert program.poll() == program.wait(0.0) == -9
