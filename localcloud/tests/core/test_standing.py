"""A server stands for several who start the same kind of programs; each of them ends its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.core.preloaded.preloading import CAN_PRELOAD, Preloading
from localcloud.core.preloaded.standing import ALIVE, standing_folder, standing_servers
from localcloud.core.processes import is_there

pytestmark = [
    pytest.mark.skipif(not CAN_PRELOAD, reason="programs start plainly here"),
    pytest.mark.xdist_group("preloaded"),
]

VARIABLES = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "TZ": "UTC"}
TELLS = """
import json, os, sys, time
os.write(1, json.dumps([os.getpid(), os.getppid(), "colorsys" in sys.modules]).encode() + b"\\n")
if "stays" in sys.argv:
    time.sleep(600)
"""
USES = f"""
import subprocess, sys
from pathlib import Path
from localcloud.core.preloaded.preloading import Preloading
with Preloading(["colorsys"], {VARIABLES}, standing=Path(sys.argv[1])).interpreter() as words:
    subprocess.run([*words, *sys.argv[2:]], env={VARIABLES})
"""


@pytest.fixture
def standing() -> Iterator[Path]:
    with standing_folder() as folder:
        yield folder


@pytest.fixture
def program(tmp_path: Path) -> Path:
    file = tmp_path / "tells.py"
    file.write_text(TELLS)
    return file


def started(words: list[str], *more: str | Path) -> tuple[subprocess.Popen[str], list[int]]:
    """A process, and what its first line tells: the program's id, that of its parent, and whether it found imports."""
    process = subprocess.Popen([*words, *map(str, more)], env=VARIABLES, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def until_gone(*pids: int) -> None:
    for _ in range(2000):
        if not any(is_there(pid) and "Z" not in state_of(pid) for pid in pids):
            return
        time.sleep(0.01)
    raise AssertionError(f"still there: {pids}")


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def test_who_imports_the_same_has_the_same_server_and_others_have_another(standing: Path, program: Path) -> None:
    servers = []
    for modules, variables in (("colorsys", {}), ("colorsys", {}), ("colorsys random", {}), ("colorsys", {"A": "1"})):
        preloading = Preloading(modules.split(), {**VARIABLES, **variables}, standing=standing)
        with preloading.interpreter() as words:
            process, (_, parent, there) = started(words, program)
            assert process.wait() == 0
        assert there
        assert parent == preloading.session()
        servers.append(parent)
        preloading.close()
    assert servers[0] == servers[1]
    assert len(set(servers)) == 3
    assert standing_servers(standing) == set(servers)


def test_each_ends_its_own_programs_and_all_end_with_the_folder(program: Path) -> None:
    with standing_folder() as standing:
        one, other = (Preloading(["colorsys"], VARIABLES, standing=standing) for _ in range(2))
        with one.interpreter() as words, other.interpreter() as others_words:
            ends, (its_pid, server, _) = started(words, program, "stays")
            stays, (pid, same_server, _) = started(others_words, program, "stays")
            assert same_server == server

            one.close()
            assert ends.wait() == 1
            until_gone(its_pid)
            assert stays.poll() is None
            assert [state_of(found) for found in (pid, server)] == ["S", "S"]
    assert stays.wait() == 1
    until_gone(pid, server)
    other.close()


def test_when_a_user_is_killed_its_programs_end_and_the_server_stays(standing: Path, program: Path) -> None:
    # GIVEN users that are killed as soon as their program runs: its client may not have looked for them yet
    for _ in range(8):
        user, (pid, server, there) = started([sys.executable, "-c", USES], standing, program, "stays")
        assert there
        os.kill(user.pid, signal.SIGKILL)
        user.wait()
        until_gone(pid)
        assert is_there(server)
    # THEN the next one finds it
    again, (_, parent, _) = started([sys.executable, "-c", USES], standing, program)
    assert again.wait() == 0
    assert parent == server


def test_a_server_that_has_ended_is_started_anew(standing: Path, program: Path) -> None:
    preloading = Preloading(["colorsys"], VARIABLES, standing=standing)
    found = []
    for _ in range(2):
        with preloading.interpreter() as words:
            process, (_, server, there) = started(words, program)
            assert process.wait() == 0
        assert there
        found.append(server)
        os.kill(server, signal.SIGKILL)
        until_gone(server)
    assert found[0] != found[1]
    preloading.close()


def test_where_nobody_holds_the_folder_any_more_programs_start_plainly(program: Path) -> None:
    with standing_folder() as standing:
        preloading = Preloading(["colorsys"], VARIABLES, standing=standing)
        with preloading.interpreter() as words:
            pass
    process, (_, parent, there) = started(words, program)
    assert process.wait() == 0
    assert (parent, there) == (os.getpid(), False)
    preloading.close()


def test_a_server_that_comes_up_after_whoever_holds_the_folder_has_ended_ends(program: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="preloaded-") as abandoned:
        os.mkfifo(Path(abandoned) / ALIVE)
        preloading = Preloading(["colorsys"], VARIABLES, standing=Path(abandoned))
        with preloading.interpreter() as words:
            process, (_, parent, there) = started(words, program)
            assert process.wait() == 0
        assert (parent, there) == (os.getpid(), False)
        until_gone(*standing_servers(Path(abandoned)))
        preloading.close()
