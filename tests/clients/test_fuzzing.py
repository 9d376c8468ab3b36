"""Whatever is sent, fitting the OpenAPI document or not, the answer is as described, and never a 5xx.

A long run, by the clients' Python: `python tests/clients/fuzzing.py http://127.0.0.1:8080 --examples 500 --mutate 600`.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.helpers.server import Server

FUZZING = Path(__file__).with_name("fuzzing.py")


@pytest.mark.slow
def test_no_request_is_answered_otherwise_than_described(python: Path, server: Server) -> None:
    command = [python, FUZZING, server.url, "--examples", "20", "--mutate", "5"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout.splitlines()[-1])
    assert told["failures"] == []
    # AND each operation was asked, some requests were answered, others refused
    assert {"200", "400"} <= set(told["statuses"])
    document = json.loads(server.ask("GET", "/openapi.json")[1])
    described = {f"{m.upper()} {path}" for path, item in document["paths"].items() for m in item}
    assert set(told["operations"]) == described
    assert set(told["mutated"]) >= {"200", "400"}
