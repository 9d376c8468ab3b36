"""A worker that starts from what has imported is what a plainly started one is; what would differ starts plainly."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from localcloud.services.lambda_.runtime.pool import PoolLimits
from localcloud.services.lambda_.runtime.prepared import MOST_SERVERS, PreparedWorkers
from support.lambdas import CLIENTS, NEEDS_PRELOADING, Lambda, MakeLambda, zipped

pytestmark = NEEDS_PRELOADING

MODULES = ("jmespath", "jmespath.exceptions", "colorsys", "reads", "no_such_module")
"""What is imported before; jmespath stands for packages that take longer, such as boto3."""
SHOWN = """
import os, signal, sys, time
before = "colorsys" in sys.modules
import jmespath, reads
def handle(event, context):
    main = sys.modules["__main__"]
    varying = ("AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_RUNTIME_API", "_RUNTIME_API_TOKEN", "TMPDIR")
    varying += ("_X_AMZN_TRACE_ID",)
    return {
        "prepared": before, "path": sys.path, "flags": repr(sys.flags), "arguments": sys.argv, "zone": time.tzname,
        "main": [main.__name__, main.__file__, main.__spec__ and main.__spec__.name], "directory": os.getcwd(),
        "jmespath": jmespath.__file__, "reads": [reads.__file__, reads.MODE], "umask": os.umask(0o22),
        "variables": {name: value for name, value in os.environ.items() if name not in varying},
        "signals": [repr(signal.getsignal(n)) for n in (1, 2, 13, 15)], "input": sys.stdin.read(),
        "streams": [(s.encoding, s.errors) for s in (sys.stdin, sys.stdout, sys.stderr)],
        "leads": os.getpgid(0) == os.getpid(), "open": sorted(os.listdir("/proc/self/fd"))[:3],
        "home": os.path.expanduser("~"),
    }
"""
READS = "import os\nMODE = os.environ.get('MODE')\nHOME = os.path.expanduser('~')\n"


@pytest.fixture(params=CLIENTS)
def both(request: pytest.FixtureRequest, make_lambda: MakeLambda) -> list[Lambda]:
    """A cloud without preparation, and one with it; with each runtime client."""
    return [make_lambda(request.param), make_lambda(request.param, preload=MODULES)]


@pytest.fixture
def two(make_lambda: MakeLambda) -> list[Lambda]:
    """The same with one client: how a worker starts is decided before its client is."""
    return [make_lambda(), make_lambda(preload=MODULES)]


def shown(cloud: Lambda, files: dict[str, str], **parameters: Any) -> dict[str, Any]:
    layer = cloud.service.publish_layer_version("own", {"Content": {"ZipFile": zipped({"python/reads.py": READS})}})
    cloud.create({"handler.py": SHOWN, **files}, layers=(layer.arn,), **parameters)
    result = cloud.invoke()
    assert result.function_error is None, [result.payload, cloud.sink.lines]
    return dict(json.loads(result.payload))


@pytest.mark.parametrize("variables", [{}, {"MINE": "ü", "AWS_MINE": "1"}, {"TZ": "Europe/Berlin"}], ids=str)
def test_a_function_sees_what_it_sees_after_a_plain_start(both: list[Lambda], variables: dict[str, str]) -> None:
    plain, other = (shown(cloud, {}, Environment={"Variables": variables}) for cloud in both)
    assert (plain.pop("prepared"), other.pop("prepared")) == (False, True)
    assert other == plain
    assert other["reads"][0].endswith("/files/python/reads.py")


@pytest.mark.parametrize(
    ("files", "variables"),
    [
        ({"colorsys.py": "mine = 1"}, {}),
        ({"reads/__init__.py": "MODE = 'of the function'"}, {}),
        ({"jmespath.py": ""}, {}),
        ({"sitecustomize.py": ""}, {}),
        ({"libmine.so": ""}, {}),
        ({"lib/libmine.so.1": ""}, {}),
        ({}, {"MODE": "of the function"}),
        ({}, {"PYTHONHASHSEED": "0"}),
        ({}, {"MALLOC_ARENA_MAX": "1"}),
        ({}, {"HOME": "/nowhere"}),
    ],
    ids=str,
)
def test_what_would_import_something_else_starts_plainly(
    two: list[Lambda], files: dict[str, str], variables: dict[str, str]
) -> None:
    plain, other = (shown(cloud, files, Environment={"Variables": variables}) for cloud in two)
    assert not other["prepared"]
    assert other == plain


def test_boto3_is_imported_before_and_is_what_it_is_otherwise(make_lambda: MakeLambda) -> None:
    source = "import sys\nthere = 'boto3' in sys.modules\nimport boto3\n"
    source += "def handle(event, context):\n    return [there, boto3.__file__, boto3.client('sqs').meta.region_name]\n"

    def told(preload: tuple[str, ...], **variables: str) -> list[object]:
        cloud = make_lambda(preload=preload)
        cloud.create(source, Environment={"Variables": variables})
        return list(json.loads(cloud.invoke().payload))

    before = ("boto3", "botocore.config")
    plain, prepared, elsewhere = told(()), told(before), told(before, HOME="/nowhere")
    assert (plain[0], prepared[0]) == (False, True)
    assert elsewhere[0] is False, "botocore reads HOME where it is imported"
    assert plain[1:] == prepared[1:] == elsewhere[1:]


def test_functions_of_other_layers_get_their_own_packages(make_lambda: MakeLambda) -> None:
    cloud = make_lambda(preload=("shared",))
    for name in ("one", "two"):
        content = {"ZipFile": zipped({"python/shared.py": f"NAME = {name!r}"})}
        layer = cloud.service.publish_layer_version(name, {"Content": content})
        source = "import sys\nthere = 'shared' in sys.modules\nimport shared\n"
        source += "def handle(event, context):\n    return [there, shared.NAME]\n"
        cloud.create(source, name, layers=(layer.arn,))
    assert [json.loads(cloud.invoke(name=name).payload) for name in ("one", "two")] == [[True, "one"], [True, "two"]]


def test_two_workers_share_no_state(make_lambda: MakeLambda) -> None:
    cloud = make_lambda(preload=("colorsys", "random"))
    source = (
        "import colorsys, os, random\n"
        "def handle(event, context):\n"
        "    seen = getattr(colorsys, 'left', None), os.environ.get('LEFT')\n"
        "    colorsys.left = os.environ['LEFT'] = 'by another'\n"
        "    return [*seen, random.random()]\n"
    )
    cloud.create(source, "one")
    cloud.create(source, "two")
    one, two = (json.loads(cloud.invoke(name=name).payload) for name in ("one", "two"))
    assert one[:2] == two[:2] == [None, None]
    assert one[2] != two[2]


CHILD = """
import os, subprocess, time
def handle(event, context):
    child = subprocess.Popen(["sleep", "600"])
    print(os.getpid(), child.pid, flush=True)
    time.sleep(600)
