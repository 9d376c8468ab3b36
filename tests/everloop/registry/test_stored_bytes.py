"""What stands in the table after known commands is held byte for byte, as is what the function answers.

The chain's hashes cover the text of every instant, and chains are older than the code that verifies them. So an instant
stays as it was written: Step Functions writes ``05:00:00.000Z``, a person's command perhaps ``+00:00``.

To renew the file after a change that is meant: ``python -m tests.everloop.registry.test_stored_bytes``.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from everloop.recalibration.calibration import Calibration, Part
from everloop.registry.locked_audit import LockedAudit
from everloop.registry.records import Snapshot, Window
from everloop.registry.store import RegistryStore
from everloop.registry.trace import verify_audit
from everloop.registry.writer import answer
from tests.fakes.audit_bucket import BUCKET, FakeAuditBucket
from tests.fakes.registry_table import TABLE, dynamodb

STORED = Path(__file__).with_name("stored_bytes.json")
PASSED = {"verdict": "pass", "reasons": [], "report_sha256": "r" * 64}
FAILED = {"verdict": "fail", "reasons": [{"code": "rows", "passed": False, "sentence": "too few rows"}]}
SPENT = {"quota_runs": 9, "quota_days": 7}


def commands() -> list[tuple[str, dict[str, Any]]]:
    """The life of two versions, as it reaches the registry function; the instants are spelled as callers spell them."""
    first, second, person = {"actor": "pipeline a"}, {"actor": "pipeline b"}, {"actor": "a person"}
    trigger = {"kind": "drift", "reason": "it moved", "requested_at": "2013-03-01T04:59:00Z"}
    trigger |= {"window_end": "2013-03-01T00:00:00Z"}
    files = {"model.onnx": {"sha256": "f" * 64, "bytes": 3}}
    made = {"snapshot_hash": "s1", "code_sha256": "c", "files": files, "metrics": {"log_loss": 0.1 + 0.2}}
    rollout = {"fallback_lambda_version": "0", "code_sha256": "fc", "kind": "version"}
    nothing = {"previous_version": None, "previous_lambda_version": None, "previous_code_sha256": None}
    one = {"previous_version": 1, "previous_lambda_version": "1", "previous_code_sha256": "fc"}
    check = {"at": "2013-03-01T06:05:00.000Z", "phase": "canary", "decision": "promote", "reasons": [], "step_index": 0}
    undone = [{"code": "errors", "sentence": "5 of 100 requests failed"}]
    calibration = Calibration("log_odds", (Part(1.0, -0.5, 0.9),), 3.0)
    learned = {"window_end": "2013-03-03T00:00:00Z", "learned_until": "2013-03-01T00:00:00.000Z", "max_shift": 3.0,
               "calibration": calibration.to_text(), "calibration_sha256": calibration.sha256, "days": 3, "rows": 300,
               "loss_raw": 0.5, "loss_recalibrated": 0.4, "lambda_version": "3", "code_sha256": "fc"}  # fmt: skip
    moved = [{"code": "traffic_moved", "sentence": "requests go to 7"}]
    found = {"found": "7", "candidate": None, "percent": 0, "settled": "1"}
    return [
        ("run", {"command": "OpenRun", "run_id": "a", "kind": "train", "trigger": trigger,
                 "at": "2013-03-01T05:00:00.000Z", **SPENT, **first}),
        ("register", {"command": "RegisterVersion", "run_id": "a", **made, "gate": PASSED, "refit": None,
                      "at": "2013-03-01T05:30:00.120Z", **first}),
        ("register", {"command": "MarkEvaluated", "number": 1, "at": "2013-03-01T05:30:01.500Z", **first}),
        ("rollout", {"command": "StartRollout", "rollout_id": "a", "run_id": "a", "version": 1, "lambda_version": "1",
                     **rollout, **nothing, "started_at": "2013-03-01T06:00:00.000Z",
                     "at": "2013-03-01T06:00:00.000Z", **first}),
        ("rollout", {"command": "StepRollout", "rollout_id": "a", "step_index": 0, "percent": 12.5,
                     "at": "2013-03-01T06:00:00.250Z", **first}),
        ("rollout", {"command": "RecordCheck", "rollout_id": "a", "check": check, "at": check["at"], **first}),
        ("rollout", {"command": "Promote", "rollout_id": "a", "at": "2013-03-01T06:05:01.000Z", **first}),
        ("rollout", {"command": "EndRollout", "rollout_id": "a", "status": "completed",
                     "at": "2013-03-01T07:00:00Z", **first}),
        ("run", {"command": "CloseRun", "run_id": "a", "status": "succeeded", "cause": None, "trained": True,
                 "at": "2013-03-01T07:00:00.000Z", **first}),
        ("run", {"command": "OpenRun", "run_id": "b", "kind": "train", "trigger": {"kind": "manual"},
                 "at": "2013-03-02T05:00:00.123456+00:00", **SPENT, **second}),
        ("run", {"command": "OpenRun", "run_id": "c", "kind": "train", "trigger": {"kind": "manual"},
                 "at": "2013-03-02T05:00:01Z", **SPENT, **second}),
        ("register", {"command": "RegisterVersion", "run_id": "b", **made, "gate": PASSED,
                      "refit": {"serves": "refit", "reasons": [], "report_sha256": "x"},
                      "at": "2013-03-02T07:30:00+02:00", **second}),
        ("register", {"command": "MarkEvaluated", "number": 2, "at": "2013-03-02T05:31:00.000Z", **second}),
        ("rollout", {"command": "NoteReconciled", "rollout_run": "b", "version": 1, "details": found,
                     "at": "2013-03-02T05:32:00.000Z", **second}),
        ("rollout", {"command": "NoteDeployment", "reasons": moved, "putting_right": True, "version": 1,
                     "at": "2013-03-02T05:32:00.005Z", "actor": "reconciliation"}),
        ("rollout", {"command": "NoteDeployment", "reasons": [], "putting_right": False, "version": 1,
                     "at": "2013-03-02T05:32:00.005Z", "actor": "reconciliation"}),
        ("rollout", {"command": "Republish", "run_id": "b", "version": 1, "lambda_version": "1", "code_sha256": "fc",
                     "at": "2013-03-02T05:32:00.010Z", **second}),
        ("rollout", {"command": "StartRollout", "rollout_id": "b", "run_id": "b", "version": 2, "lambda_version": "2",
                     **rollout, **one, "started_at": "2013-03-02T06:00:00.000Z",
                     "at": "2013-03-02T06:00:00.000Z", **second}),
        ("rollout", {"command": "Promote", "rollout_id": "b", "at": "2013-03-02T06:05:00.000Z", **second}),
        ("rollout", {"command": "RollBack", "rollout_id": "b", "reasons": undone, "only_canary": False,
                     "at": "2013-03-02T06:06:07.089Z", **person}),
        ("release", {"command": "ReleaseStaleRun", "run_id": "b", "reason": "its execution is dead",
                     "at": "2013-03-02T06:10:00+00:00", **person}),
        ("rollout", {"command": "PublishCalibration", "version": 1, **learned, "at": "2013-03-03T11:00:00.000Z",
                     "actor": "monitor"}),
        ("rollout", {"command": "RevertCalibration", "version": 1, "to": None, "lambda_version": "1",
                     "code_sha256": "fc", "reason": "odd answers", "at": "2013-03-03T12:00:00.000Z", **person}),
        ("rollout", {"command": "ResumeCalibrations", "reason": "understood", "at": "2013-03-03T13:00:00.000Z",
                     **person}),
        ("rollout", {"command": "RevertCalibration", "version": 1, "to": "2013-03-03T00:00:00Z", "lambda_version": "3",
                     "code_sha256": "fc", "reason": "no, it was right", "at": "2013-03-03T14:00:00Z", **person}),
        ("run", {"command": "OpenRun", "run_id": "d", "kind": "smoke", "trigger": {"kind": "manual"},
                 "at": "2013-03-02T05:00:00.000Z", **SPENT, **second}),
        ("run", {"command": "OpenRun", "run_id": "d", "kind": "train", "trigger": {"kind": "manual"},
                 "at": "2013-03-04T05:00:00.000Z", "quota_runs": 1, "quota_days": 4, **second}),
    ]  # fmt: skip


def carried_out(client: Any) -> dict[str, Any]:
    """The table's items, and the answers."""

    def store_for(caller: str) -> RegistryStore:
        return RegistryStore(client, TABLE, "flights", via=caller, pause=lambda _: None)

    store = store_for("run")
    recorded(store)
    locked = LockedAudit(FakeAuditBucket(), BUCKET, "flights")
    answers = [answer(document, caller, store_for, locked) for caller, document in commands()]
    return {"items": client.scan(TableName=TABLE, ConsistentRead=True)["Items"], "answers": answers}


