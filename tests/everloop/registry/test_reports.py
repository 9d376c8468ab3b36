"""A verdict rests on the report beside the version, or that is said."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from everloop.documents.money import MoneyDocument
from everloop.documents.records import FileFacts
from everloop.evaluation.money_gate import money_document
from everloop.registry.records import AuditRecord, Version
from everloop.registry.reports import report_problems, restored_report_problems
from everloop.registry.restorations import READMITTED
from everloop.registry.states import State
from tests.everloop.evaluation.builders import labels_and_truth, report_of
from tests.helpers.registry_scenes import BEGIN

REPORT = report_of(*labels_and_truth(1), None)
CONTENT = REPORT.to_json().encode()
VERSION = Version(
    model="delay",
    version=3,
    state=State.PRODUCTION,
    run_id="train-0123",
    snapshot_hash="abc",
    artifact_prefix="artifacts/delay/3/",
    manifest_sha256="m",
    code_sha256="c0de",
    created_at=BEGIN,
    state_since=BEGIN,
    files={"report.json": {"sha256": hashlib.sha256(CONTENT).hexdigest(), "bytes": len(CONTENT)}},
    metrics={name: found.value for name, found in REPORT.candidate.items() if found.value is not None},
    gate={
        "verdict": "pass",
        "reasons": [],
        "money": money_document(REPORT, "raw"),
        "report_sha256": hashlib.sha256(CONTENT).hexdigest(),
    },
)


def problems(version: Version = VERSION, content: bytes | None = CONTENT) -> list[str]:
    return report_problems([version], {"artifacts/delay/3/report.json": content}.get)


def test_a_version_and_its_report_agree() -> None:
    assert problems() == []


def test_another_report_is_told_with_both_hashes() -> None:
    (problem,) = problems(content=CONTENT + b" ")
    assert problem.startswith("version 3: artifacts/delay/3/report.json has sha256 ")
    assert problem.endswith(f"and one with {VERSION.files['report.json']['sha256']} was registered")


def test_another_report_than_the_gate_judged_is_told() -> None:
    (problem,) = problems(replace(VERSION, gate={**VERSION.gate, "report_sha256": "a1"}))
    assert problem.endswith("and one with a1 was judged by the gate")


@pytest.mark.parametrize(
    ("lie", "told"),
    [
        ({"metrics": {"log_loss": 0.001}}, "the record has 0.001"),
        ({"metrics": {"mae": 1.0}}, "its report has the mae None"),
        ({"run_id": "train-9"}, "its report has the run train-0123, but the record has train-9"),
        ({"snapshot_hash": "x"}, "has the data snapshot abc"),
        ({"code_sha256": "x"}, "has the training code c0de"),
    ],
)
def test_what_the_register_function_said_otherwise_is_told(lie: dict[str, Any], told: str) -> None:
    (problem,) = problems(replace(VERSION, **lie))
    assert told in problem


def test_money_that_the_report_does_not_say_is_told() -> None:
    money = money_document(REPORT, "raw")
    assert money is not None
    lie: MoneyDocument = {**money, "candidate": {**money["candidate"], "value": -1000.0}}
    (problem,) = problems(replace(VERSION, gate={**VERSION.gate, "money": lie}))
    assert problem == "version 3: its report says that decisions cost something else than the record says"
    # An older record says nothing of money.
    assert problems(replace(VERSION, gate={**VERSION.gate, "money": None})) == []


def test_a_report_that_is_gone_is_told_once_the_version_was_evaluated() -> None:
    assert problems(content=None) == ["version 3: artifacts/delay/3/report.json is missing"]
    assert problems(replace(VERSION, state=State.EXPERIMENTING), None) == []


def test_a_version_without_a_report_has_nothing_to_say() -> None:
    assert problems(replace(VERSION, files={})) == []


def test_a_report_that_is_none_is_told() -> None:
    content = b"[" * 100_000
    known: FileFacts = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    version = replace(VERSION, files={"report.json": known}, gate={"verdict": "pass", "reasons": []})
    (problem,) = problems(version, content)
    assert "the report is not JSON" in problem


@pytest.mark.parametrize(("kept", "told"), [(b"judged", []), (b"other", ["was judged"]), (None, ["is gone"])])
def test_the_report_of_a_restoration_is_the_one_that_was_judged(kept: bytes | None, told: list[str]) -> None:
    gate = {"verdict": "pass", "reasons": [], "report_sha256": hashlib.sha256(b"judged").hexdigest()}
    judged = AuditRecord("delay", 9, BEGIN, READMITTED, "test", "judge:r", "0", "1", 3, "r", None, {"gate": gate})
    read = {"artifacts/delay/3/restored/r/report.json": kept}.get
    found = restored_report_problems([judged], [VERSION], read)
    assert len(found) == len(told)
    assert all(words in problem for words, problem in zip(told, found, strict=True))
