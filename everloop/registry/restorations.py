"""Bringing an older version back: which one may be, and what the gate's new verdict on it changes.

The verdict is a new one, on the newest labelled rows beside what serves; the version's own, of its registration, stays
in its record. Where it passes, the version is ``evaluated`` again and comes to serve by the rollout of a new one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from everloop.documents.records import Cause, GateVerdict
from everloop.registry import changes, keys
from everloop.registry.audit import Entry
from everloop.registry.changes import Change, champion_is, holds
from everloop.registry.evidence import Snapshots, record_sha256
from everloop.registry.exceptions import ChampionChangedError, NotRestorableError
from everloop.registry.ledger import Ledger, Plan
from everloop.registry.moves import move
from everloop.registry.records import Champion, Rollout, Version
from everloop.registry.rollouts import Rollouts
from everloop.registry.runs import Runs, fence
from everloop.registry.states import State
from everloop.registry.versions import Versions
from everloop.registry.waivers import Waivers

RESTORE = "restore"
"""The kind of a run that brings an older version back."""

READMITTED, REFUSED = "readmitted", "restore_refused"
JUDGED_AGAIN = frozenset({READMITTED, REFUSED})
"""What the audit chain calls a verdict on a version that was to come back."""

LEFT = frozenset({State.DEPRECATED, State.RETIRED, State.EVALUATED})
"""Where versions are that served to the end, and one whose restoration passed the gate and came no further."""

_NEVER_SERVED = "it has never served to the end of its rollout; train again"

_SERVED = frozenset({"completed", "superseded"})
"""How the rollouts end of versions that came to serve and were not rolled back."""


def served_versions(rollouts: Iterable[Rollout]) -> set[int]:
    """The versions that have come to serve and were not rolled back then."""
    return {r.version for r in rollouts if r.kind == "version" and r.status in _SERVED}


def restorable(versions: Iterable[Version], rollouts: Iterable[Rollout], champion: int | None) -> set[int]:
    """The versions that may come back by themselves: they served, and nothing was held against them since."""
    served = served_versions(rollouts) - {champion}
    return {v.version for v in versions if v.version in served and v.state in LEFT}


def asked_version(trigger: Cause) -> int:
    """The version that a restore is to bring back.

    Raises
    ------
    NotRestorableError
        When its trigger names none.
    """
    if "version" not in trigger:
        raise NotRestorableError("a restore brings back the version that its trigger names, and this one names none")
    return trigger["version"]


class Restorations:
    """Brings older versions of a model back."""

    def __init__(
        self,
        ledger: Ledger,
        versions: Versions,
        runs: Runs,
        rollouts: Rollouts,
        snapshots: Snapshots,
        waivers: Waivers,
    ) -> None:
        self._ledger = ledger
        self._versions = versions
        self._runs = runs
        self._rollouts = rollouts
        self._snapshots = snapshots
        self._waivers = waivers
        self.model = ledger.model

    def check(self, number: int, *, at: datetime | None = None, asked_by: str | None = None) -> Version:
        """The version, which may be brought back: it has served to the end of its rollout, and does not serve now.

        One that was rolled back later may too, where a person asks for it: the gate judges it again. So may one that
        never served, if waivers of others than ``asked_by`` are in force ``at`` for every reason that refused it.

        Raises
        ------
        UnknownVersionError
        NotRestorableError
            Saying what stands against it.
        """
        version, champion = self._versions.get(number), self._versions.champion()
        rollouts = self._rollouts.all()
        why = _against(version, champion, rollouts)
        if why == _NEVER_SERVED and at is not None and asked_by is not None:
            lacking = self._waivers.lacking(version, at, not_by=asked_by)
            why = f"{why}, or have these reasons waived: {', '.join(lacking)}" if lacking else None
        if why is not None:
            raise NotRestorableError(f"model {self.model}: version {number} is not brought back: {why}")
        return version

    def judge(
        self, number: int, *, run_id: str, snapshot_hash: str, gate: GateVerdict, at: datetime, actor: str
    ) -> Version:
        """Record the gate's verdict on a version that run ``run_id`` brings back. Once for each run.

        Passed, it is ``evaluated`` again. Refused, it stays where it is, and the run has the reasons. The audit record
        keeps the hash of the snapshot's record too.

        Raises
        ------
        NotRestorableError
            As :meth:`check`, or when the run was opened for something else.
        ChampionChangedError
            When another version serves than the one it was compared with.
        RunNotActiveError
            When the run is not the active one.
        NotWaivableError
            When a reason passes by a waiver that is not in force.
        """

        def plan() -> Plan:
            run = self._runs.get(run_id)
            self._runs.check_active(run_id)
            asked = run.trigger.get("version")
            if run.kind != RESTORE or asked != number:
                what = f"version {asked}" if run.kind == RESTORE else f"a run of the kind {run.kind}"
                raise NotRestorableError(f"model {self.model}: run {run_id} was opened for {what}, not for {number}")
            version = self.check(number, at=at, asked_by=run.trigger.get("started_by"))
            champion = self._versions.champion()
            self._waivers.check(number, gate, at, not_by=run.trigger.get("started_by"))
            if champion is None or champion.version != run.champion_version:
                raise ChampionChangedError(
                    f"model {self.model}: version {number} was compared with version {run.champion_version}, and"
                    f" {champion.version if champion else 'nothing'} serves by now"
                )
            judged = replace(
                run,
                version=number,
                snapshot_hash=snapshot_hash,
                verdict=gate["verdict"],
                gate_reasons=gate["reasons"],
            )
            snapshot = self._snapshots.find(snapshot_hash)
            details = {
                "gate": gate,
                "compared_with": champion.version,
                "snapshot_hash": snapshot_hash,
                "snapshot_sha256": record_sha256(snapshot) if snapshot else None,
                "manifest_sha256": version.manifest_sha256,
            }
            passed = gate["verdict"] == "pass"
            reason = run.trigger.get("reason") if passed else _failed(gate)
            action = READMITTED if passed else REFUSED
            entries = [Entry(at, action, actor, number, run_id, reason, details)]
            writes: list[Change] = [
                fence(self.model, run_id),
                changes.replace(judged, holds(f"run {run_id} is {run.status}", status=run.status)),
                changes.require((keys.partition(self.model), keys.CHAMPION), champion_is(champion)),
            ]
            if passed:
                again = replace(version, readmitted_by=run_id)
                if version.state is State.EVALUATED:
                    still = holds(f"version {number} is evaluated", state=version.state, version=number)
                    writes.append(changes.replace(again, still))
                else:
                    moved = move(again, State.EVALUATED, at=at, actor=actor, details={"run_id": run_id})
                    writes += moved.changes
                    entries.append(moved.entry)
            return Plan(tuple(writes), tuple(entries))

        self._ledger.commit(f"judge:{run_id}", f"judge version {number} for run {run_id}", plan)
        return self._versions.get(number)


def _against(version: Version, champion: Champion | None, rollouts: Iterable[Rollout]) -> str | None:
    """Why a version may not be brought back; None where it may."""
    number = version.version
    if champion is None:
        return "nothing serves that it could be compared with; train a first champion"
    if champion.version == number:
        return "it serves"
    if number not in served_versions(rollouts):
        return _NEVER_SERVED
    waits = next((r for r in rollouts if r.is_open and r.previous_version == number), None)
    if waits is not None:
        return (
            f"rollout {waits.rollout_id} is {waits.status} and would go back to it; `everloop rollout back"
            f" {version.model} --reason …` does, while nothing else runs"
        )
    if version.state not in LEFT and version.state is not State.EXPERIMENTING:
        return f"it is {version.state}; wait until its run has ended"
    return None


def _failed(gate: GateVerdict) -> str:
    return "; ".join(r["sentence"] for r in gate["reasons"] if not r.get("passed", False)) or "the gate failed"