def recorded(store: RegistryStore) -> None:
    """What monitor and snapshot function record beside the commands."""
    store.snapshots.put(Snapshot("flights", "s1", "s3://lake/s1/", datetime(2013, 3, 1, tzinfo=UTC), {"rows": {}}))
    store.windows.put(Window("flights", datetime(2013, 3, 1, tzinfo=UTC), {"rows": 5}))


@pytest.fixture(scope="module")
def held() -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(STORED.read_text(encoding="utf-8"))
    return kept


@pytest.mark.slow
def test_the_same_commands_leave_the_same_bytes(held: dict[str, Any]) -> None:
    with mock_aws():
        done = carried_out(dynamodb())
    assert by_key(done["items"]) == by_key(held["items"])
    assert done["answers"] == held["answers"]


def test_a_chain_that_was_written_before_is_verified(held: dict[str, Any]) -> None:
    with mock_aws():
        client = dynamodb()
        for item in held["items"]:
            client.put_item(TableName=TABLE, Item=item)
        store = RegistryStore(client, TABLE, "flights")
        assert verify_audit(store).problems == []
        assert verify_audit(store).chain.records > 20


def by_key(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Items in an order of their own."""
    return {f"{item['pk']['S']} {item['sk']['S']}": item for item in items}


def in_lines(done: dict[str, Any]) -> str:
    """The file's text: a line for each item and answer."""
    parts = {
        name: ",\n".join(json.dumps(value, sort_keys=True, ensure_ascii=False) for value in values)
        for name, values in done.items()
    }
    return "{" + ",\n".join(f'"{name}": [\n{lines}\n]' for name, lines in parts.items()) + "}\n"


if __name__ == "__main__":
    with mock_aws():
        STORED.write_text(in_lines(carried_out(dynamodb())), encoding="utf-8")
