"""A local cloud starts, is found, is driven, and ends with all that it started."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from localcloud import daemon
from localcloud.core.preloaded.preloading import CAN_PRELOAD
from localcloud.core.processes import HAS_PROC, is_there
from support.endings import wait_until_gone, worker_pid
from support.running_cloud import RunningCloud, free_port, running_cloud

pytestmark = pytest.mark.xdist_group("daemon")  # two clouds for all that ends none

START = datetime(2013, 1, 1, tzinfo=UTC)
PREPARED = (
    "import os, sys\nthere = 'colorsys' in sys.modules\n"
    "def handle(event, context):\n    return [there, os.getpid(), os.getppid()]\n"
)


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    """A cloud whose clock is moved: each test does so from where it stands."""
    folder = tmp_path_factory.mktemp("moved")
    with running_cloud(folder / "state", folder / "cache", START) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    """A cloud on real time, whose control path is elsewhere."""
    folder = tmp_path_factory.mktemp("real")
    with running_cloud(folder / "state", folder / "cache", control_path="/_mine/") as cloud:
        yield cloud


def wait_until_stopped(pid: int) -> None:
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "T":
        assert time.monotonic() < deadline, "the process goes on"
        time.sleep(0.01)


def test_a_cloud_writes_a_notice_while_it_runs_and_ends_its_workers(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with running_cloud(state, tmp_path / "cache", START, plainly=True) as cloud:
        notice = json.loads((state / "cloud.json").read_text())
        assert notice["pid"] == cloud.daemon.pid
        assert notice["endpoint"] == cloud.daemon.endpoint
        assert daemon.find(state) == cloud.daemon
        assert cloud.daemon.control_path == "/_localcloud/"
        with pytest.raises(daemon.CloudAlreadyRunningError, match=str(cloud.daemon.pid)):
            daemon.start(free_port(), state, tmp_path / "cache")
        worker = worker_pid(cloud)
        assert cloud.daemon.memory()["rss_mb"]["workers"] > 0
        assert cloud.daemon.usage() == {"allowed": [], "denied": []}, "only the operator has called"

    assert not (state / "cloud.json").exists()
    assert daemon.find(state) is None
    assert not is_there(cloud.daemon.pid)
    assert not is_there(worker)


def prepared(folder: Path) -> Path:
    """Settings with which workers start from a process that has imported."""
    settings = folder / "settings.toml"
    settings.write_text('[lambda]\npreload = ["colorsys"]\n')
    return settings


def test_a_killed_cloud_leaves_no_workers(tmp_path: Path) -> None:
    started = daemon.start(free_port(), tmp_path / "state", tmp_path / "cache", settings=prepared(tmp_path))
    cloud = RunningCloud(started)
    cloud.function("prepared", PREPARED)
    cloud.function("plain", PREPARED, Environment={"Variables": {"PYTHONHASHSEED": "0"}})
    told = [json.loads(cloud.client("lambda").invoke(FunctionName=n)["Payload"].read()) for n in ("prepared", "plain")]
    (there, *one_and_its_server), (not_there, other, parent) = told
    assert (there, not_there, parent) == (CAN_PRELOAD, False, started.pid)

    os.kill(started.pid, signal.SIGKILL)
    started.stop()

    wait_until_gone(*one_and_its_server, other)
    assert daemon.find(tmp_path / "state") is None


def test_functions_start_as_often_as_on_aws_where_that_is_asked_for(tmp_path: Path) -> None:
    with running_cloud(tmp_path / "state", tmp_path / "cache", START, prepared(tmp_path), cold_starts=True) as cloud:
        cloud.function("f", PREPARED)

        def process() -> int:
            there, pid, _ = json.loads(cloud.client("lambda").invoke(FunctionName="f")["Payload"].read())
            assert not there
            return int(pid)

        first = process()
        if HAS_PROC:  # and wait as on AWS: frozen
            wait_until_stopped(first)
        cloud.daemon.advance(START + timedelta(minutes=9))
        assert process() == first
        cloud.daemon.advance(START + timedelta(minutes=20))
        second = process()
        assert second != first

        # WHEN it is terminated THEN its workers end, frozen as they are, and its notice is taken away
        os.kill(cloud.daemon.pid, signal.SIGTERM)
        cloud.daemon.stop()
        wait_until_gone(first, second)
        assert not (tmp_path / "state" / "cloud.json").exists()


def test_a_cloud_ends_with_its_parent_when_asked_to(tmp_path: Path) -> None:
    # GIVEN a process that starts a cloud and ends without stopping it
    program = (
        "import sys\nfrom pathlib import Path\nfrom localcloud import daemon\n"
        "cloud = daemon.start(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), stop_with_parent=True)\n"
        "print(cloud.pid)\n"
    )
    command = [sys.executable, "-c", program, str(free_port()), str(tmp_path / "state"), str(tmp_path / "cache")]

    pid = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    wait_until_gone(pid)


def test_a_taken_port_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(daemon.CloudNotStartedError, match=rf"port {port} .*--port"):
            daemon.start(port, tmp_path / "state", tmp_path / "cache")

    assert not (tmp_path / "state" / "cloud.json").exists()


def test_the_clock_is_moved_while_other_requests_are_answered(moved: RunningCloud) -> None:
    before = moved.daemon.clock()
    assert before["moved"] is True
    assert START <= datetime.fromisoformat(before["now"]) < START + timedelta(days=1)

    told = moved.daemon.advance(START + timedelta(days=1))

    assert told == {"now": (START + timedelta(days=1)).isoformat(), "moved": True, "ran": []}
    with pytest.raises(daemon.ControlError, match="can't go back"):
        moved.daemon.advance(START)
    assert moved.daemon.activity() == {}


def test_a_long_advance_keeps_nobody_else_waiting(moved: RunningCloud, tmp_path: Path) -> None:
    # GIVEN a function that runs until a file is there, invoked asynchronously
    gate = tmp_path / "gate"
    source = (
        "import pathlib, time\n"
        "def handle(event, context):\n"
        "    while not pathlib.Path(event).exists():\n"
        "        time.sleep(0.01)\n"
    )
    moved.function("f", source)
    payload = json.dumps(str(gate)).encode()
    before = datetime.fromisoformat(moved.daemon.clock()["now"])
    moved.client("lambda").invoke(FunctionName="f", InvocationType="Event", Payload=payload)

    # WHEN the clock is to be moved while it runs
    told = []
    driver = threading.Thread(target=lambda: told.append(moved.daemon.advance(before + timedelta(hours=1))))
    driver.start()

    # THEN others are answered, the clock stands still, and moves once the function is done
    assert moved.daemon.activity()
    assert moved.client("sts").get_caller_identity()["Account"] == "123456789012"
    assert moved.daemon.clock()["now"] == before.isoformat()
    gate.touch()
    driver.join()
    assert told[0]["now"] == (before + timedelta(hours=1)).isoformat()


def test_the_control_path_is_where_it_was_put(real: RunningCloud) -> None:
    found = daemon.find(real.daemon.state_directory)
    assert found == real.daemon
    assert found.control_path == "/_mine/"
    assert not found.clock()["moved"]


def test_a_cloud_on_real_time_can_not_be_moved(real: RunningCloud) -> None:
    assert real.daemon.clock()["moved"] is False
    with pytest.raises(daemon.ControlError, match="follows real time"):
        real.daemon.advance(datetime.now(UTC) + timedelta(days=9))


def test_the_doors_that_stay_shut(real: RunningCloud) -> None:
    # a service that the local cloud does not execute is refused, in either format
    for service, call in (
        ("ec2", "describe_instances"),
        ("kinesis", "list_streams"),
    ):
        with pytest.raises(Exception, match=r"NotExecutedLocally.*does not execute"):
            getattr(real.client(service), call)()
    # nor is there a region of this name
    with pytest.raises(ClientError, match=r"InvalidSignatureException.*valid region"):
        real.client("ssm", region_name="eu-wst-1").describe_parameters()
    # nobody signs for these
    for path in ("/", "/moto-api/reset", "/_mine/nothing", "/_localcloud/clock"):
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(urllib.request.Request(real.daemon.endpoint + path, method="POST"))
    # a web page can not move the clock
    request = urllib.request.Request(
        f"{real.daemon.endpoint}/_mine/shutdown", method="POST", headers={"Origin": "https://example.org"}
    )
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request)


def test_time_passes_in_a_cloud_on_real_time_and_its_answers_say_so(real: RunningCloud) -> None:
    to = datetime.now(UTC) + timedelta(days=2)
    passed = real.daemon.pass_time(to)
    assert passed["moved"] is False
    assert datetime.fromisoformat(passed["now"]) >= to
    answer = real.client("sts").get_caller_identity()
    date = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    assert date >= to.replace(microsecond=0)
    with pytest.raises(daemon.ControlError, match="can't go back"):
        real.daemon.pass_time(to - timedelta(hours=1))


def test_the_daemon_module_brings_no_moto() -> None:
    program = (
        "import sys\nimport localcloud.daemon\n"
        "print([name for name in sys.modules if name.startswith(('moto', 'boto'))])"
    )

    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert shown.strip() == "[]"
