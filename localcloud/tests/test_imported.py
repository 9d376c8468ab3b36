"""Clouds that start from one process which has imported are what clouds are, and end with what started them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from localcloud import daemon
from localcloud.core.preloaded.preloading import CAN_PRELOAD
from localcloud.core.processes import is_there
from support import imported_once
from support.endings import wait_until_gone
from support.running_cloud import RunningCloud, free_port

pytestmark = pytest.mark.xdist_group("daemon")

IMPORTS = """
import gc, json, os, signal, sys, threading, time
from pathlib import Path
import localcloud.imported
from localcloud import daemon, server
from localcloud.core import patching
from moto.core.base_backend import BackendDict
gc.unfreeze()  # what was there before the copy was made
there, (port, state) = set(sys.modules), sys.argv[1:]
backends = [made for made in gc.get_objects() if issubclass(type(made), BackendDict)]
held = sum(map(len, backends))
print(json.dumps([len(patching._changes), len(backends) > 20, held, threading.active_count()]))
def look():
    while daemon.find(Path(state)) is None:
        time.sleep(0.01)
    print(json.dumps(sorted(set(sys.modules) - there)))
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=look).start()
sys.exit(server.main(["--port", port, "--state-directory", state, "--cache-directory", state]))
"""
STARTS = """
import json, sys, time
from pathlib import Path
from localcloud import daemon
from support import imported_once
from support.running_cloud import free_port
shared = imported_once.processes()
settings, cache, *states = map(Path, sys.argv[1:])
for state in states:
    daemon.start(free_port(), state, cache, settings=settings, stop_with_parent=True, processes=shared)
print("both run", flush=True)
time.sleep(600)
"""


PREPARED = (
    "import os, sys\nthere = 'colorsys' in sys.modules\n"
    "def handle(event, context):\n    return [there, os.getpid(), os.getppid()]\n"
)


@dataclass
class Scene:
    """Two clouds, and the process that started them."""

    starter: subprocess.Popen[str]
    clouds: list[RunningCloud]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    (settings := tmp_path / "settings.toml").write_text('[lambda]\npreload = ["colorsys"]\n')
    states = [tmp_path / "one", tmp_path / "other"]
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTS, *map(str, (settings, tmp_path / "cache", *states))],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "both run\n"
        found = [cloud for cloud in map(daemon.find, states) if cloud is not None]
        yield Scene(starter, [RunningCloud(cloud) for cloud in found])
        starter.kill()


def test_all_that_a_cloud_imports_is_imported_and_nothing_is_changed(tmp_path: Path) -> None:
    """In a copy of the process that the clouds of these tests start from."""
    (file := tmp_path / "imports.py").write_text(IMPORTS)
    command = [*imported_once.processes().python, str(file), str(free_port()), str(tmp_path / "state")]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    before, missing = map(json.loads, ran.stdout.splitlines())
    changes, some, held, threads = before
    assert (changes, some, held, threads) == (0, True, 0, 1)
    assert missing == []


@pytest.mark.skipif(not CAN_PRELOAD, reason="programs start plainly here")
def test_two_clouds_of_one_process_know_nothing_of_each_other_and_end_with_who_started_them(scene: Scene) -> None:
    one, other = scene.clouds
    server = parent_of(one.daemon.pid)
    assert parent_of(other.daemon.pid) == server
    assert parent_of(server) == scene.starter.pid
    # THEN what is made in one is not in the other, and nothing that is drawn by chance is drawn in both
    one.client("sqs").create_queue(QueueName="one")
    assert "QueueUrls" not in other.client("sqs").list_queues()
    keys = [cloud.client("kms").create_key()["KeyMetadata"]["KeyId"] for cloud in scene.clouds]
    assert keys[0] != keys[1]
    assert one.daemon.operator != other.daemon.operator
    with pytest.raises(ClientError, match=r"InvalidClientTokenId|UnrecognizedClient"):
        other.client("sqs", **one.daemon.operator.client_arguments()).list_queues()
    # WHEN functions run in both THEN they start from one process
    for cloud in scene.clouds:
        cloud.function("f", PREPARED)
    (_, worker, standing), (_, others_worker, same) = told = [of_function(cloud) for cloud in scene.clouds]
    assert [there for there, _, _ in told] == [True, True]
    assert standing == same

    # WHEN one is stopped THEN the other goes on, and so does its function
    one.daemon.stop()
    assert [is_there(one.daemon.pid), is_there(worker)] == [False, False]
    assert of_function(other) == [True, others_worker, standing]

    # WHEN who started them is killed THEN nothing is left, not even the notice of the one that ran
    os.kill(scene.starter.pid, signal.SIGKILL)
    wait_until_gone(other.daemon.pid, others_worker, standing, server)
    assert not (other.daemon.state_directory / daemon.CLOUD_FILE).exists()


def of_function(cloud: RunningCloud) -> list[int]:
    """Whether its imports were there, its process, and that one's parent."""
    told: list[int] = json.loads(cloud.client("lambda").invoke(FunctionName="f")["Payload"].read())
    return told


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
