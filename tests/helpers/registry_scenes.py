"""Short ways to bring a registry into the states tests begin with."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from everloop.documents.calibration import GroupsLearned, IntervalLearned
from everloop.documents.records import Files, GateVerdict, RefitChoice, TrainingUpdate, Trigger
from everloop.instants import instant_text
from everloop.manifest import Manifest, file_entries, sha256_hex
from everloop.recalibration.calibration import Calibration, Part
from everloop.registry.calibration_records import CalibrationRecord
from everloop.registry.records import Rollout, Run, Snapshot, Version
from everloop.registry.store import RegistryStore
from tests.fakes.built_once import built_once
from tests.fakes.registry_table import UnreliableClient, table_is_empty

T = TypeVar("T")

BEGIN = datetime(2013, 3, 1, tzinfo=UTC)
TRIGGER: Trigger = {"kind": "manual", "reason": "a person asked", "requested_at": BEGIN, "window_end": None}
PASSED: GateVerdict = {"verdict": "pass", "reasons": []}
FAILED: GateVerdict = {
    "verdict": "fail",
    "reasons": [
        {"code": "rows", "passed": True, "sentence": "there are enough rows"},
        {"code": "not_better", "passed": False, "sentence": "the candidate is not better than the champion"},
    ],
}


REFIT: RefitChoice = {"serves": "refit", "reasons": [], "report_sha256": "checked"}


def at(minutes: float) -> datetime:
    """The instant ``minutes`` after the beginning."""
    return BEGIN + timedelta(minutes=minutes)


def text_at(minutes: float) -> str:
    """That instant in an event, a document or a message."""
    return instant_text(at(minutes))


def open_run(
    store: RegistryStore, run_id: str, *, when: datetime | None = None, kind: str = "train", runs: int = 100
) -> Run:
    """Open a run."""
    return store.runs.open(
        run_id, kind=kind, trigger=TRIGGER, at=when or at(0), actor="test", quota_runs=runs, quota_days=7
    )


def close_run(
    store: RegistryStore, run_id: str, *, when: datetime | None = None, status: str = "succeeded", trained: bool = True
) -> Run:
    """Close a run."""
    return store.runs.close(run_id, status=status, cause=None, at=when or at(50), actor="test", trained=trained)


def register(
    store: RegistryStore,
    run_id: str,
    *,
    gate: GateVerdict | None = None,
    snapshot: str = "s1",
    refit: RefitChoice | None = None,
    contents: dict[str, bytes] | None = None,
    update: TrainingUpdate | None = None,
    when: datetime | None = None,
    signer: str | None = None,
) -> Version:
    """Register what a run produced, and move it to ``evaluated`` when its gate passed."""
    gate = gate or PASSED
    files: Files = {"model.onnx": {"sha256": f"hash-of-{run_id}", "bytes": 3}}
    files |= {name: {"sha256": sha256_hex(data), "bytes": len(data)} for name, data in (contents or {}).items()}
    if refit:
        files["evaluated/model.onnx"] = {"sha256": f"sibling-of-{run_id}", "bytes": 3}
    version = store.versions.register(
        run_id=run_id,
        snapshot_hash=snapshot,
        code_sha256="c0de",
        files=files,
        refit=refit,
        update=update,
        metrics={"log_loss": 0.4},
        gate=gate,
        signer=signer,
        at=when or at(10),
        actor="test",
    )
    if gate["verdict"] != "pass":
        return version
    return store.versions.mark_evaluated(version.version, at=when or at(11), actor="test")


def start_rollout(
    store: RegistryStore,
    run_id: str,
    number: int,
    *,
    kind: str = "version",
    code: str = "fc1",
    lambda_version: str = "",
) -> Rollout:
    """Start a rollout against the present champion."""
    champion = store.versions.champion()
    rollout = Rollout(
        model=store.model,
        rollout_id=run_id,
        run_id=run_id,
        kind=kind,
        version=number,
        lambda_version=lambda_version or (f"{number}0" if kind == "version" else f"{number}1"),
        code_sha256=code,
        fallback_lambda_version=champion.lambda_version if champion else "0",
        started_at=at(20),
        previous_version=champion.version if champion else None,
        previous_lambda_version=champion.lambda_version if champion else None,
        previous_code_sha256=champion.code_sha256 if champion else None,
    )
    return store.rollouts.start(rollout, at=at(20), actor="test")


def calibration_record(
    store: RegistryStore,
    window_end: datetime,
    *,
    version: int = 1,
    level: float = -0.5,
    code: str = "fc1",
    made: Calibration | None = None,
    groups: GroupsLearned | None = None,
    interval: IntervalLearned | None = None,
) -> CalibrationRecord:
    """A calibration of a version, as a publisher knows it, by the window that ended then: ``made``, or of ``level``."""
    calibration = made or Calibration("log_odds", (Part(1.0, level, 0.9),), 3.0)
    return CalibrationRecord(
        model=store.model,
        version=version,
        window_end=window_end,
        learned_until=window_end,
        calibration=calibration.to_text(),
        calibration_sha256=calibration.sha256,
        days=3,
        rows=300,
        loss_raw=0.5,
        loss_recalibrated=0.4,
        max_shift=3.0,
        lambda_version=f"{version}-of-{instant_text(window_end)}",
        code_sha256=code,
        at=window_end,
        actor="test",
        groups=groups,
        interval=interval,
    )


def calibrate(store: RegistryStore, window_end: datetime, **given: Any) -> CalibrationRecord:
    """Publish :func:`calibration_record`."""
    record = calibration_record(store, window_end, **given)
    return store.calibrations.publish(record, at=window_end, actor="test")


def from_nothing(store: RegistryStore, state: Hashable, build: Callable[[], T], *parts: Any) -> T:
    """:func:`built_once` where the table is empty and no call is to fail; elsewhere ``build`` is called.

    A registry in the test's process and one behind its function leave records that tell them apart.
    """
    client = store.ledger.client
    if not table_is_empty() or (isinstance(client, UnreliableClient) and client.is_disturbed):
        return build()
    return built_once((type(store), store.model, state), build, *parts)


def manifest_of(version: Version) -> Manifest:
    """The manifest that the facts of a version make."""
    return Manifest(
        model=version.model,
        version=version.version,
        run_id=version.run_id,
        snapshot_hash=version.snapshot_hash,
        code_sha256=version.code_sha256,
        created_at=version.created_at,
        files=file_entries(version.files),
    )


def crown(
    store: RegistryStore, run_id: str, *, complete: bool = True, contents: dict[str, bytes] | None = None
) -> Version:
    """Train, register, promote; with ``complete`` also end the rollout and the run."""
    state = ("crowned", run_id, complete, tuple((contents or {}).items()))
    return from_nothing(store, state, lambda: _crown(store, run_id, complete, contents))


def _crown(store: RegistryStore, run_id: str, complete: bool, contents: dict[str, bytes] | None) -> Version:
    open_run(store, run_id)
    version = register(store, run_id, contents=contents)
    start_rollout(store, run_id, version.version)
    store.rollouts.promote(run_id, at=at(30), actor="test")
    if complete:
        store.rollouts.end(run_id, status="completed", at=at(40), actor="test")
        close_run(store, run_id)
    return store.versions.get(version.version)


def champion_and_rejected(store: RegistryStore) -> RegistryStore:
    """Version 1 serves; version 2 failed its gate; both were trained on the snapshot s1."""
    from_nothing(store, "champion and rejected", lambda: _champion_and_rejected(store))
    return store


def _champion_and_rejected(store: RegistryStore) -> None:
    store.snapshots.put(Snapshot(store.model, "s1", "s3://lake/s1/", at(0), {"rows": {"train": 5}}))
    crown(store, "train-1")
    open_run(store, "train-2", when=at(60))
    register(store, "train-2", gate=FAILED)
    close_run(store, "train-2", status="rejected")
