"""What the commands show at any width: hashes whole, reasons whole, plain lines in a pipe, everything in JSON."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner
from moto import mock_aws

from everloop.cli.account import DeployedModel
from everloop.cli.main import everloop
from everloop.documents.records import GuardrailCheck
from everloop.reasons import ReasonDocument
from everloop.registry.locked_audit import LockedAudit
from everloop.registry.records import Snapshot
from everloop.registry.store import RegistryStore
from everloop.registry.store import RegistryStore as Store
from tests.fakes.audit_bucket import BUCKET, FakeAuditBucket
from tests.fakes.registry_table import TABLE, dynamodb
from tests.helpers.registry_scenes import FAILED, PASSED, at, close_run, open_run, start_rollout

MODEL = "flights"
SNAPSHOT, CODE, ONNX, MANIFEST, FUNCTION = (
    hashlib.sha256(name.encode()).hexdigest() for name in ("snapshot", "code", "model.onnx", "profile.json", "function")
)
SENTENCE = (
    "On the same rows the candidate's log_loss less the baseline's is -0.0123, and with 95% confidence it is at"
    " worst 0.0021 worse; required is better at all. If the candidate stays that good, this would show it: about 13"
    " days of test rows instead of 7 (more history and data.split.test_days)."
)
GUARDRAIL = "2 of 131 requests failed (1.5%), which 2% allowed do not explain; the step goes on as long as no more do."
RUNS = ("train-0123456789abcdef", "train-fedcba9876543210")
ACTOR = "arn:aws:iam::123456789012:assumed-role/everloop-flights-registry-and-a-long-name/somebody@example.org"
WIDTHS = ("60", "80", "200", None)
"""Of terminals, and a pipe, which has none."""


@dataclass(frozen=True)
class Accounts:
    """An account with one model, whose registry is a table in memory, as is the bucket of its audit records."""

    store: RegistryStore
    locked: LockedAudit

    def __call__(self) -> Accounts:
        return self

    def model(self, name: str) -> DeployedModel:
        assert name == MODEL
        return DeployedModel(name, *[""] * 9)

    def model_names(self) -> list[str]:
        return [MODEL]

    def registry(self, name: str) -> RegistryStore:
        assert name == MODEL
        return self.store

    def locked_audit(self, name: str) -> LockedAudit:
        assert name == MODEL
        return self.locked

    def now(self) -> datetime:
        return datetime(2013, 3, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def accounts() -> Iterator[Accounts]:
    """Version 1 serves; version 2 was refused. The commands only read."""
    with mock_aws():
        store = Store(dynamodb(), TABLE, MODEL, pause=lambda _: None)
        store.snapshots.put(Snapshot(MODEL, SNAPSHOT, "s3://lake/s1/", at(0), {"rows": {"train": 5}}))
        passed: list[ReasonDocument] = [{"code": "better_than_baseline", "passed": True, "sentence": SENTENCE}]
        refused: list[ReasonDocument] = [{"code": "better_than_baseline", "passed": False, "sentence": SENTENCE}]
        for run_id, when, gate in ((RUNS[0], 0, PASSED), (RUNS[1], 60, FAILED)):
            open_run(store, run_id, when=at(when))
            version = store.versions.register(
                run_id=run_id,
                snapshot_hash=SNAPSHOT,
                code_sha256=CODE,
                files={
                    "model.onnx": {"sha256": ONNX, "bytes": 12345},
                    "profile.json": {"sha256": MANIFEST, "bytes": 9},
                },
                refit=None,
                metrics={"log_loss": 0.4},
                gate={**gate, "reasons": passed if gate is PASSED else refused},
                at=at(when + 1),
                actor=ACTOR,
            )
            if gate is PASSED:
                store.versions.mark_evaluated(version.version, at=at(11), actor=ACTOR)
                start_rollout(store, run_id, version.version, code=FUNCTION)
                told: list[ReasonDocument] = [{"code": "errors", "sentence": GUARDRAIL}]
                check: GuardrailCheck = {"phase": "canary", "decision": "advance", "reasons": told}
                store.rollouts.record_check(run_id, check, at=at(25), actor=ACTOR)
                store.rollouts.promote(run_id, at=at(30), actor=ACTOR)
                store.rollouts.end(run_id, status="completed", at=at(40), actor=ACTOR)
            close_run(store, run_id, when=at(when + 50), status="succeeded" if gate is PASSED else "rejected")
        locked = LockedAudit(FakeAuditBucket(), BUCKET, MODEL)
        locked.lock(store.ledger.audit_records())
        yield Accounts(store, locked)


@pytest.fixture(autouse=True)
def account(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in ("trace", "rollout", "runs", "audit"):
        monkeypatch.setattr(f"everloop.cli.commands.{command}.Account", accounts)


def typed(width: str | None, *words: str) -> str:
    """What a command prints on a terminal of that width, or in a pipe."""
    result = CliRunner(env={"COLUMNS": width}).invoke(everloop, list(words))
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


COMMANDS: dict[tuple[str, ...], tuple[tuple[str, ...], tuple[str, ...]]] = {
    ("trace", MODEL): ((SNAPSHOT, CODE, ONNX, MANIFEST, FUNCTION, RUNS[0], ACTOR), (SENTENCE,)),
    ("trace", MODEL, "--version", "2"): ((SNAPSHOT, CODE, ONNX, RUNS[1]), (SENTENCE,)),
    ("trace", MODEL, "--snapshot", SNAPSHOT): ((SNAPSHOT,), ()),
    ("rollout", "status", MODEL): ((), (GUARDRAIL,)),
    ("runs", "list", MODEL): (RUNS, ()),
    ("audit", "list", MODEL): ((*RUNS, ACTOR), (GUARDRAIL,)),
}
"""Each command with the words that it has to show whole, and its sentences."""


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("words", COMMANDS)
def test_what_is_copied_stands_on_one_line(words: tuple[str, ...], width: str | None) -> None:
    printed = typed(width, *words)
    for value in COMMANDS[words][0]:
        assert value in printed, "broken, or cut"
    assert "…" not in printed


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("words", COMMANDS)
def test_a_sentence_is_told_to_its_end(words: tuple[str, ...], width: str | None) -> None:
    printed = typed(width, *words)
    for sentence in COMMANDS[words][1]:
        assert told_whole(sentence, printed), printed


def told_whole(sentence: str, printed: str) -> bool:
    """Whether the words of ``sentence`` follow each other: on a line, from line to line, or down a column."""
    if sentence in " ".join(printed.split()):
        return True
    lines = printed.splitlines()
    columns = max(line.count("│") for line in lines) + 1
    cells = [[part.strip() for part in line.split("│")] for line in lines if line.count("│") == columns - 1]
    return any(sentence in " ".join(row[i] for row in cells if row[i]) for i in range(columns))


@pytest.mark.parametrize("words", COMMANDS)
def test_a_pipe_gets_plain_text(words: tuple[str, ...]) -> None:
    printed = typed(None, *words)
    assert not re.search("[\x1b│━┃─]", printed)
    assert all(line == line.rstrip() for line in printed.splitlines())


@pytest.mark.parametrize("words", COMMANDS)
def test_a_terminal_that_is_wide_enough_gets_no_line_beyond_it(words: tuple[str, ...]) -> None:
    assert max(map(len, typed("200", *words).splitlines())) <= 200


@pytest.mark.parametrize("words", COMMANDS)
def test_machines_get_all_that_people_get(words: tuple[str, ...]) -> None:
    document = typed(None, *words, "--json")
    texts = list(strings(json.loads(document)))
    for value in (*COMMANDS[words][0], *COMMANDS[words][1]):
        if value not in words:
            assert any(value in text for text in texts), value


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from strings(one)
    else:
        yield str(value)
