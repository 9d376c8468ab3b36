"""A load test against a server of one's own: all is answered, or what is too much is shed, and limits are held to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from everloop.cli.exceptions import CommandError
from everloop.cli.main import everloop
from everloop.cli.operations.load import bodies
from tests.helpers.artifacts import row
from tests.helpers.declarations import binary_document
from tests.helpers.server import Server, stored_in
from tests.helpers.synthesis import write_model

MODEL = "late_train"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    stored_in(folder)
    with Server(folder, "--queue", "1") as server:
        yield server


@pytest.fixture
def project(tmp_path: Path) -> Path:
    peak = {"requests_per_second": 10}
    write_model(tmp_path / "models", binary_document(serving={"peak": peak}))
    (tmp_path / "rows.json").write_text(json.dumps({"instances": [row("a"), row("b")]}))
    return tmp_path


def typed(project: Path, *words: str) -> Result:
    folder = ["--models-directory", str(project / "models")]
    return CliRunner().invoke(everloop, ["load", MODEL, str(project / "rows.json"), *folder, *words])


def test_twice_the_declared_peak_is_sent_and_recorded(server: Server, project: Path) -> None:
    record = project / "loads.jsonl"
    told = typed(project, "--url", server.url, "--seconds", "1", "--json", "--record", str(record))
    assert told.exit_code in (0, 3), told.output  # how fast this machine is at the moment is no matter
    found = json.loads(told.output)
    assert (found["rate"], found["requests"]) == (20, 20)
    assert found["by_status"].keys() <= {"200", "429"}
    assert found["p50_ms"] <= found["p95_ms"] <= found["p99_ms"]
    assert json.loads(record.read_text()) == found
    # AND people read the same
    told = typed(project, "--url", server.url, "--seconds", "1", "--rate", "5")
    assert "5 requests/s, 5 in all" in told.output


def test_a_server_that_is_not_there_keeps_no_limit(project: Path) -> None:
    told = typed(project, "--url", "http://127.0.0.1:1", "--seconds", "1", "--rate", "3")
    assert told.exit_code == 3
    assert "3 of 3 requests were not answered (100.0%)" in told.output


def test_production_is_not_loaded_by_mistake(project: Path) -> None:
    told = typed(project, "--seconds", "1")
    assert isinstance(told.exception, CommandError)
    assert "--into-production" in str(told.exception.remedy)


@pytest.mark.parametrize("words", [("--rate", "nan"), ("--seconds", "nan"), ("--rate", "0"), ("--rate", "inf")])
def test_what_is_no_rate_and_no_time_is_refused(project: Path, words: tuple[str, str]) -> None:
    assert typed(project, "--url", "http://127.0.0.1:1", *words).exit_code == 2


@pytest.mark.parametrize("given", ["", "[]", "[3]", '{"instances": []}'])
def test_a_file_without_rows_is_refused(project: Path, given: str) -> None:
    (project / "rows.json").write_text(given)
    assert isinstance(typed(project, "--url", "http://127.0.0.1:1").exception, CommandError)


def test_each_row_has_a_key_of_its_own() -> None:
    rows: list[Any] = [{"x": 1}, {"x": 2}, {"x": 3}]
    body = bodies(rows, 2, "id", "r")
    assert body(1) == {"instances": [{"x": 3, "id": "load-r-2"}, {"x": 1, "id": "load-r-3"}]}
