"""What a person is told of an evaluation: metrics and money, of the bytes that were registered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result
from moto import mock_aws

from everloop.cli.commands import report as command
from everloop.cli.exceptions import CommandError
from everloop.cli.main import everloop
from everloop.documents.records import GateVerdict
from everloop.evaluation.money_gate import money_document
from everloop.registry.exceptions import NoChampionError
from everloop.registry.store import RegistryStore
from tests.everloop.evaluation.builders import labels_and_truth, report_of
from tests.fakes.object_store import FakeS3
from tests.fakes.registry_table import TABLE, dynamodb
from tests.helpers.registry_scenes import open_run, register

LABELS, TRUTH = labels_and_truth(1)
REPORT = report_of(LABELS, TRUTH, 0.5 * TRUTH + 0.2, model="flights", run_id="train-1")


@dataclass
class Pretended:
    """An account with one model and its artefacts."""

    store: RegistryStore
    s3: FakeS3

    platform = SimpleNamespace(artifact_bucket="artefacts")

    def model(self, name: str) -> None:
        pass

    def registry(self, name: str) -> RegistryStore:
        return self.store

    def client(self, service: str) -> FakeS3:
        return self.s3


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pretended]:
    """GIVEN a registered version with its report."""
    with mock_aws():
        store = RegistryStore(dynamodb(), TABLE, "flights", pause=lambda _: None)
        open_run(store, "train-1")
        content = REPORT.to_json().encode()
        gate: GateVerdict = {
            "verdict": "pass",
            "reasons": [{"code": "money", "passed": True, "sentence": "1,000 decisions cost something."}],
            "report_sha256": hashlib.sha256(content).hexdigest(),
            "money": money_document(REPORT, "raw"),
        }
        version = register(store, "train-1", gate=gate, contents={"report.json": content})
        found = Pretended(store, FakeS3({f"{version.artifact_prefix}report.json": content}))
        monkeypatch.setattr(command, "Account", lambda: found)
        yield found


def typed(*arguments: str) -> Result:
    return CliRunner().invoke(everloop, ["report", "flights", *arguments], env={"COLUMNS": "120"})


def test_machines_get_the_report_and_the_money_of_all_three(account: Pretended) -> None:
    told = json.loads(typed("--version", "1", "--json").output)
    assert told["version"] == 1
    assert told["money"] == money_document(REPORT, "raw")
    assert told["report"]["candidate"]["log_loss"]["value"] == REPORT.candidate["log_loss"].value


def test_people_get_them_with_intervals(account: Pretended) -> None:
    told = " ".join(typed("--version", "1").output.split())
    assert "flights, version 1: 1,000 test rows of 20 days" in told
    assert "what 1,000 decisions cost, acting from a score of 0.5 on" in told
    for who in ("with this version", "with the baseline", "with version 3 on 1,000 rows", "acting from 0.111 on"):
        assert who in told
    assert told.count("EUR (95%: ") == 5


def test_a_report_that_is_another_one_is_refused(account: Pretended) -> None:
    key = next(iter(account.s3.objects))
    account.s3.objects[key] += b" "
    told = typed("--version", "1").exception
    assert isinstance(told, CommandError)
    assert "was registered with" in told.message
    del account.s3.objects[key]
    told = typed("--version", "1").exception
    assert isinstance(told, CommandError)
    assert "is missing" in told.message


def test_without_a_champion_a_version_has_to_be_named(account: Pretended) -> None:
    assert isinstance(typed().exception, NoChampionError)


def test_the_page_is_of_the_registered_report_alone(account: Pretended, tmp_path: Path) -> None:
    told = typed("--version", "1", "--html", str(tmp_path / "report.html"))
    assert told.exit_code == 0
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    key = next(iter(account.s3.objects))
    assert hashlib.sha256(account.s3.objects[key]).hexdigest() in html
    assert "1,000 decisions cost something." in html
    account.s3.objects[key] += b" "
    refused = typed("--version", "1", "--html", str(tmp_path / "edited.html"))
    assert isinstance(refused.exception, CommandError)
    assert not (tmp_path / "edited.html").exists()


def test_a_page_in_a_folder_that_is_not_there_is_refused(account: Pretended, tmp_path: Path) -> None:
    refused = typed("--version", "1", "--html", str(tmp_path / "none" / "report.html")).exception
    assert isinstance(refused, CommandError)
    assert "name a file in a folder that exists" in refused.remedy
