"""What the local cloud imports for endpoints beforehand is what a server of captured rows imports."""

from __future__ import annotations

import http.client
import importlib
import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from everloop.cli.operations.jobs_here import SETTINGS
from localcloud.core.preloaded.preloading import CAN_PRELOAD, Preloading
from localcloud.services.sagemaker.jobs.root import INTERPRETER_VARIABLES
from tests.helpers.server import stored_in

(IMAGE,) = tomllib.loads(SETTINGS.read_text(encoding="utf-8"))["sagemaker"]["images"]
AWS = {"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    return tmp_path / "model"


@pytest.mark.slow
def test_a_server_imports_all_of_it_by_itself(folder: Path) -> None:
    """So no container finds a module imported that it would have to import itself."""
    chosen = f"Chosen({str(folder)!r}, manifest_sha256={stored_in(folder).manifest_sha256!r})"
    program = (
        "import importlib, json, sys\n"
        "from everloop.cli.commands.serve import serve\n"
        "from everloop.cli.operations.serving import Chosen, start\n"
        f"start({chosen}, host='127.0.0.1', port=0, queue=1, capture=None, stream='s').listening.close()\n"
        "import everloop.server.run, uvloop  # as it begins to answer\n"
        "there = set(sys.modules)\n"
        f"for name in {IMAGE['preload']}: importlib.import_module(name)\n"
        "print(json.dumps(sorted(set(sys.modules) - there)))"
    )
    variables = {**os.environ, **AWS}
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=variables)
    assert json.loads(ran.stdout) == []


@pytest.mark.slow
@pytest.mark.skipif(not CAN_PRELOAD, reason="containers start plainly here")
def test_a_server_starts_from_it(folder: Path) -> None:
    for name in IMAGE["preload"]:
        assert importlib.import_module(name), "what can't be imported is left out"
    manifest = stored_in(folder).manifest_sha256
    variables = {"PATH": os.environ.get("PATH", os.defpath), **INTERPRETER_VARIABLES}
    server = Preloading(IMAGE["preload"], variables, IMAGE["preload_environment"])
    container = {**variables, **AWS, "PATH": f"{folder}:{variables['PATH']}", "HOME": str(folder)}
    words = [*IMAGE["command"][1:], str(folder), "--manifest-sha256", manifest, "--port", "0", "--stream", "s"]
    reading, writing = os.pipe()
    program = server.start(words, container, folder.parent, writing)  # it is refused what would start plainly
    os.close(writing)
    with os.fdopen(reading) as output:
        said = output.readline()
        assert said.startswith("late_train, version 7, at http://127.0.0.1:")
        connection = http.client.HTTPConnection(said.rpartition("/")[2].strip(), timeout=60)
        connection.request("GET", "/ping")
        assert connection.getresponse().status == 200
        connection.close()
        os.killpg(program.pid, signal.SIGTERM)
        assert program.wait(60) == 0
    server.close()
