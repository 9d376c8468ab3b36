"""A newcomer's day on a local cloud in real time: whoever meets a run that waits is told, and lets the time go by."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from everloop.cli.main import everloop
from everloop.cli.operations.local_cloud import LocalCloud, bring_up, free_port
from tests.loop.models import BAKERY, write_sales

pytestmark = pytest.mark.xdist_group("loop in real time")


@pytest.fixture(scope="module")
def cloud(assembly: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    folder, before = tmp_path_factory.mktemp("state"), dict(os.environ)
    running = bring_up(
        port=free_port(),
        state_directory=folder / "local",
        say=lambda _: None,
        stop_with_parent=True,
        synthesize=lambda _: assembly,
    )
    try:
        yield running
    finally:
        running.running.stop()
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture
def type_(cloud: LocalCloud, models_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Types a command, as in a shell that points at the cloud."""
    monkeypatch.setattr("everloop.cli.commands.local.STATE", cloud.running.state_directory)

    def typed(*words: str) -> Result:
        declared = ["--models-directory", str(models_directory)] if words[:1] in (("data",), ("labels",)) else []
        return CliRunner().invoke(everloop, [*words, *declared])

    return typed


def test_a_baking_run_is_met_and_the_time_let_go_by(type_: Any, cloud: LocalCloud, tmp_path: Path) -> None:
    # GIVEN a first model that was trained and is baking, on real time
    begin = f"{datetime.now(UTC) - timedelta(days=31):%Y-%m-%d}"
    imported = type_("data", "import", BAKERY, str(write_sales(tmp_path / "sales.csv", begin=begin, days=30)))
    assert imported.exit_code == 0, imported.output
    trained = type_("train", BAKERY)
    assert trained.exit_code == 0, trained.output
    store = cloud.account().registry(BAKERY)
    # WHEN another is asked for; THEN what the run waits for is told, and how to get there
    for _ in range(200):
        met = type_("train", BAKERY)
        if "bake lasts until" in str(met.exception):
            break
    assert "version 1 serves, and its bake lasts until " in str(met.exception)
    assert "everloop local pass " in met.exception.remedy
    # WHEN the time goes by; THEN the bake ends, and it is told
    passed = type_("local", "pass", "2h", "--json")
    assert passed.exit_code == 0, passed.output
    document = json.loads(passed.stdout)
    assert datetime.fromisoformat(document["to"]) - datetime.fromisoformat(document["from"]) == timedelta(hours=2)
    assert any("completed" in told["what"] for told in document["happened"])
    assert store.runs.active() is None
    # and the clock goes on from there
    assert cloud.account().now() >= datetime.fromisoformat(document["to"]).replace(microsecond=0)
    # WHEN a day goes by, until an instant; THEN the schedule has fired on the way
    until = datetime.fromisoformat(document["to"]) + timedelta(days=1)
    passed = type_("local", "pass", "--until", until.isoformat())
    assert passed.exit_code == 0, passed.output
    assert f"{BAKERY}: window until " in passed.output
    assert f"the local cloud's clock is at {until:%Y-%m-%d %H:%M} UTC" in passed.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "give either SPAN or --until"),
        (["2h", "--until", "2026-01-01"], "give either SPAN or --until"),
        (["soon"], "'soon' is not a span of time"),
        (["--until", "soon"], "--until 'soon' is not a time"),
        (["--until", "2001-01-01T00:00Z"], "is in the past: it is "),
    ],
)
def test_what_can_not_go_by_is_refused_with_an_example(type_: Any, words: list[str], told: str) -> None:
    refused = type_("local", "pass", *words)
    assert told in refused.exception.message
    assert refused.exception.remedy
