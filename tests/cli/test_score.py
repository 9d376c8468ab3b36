"""What a person is told of a model's ML Test Score."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from moto import mock_aws

from everloop.cli import account as accounts
from everloop.cli.commands import score as command
from everloop.cli.exceptions import CommandError
from everloop.cli.main import everloop
from everloop.documents.records import GateVerdict
from everloop.evaluation.money_gate import money_document
from everloop.manifest import sha256_hex
from everloop.registry.store import RegistryStore
from tests.cli.test_report import REPORT, Pretended
from tests.everloop.registry.test_waivers import ANN, BOB, NOT_BETTER, waive
from tests.fakes.object_store import FakeS3
from tests.fakes.registry_table import TABLE, dynamodb
from tests.helpers.declarations import binary_document
from tests.helpers.registry_scenes import TRIGGER, at, open_run, register, start_rollout


class AtNoon(Pretended):
    """The same, with a clock."""

    def now(self) -> datetime:
        return at(90)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[AtNoon]:
    """GIVEN an account with the model and nothing registered."""
    with mock_aws():
        found = AtNoon(RegistryStore(dynamodb(), TABLE, "flights", pause=lambda _: None), FakeS3({}))
        monkeypatch.setattr(command, "Account", lambda: found)
        monkeypatch.setattr(accounts, "Account", lambda: found)
        yield found


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """GIVEN a project that declares it."""
    folder = tmp_path / "models" / "flights"
    folder.mkdir(parents=True)
    text = yaml.safe_dump(binary_document(model="flights"), sort_keys=False)
    script = "def train(features, target, *, seed, parameters):\n    raise NotImplementedError\n"
    (folder / "train.py").write_text(script, encoding="utf-8")
    (folder / "model.yaml").write_text(text, encoding="utf-8")
    return folder.parent


def typed(models: Path, *words: str) -> Result:
    return CliRunner().invoke(everloop, [*words, "--models-directory", str(models)], env={"COLUMNS": "160"})


def test_of_a_model_without_versions_all_is_zero(account: AtNoon, models: Path) -> None:
    told = json.loads(typed(models, "score", "flights", "--json").output)
    assert (told["score"], told["maturity"]["level"]) == (0.0, 0)
    assert len([one for group in told["groups"].values() for one in group]) == 28


def test_the_report_of_the_newest_version_counts_where_nothing_serves(account: AtNoon, models: Path) -> None:
    open_run(account.store, "train-1")
    content = REPORT.to_json().encode()
    version = register(account.store, "train-1", contents={"report.json": content})
    account.s3.objects[f"{version.artifact_prefix}report.json"] = content
    found = typed(models, "score", "flights")
    assert found.exit_code == 0, found.output
    assert "everloop report flights --version 1" in found.output
    assert "ML Test Score of flights: 0" in found.output
    account.s3.objects[f"{version.artifact_prefix}report.json"] = content + b" "
    assert isinstance(typed(models, "score", "flights").exception, CommandError), "an edited report is no evidence"


def test_the_card_has_score_maturity_and_waivers_where_it_is_asked_for(account: AtNoon, models: Path) -> None:
    assert "On record" not in typed(models, "card", "flights").output
    trigger: Any = {**TRIGGER, "started_by": ANN}
    account.store.runs.open("train-2", kind="train", trigger=trigger, at=at(0), actor="p", quota_runs=9, quota_days=7)
    content = REPORT.to_json().encode()
    gate: GateVerdict = {"verdict": "fail", "reasons": [NOT_BETTER], "report_sha256": sha256_hex(content)}
    version = register(account.store, "train-2", gate=gate, contents={"report.json": content})
    account.s3.objects[f"{version.artifact_prefix}report.json"] = content
    waive(account.store)
    shown = typed(models, "card", "flights", "--deployed")
    assert shown.exit_code == 0, shown.output
    assert "- ML Test Score: 0 of 7 (features and data " in shown.output
    assert "- maturity: 0 of 5; next, evaluated" in shown.output
    assert f"- waived: better_than_champion of version 1, by {BOB} until" in shown.output


def test_the_card_says_what_the_champions_decisions_cost(account: AtNoon, models: Path) -> None:
    content = REPORT.to_json().encode()
    money = money_document(REPORT, "raw")
    open_run(account.store, "train-1")
    gate: GateVerdict = {"verdict": "pass", "reasons": [], "report_sha256": sha256_hex(content), "money": money}
    version = register(account.store, "train-1", gate=gate, contents={"report.json": content})
    account.s3.objects[f"{version.artifact_prefix}report.json"] = content
    start_rollout(account.store, "train-1", 1)
    account.store.rollouts.promote("train-1", at=at(30), actor="t")
    shown = typed(models, "card", "flights", "--deployed")
    assert shown.exit_code == 0, shown.output
    assert "- version 1, by its evaluation: 1,000 decisions cost " in shown.output