"""


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def until(holds: Callable[[], bool]) -> None:
    for _ in range(2000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it does not come to be so")


def test_a_function_that_takes_too_long_ends_with_all_it_started(make_lambda: MakeLambda) -> None:
    cloud = make_lambda(preload=("colorsys",))
    cloud.create(CHILD, Timeout=1)
    assert b"Sandbox.Timedout" in cloud.invoke().payload
    (started,) = (line for line in cloud.sink.lines if line.replace(" ", "").isdigit())
    until(lambda: all(gone(int(pid)) for pid in started.split()))


def test_a_worker_whose_server_was_killed_is_an_error_and_the_next_one_starts(make_lambda: MakeLambda) -> None:
    cloud = make_lambda(preload=("colorsys",))
    cloud.create("import os\ndef handle(event, context):\n    return os.getppid()\n")
    server = json.loads(cloud.invoke().payload)
    os.kill(server, signal.SIGKILL)
    until(lambda: gone(server))
    again = cloud.invoke()
    assert again.function_error is None
    assert json.loads(again.payload) != server


def test_memory_is_the_workers_own(make_lambda: MakeLambda) -> None:
    """What the server holds besides is not counted for it, but told with the workers'."""
    cloud = make_lambda(preload=("colorsys",))
    cloud.create(
        "def handle(event, context):\n    global kept\n    kept = bytearray(event['mb'] << 20)\n", MemorySize=128
    )
    assert cloud.invoke(b'{"mb": 1}').function_error is None
    assert cloud.service.memory_mb() > cloud.service.pools.memory_mb() > 0
    assert b"Runtime.OutOfMemory" in cloud.invoke(b'{"mb": 200}').payload


def test_servers_are_few_and_go_when_nobody_uses_them(tmp_path: Path) -> None:
    prepared = PreparedWorkers(("colorsys",))
    found = [prepared.of([tmp_path / str(n)], [], {"TZ": ":UTC"}) for n in range(MOST_SERVERS)]
    assert len(set(map(id, found))) == MOST_SERVERS
    assert prepared.of([tmp_path / "0"], [], {"TZ": ":UTC"}) is found[0]
    assert prepared.of([tmp_path / "0"], [], {"TZ": "Asia/Tokyo"}) is not found[0]  # in place of an unused one
    assert len(prepared._servers) == MOST_SERVERS
    assert PreparedWorkers().of([tmp_path], [], {}) is None


def test_the_pool_ends_workers_that_stay_unused(make_lambda: MakeLambda) -> None:
    cloud = make_lambda(preload=("colorsys",), limits=PoolLimits(idle_seconds=0.0))
    cloud.create("import os\ndef handle(event, context):\n    return os.getpid()\n")
    pid = json.loads(cloud.invoke().payload)
    until(lambda: gone(pid))
