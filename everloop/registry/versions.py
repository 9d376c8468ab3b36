"""Versions: registering them, moving them between states, retiring them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from everloop.documents.records import EnvironmentRecord, Files, GateVerdict, RefitChoice, TrainingUpdate
from everloop.manifest import ESTIMATOR, Manifest, artifact_prefix, file_entries
from everloop.names import BY_SNAPSHOT
from everloop.registry import changes, keys
from everloop.registry.audit import Entry
from everloop.registry.changes import Change, holds
from everloop.registry.evidence import Snapshots, record_sha256
from everloop.registry.exceptions import (
    InvalidTransitionError,
    ParentRefusedError,
    StateOccupiedError,
    UnknownRunError,
    UnknownVersionError,
)
from everloop.registry.items import attribute, plain
from everloop.registry.ledger import Ledger, Plan
from everloop.registry.moves import move
from everloop.registry.records import Champion, Place, Rollout, Run, Version
from everloop.registry.states import SERVING, SINGLE_PLACE, State
from everloop.typed_json import JsonObject


class Versions:
    """The versions of a model, and the pointer to the one that serves."""

    def __init__(self, ledger: Ledger, snapshots: Snapshots) -> None:
        self._ledger = ledger
        self._snapshots = snapshots
        self.model = ledger.model

    def get(self, number: int) -> Version:
        """The version of that number.

        Raises
        ------
        UnknownVersionError
        """
        found = self._ledger.read(Version, keys.version(number))
        if found is None:
            raise UnknownVersionError(f"model {self.model} has no version {number}; `everloop status` lists them")
        return found

    def all(self) -> Iterator[Version]:
        """All versions, oldest first."""
        return self._ledger.all(Version, keys.VERSIONS)

    def champion(self) -> Champion | None:
        """The pointer to the version that serves; None before the first promotion."""
        return self._ledger.holder(Champion, keys.CHAMPION)

    def place(self, state: State) -> int | None:
        """The number of the one version in ``staging`` or ``shadow``; None when there is none."""
        place = self._ledger.holder(Place, keys.place(state))
        return place.version if place else None

    def of_snapshot(self, snapshot_hash: str) -> Iterator[tuple[str, int]]:
        """Model and number of every version, of any model, that was trained on a snapshot."""
        arguments: JsonObject = {
            "TableName": self._ledger.table,
            "IndexName": BY_SNAPSHOT,
            "KeyConditionExpression": "snapshot_pk = :snapshot",
            "ExpressionAttributeValues": {":snapshot": attribute(keys.snapshot_partition(snapshot_hash))},
        }
        while True:
            page = self._ledger.client.query(**arguments)
            for item in page["Items"]:
                version = Version.from_item(item)
                yield version.model, version.version
            if "LastEvaluatedKey" not in page:
                return
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def register(
        self,
        *,
        run_id: str,
        snapshot_hash: str,
        code_sha256: str,
        files: Files,
        metrics: dict[str, float],
        gate: GateVerdict,
        at: datetime,
        actor: str,
        refit: RefitChoice | None = None,
        update: TrainingUpdate | None = None,
        environment: EnvironmentRecord | None = None,
        signer: str | None = None,
    ) -> Version:
        """Register what a run produced, as ``experimenting``, under the next number. Once per run.

        The manifest's hash follows from these facts, number and instant included. The audit record also keeps the hash
        of the snapshot's record.

        Parameters
        ----------
        files : dict
            File name to ``{"sha256", "bytes"}``.
        gate : dict
            ``{"verdict": "pass" | "fail", "reasons": [...]}``.
        refit : dict
            Which model serves, and why: ``{"serves", "reasons", "report_sha256"}``; empty without a refit.
        update : TrainingUpdate, optional
            Of a training that was asked to continue the champion: what it did.
        environment : EnvironmentRecord, optional
            Where it was evaluated, and how that differed from where it was trained.
        signer : str, optional
            The fingerprint of the key that signs the manifest.

        Raises
        ------
        ParentRefusedError
            When it continues another version than its run was to, or another estimator than that version's.
        """

        def plan() -> Plan:
            run = self._ledger.read(Run, keys.run(run_id))
            if run is None:
                raise UnknownRunError(f"model {self.model}: run {run_id} was never opened")
            parent = self._continued(run, update or {})
            number, counted = self._next_number()
            snapshot = self._snapshots.find(snapshot_hash)
            prefix = artifact_prefix(self.model, number)
            manifest = Manifest(
                model=self.model,
                version=number,
                run_id=run_id,
                snapshot_hash=snapshot_hash,
                code_sha256=code_sha256,
                created_at=at,
                files=file_entries(files),
                training_days=run.training_days,
                parent_version=parent,
            )
            version = Version(
                model=self.model,
                version=number,
                state=State.EXPERIMENTING,
                run_id=run_id,
                snapshot_hash=snapshot_hash,
                artifact_prefix=prefix,
                manifest_sha256=manifest.sha256,
                code_sha256=code_sha256,
                created_at=at,
                state_since=at,
                files=files,
                metrics=metrics,
                gate=gate,
                refit=refit or {},
                reason=_gate_reason(gate),
                parent_version=parent,
                environment=environment,
                signer=signer,
            )
            finished = replace(
                run,
                version=number,
                snapshot_hash=snapshot_hash,
                verdict=gate["verdict"],
                gate_reasons=gate["reasons"],
                refit=refit or {},
                update=update or run.update,
            )
            entry = Entry(
                at=at,
                action="registered",
                actor=actor,
                version=number,
                run_id=run_id,
                reason=version.reason,
                details={
                    "to": str(State.EXPERIMENTING),
                    "snapshot_hash": snapshot_hash,
                    "snapshot_sha256": record_sha256(snapshot) if snapshot else None,
                    "artifact_prefix": prefix,
                    "manifest_sha256": manifest.sha256,
                    "code_sha256": code_sha256,
                    "files": files,
                    "metrics": metrics,
                    "gate": gate,
                    "refit": refit or {},
                    **({"update": update} if update else {}),
                    **({"environment": environment} if environment else {}),
                    **({"signer": signer} if signer else {}),
                },
            )
            same_run = holds(f"run {run_id} is {run.status}", status=run.status)
            written = (
                counted,
                changes.create(version, f"version {number} does not exist"),
                changes.replace(finished, same_run),
            )
            return Plan(written, (entry,))

        self._ledger.commit(f"register:{run_id}", f"register the candidate of run {run_id}", plan)
        run = self._ledger.read(Run, keys.run(run_id))
        if run is None or run.version is None:
            raise UnknownRunError(f"model {self.model}: run {run_id} is marked as registered, but has no version")
        return self.get(run.version)

    def _continued(self, run: Run, update: TrainingUpdate) -> int | None:
        """The version that a candidate continues, which has to be the one that its run was opened to continue."""
        if update.get("kind") != "warm":
            return None
        parent, opened = update.get("parent"), run.update or {}
        asked = opened.get("parent") if opened.get("kind") == "warm" else None
        if parent is None or parent != asked:
            raise ParentRefusedError(
                f"model {self.model}: the candidate of run {run.run_id} continues version {parent}, and the run was"
                f" opened to {f'continue version {asked}' if asked else 'train in full'}; start a new run"
            )
        kept, found = self.get(parent).files.get(ESTIMATOR), update.get("estimator_sha256")
        if kept is None or kept["sha256"] != found:
            raise ParentRefusedError(
                f"model {self.model}: the candidate of run {run.run_id} continues an estimator with sha256 {found}, and"
                f" version {parent} keeps {'none' if kept is None else kept['sha256']}; start a new run"
            )
        return parent

    def mark_evaluated(self, number: int, *, at: datetime, actor: str) -> Version:
        """Move a version whose gate passed to ``evaluated``. Once for the run that registered it.

        Raises
        ------
        InvalidTransitionError
            When its gate failed.
        """
        version = self.get(number)
        if version.gate.get("verdict") != "pass":
            raise InvalidTransitionError(
                f"model {self.model}: the gate of version {number} said {version.gate.get('verdict')!r}, not 'pass'"
            )
        return self.transition(
            number,
            State.EVALUATED,
            expected=State.EXPERIMENTING,
            operation=f"evaluated:{version.run_id}",
            at=at,
            actor=actor,
            details={"gate": "pass"},
        )

    def retire(self, number: int, *, reason: str, at: datetime, actor: str) -> Version:
        """Retire a deprecated version, once.

        Raises
        ------
        InvalidTransitionError
            When a rollout that is open would go back to it.
        """
        for rollout in self._ledger.all(Rollout, keys.ROLLOUTS):
            if rollout.is_open and rollout.previous_version == number:
                raise InvalidTransitionError(
                    f"model {self.model}: rollout {rollout.rollout_id} could go back to version {number}, so it"
                    " can't be retired before that rollout has ended"
                )
        again = self.get(number).readmitted_by
        return self.transition(
            number,
            State.RETIRED,
            expected=State.DEPRECATED,
            # Once in each of its lives: it may have been brought back, and replaced again.
            operation=f"retire:{number}" + (f":{again}" if again else ""),
            at=at,
            actor=actor,
            reason=reason,
        )

    def transition(
        self,
        number: int,
        to: State,
        *,
        expected: State,
        operation: str,
        at: datetime,
        actor: str,
        reason: str | None = None,
        details: Mapping[str, object] | None = None,
    ) -> Version:
        """Move a version to another state, together with its audit record.

        Moves into or out of the serving states belong to promotion, rollback and runs, which move the
        champion pointer along.

        Raises
        ------
        InvalidTransitionError
            When the version is not in ``expected``, or the move is not declared.
        StateOccupiedError
            When another version is in ``staging`` or ``shadow`` already.
        """

        def plan() -> Plan:
            version = self.expect(number, expected)
            if expected in SERVING or to in SERVING:
                raise InvalidTransitionError(
                    f"version {number}: {expected} → {to} would move the champion; promote or roll back instead"
                )
            self.check_place(to, number)
            moved = move(version, to, at=at, actor=actor, reason=reason, details=details)
            return Plan(moved.changes, (moved.entry,))

        self._ledger.commit(operation, f"version {number}: {expected} → {to}", plan)
        return self.get(number)

    def expect(self, number: int, *states: State) -> Version:
        """The version of that number, which is in one of ``states``.

        Raises
        ------
        InvalidTransitionError
            When it is in another.
        """
        version = self.get(number)
        if version.state not in states:
            raise InvalidTransitionError(
                f"model {self.model}: version {number} is {version.state}, not {' or '.join(states)}"
            )
        return version

    def check_place(self, to: State, number: int) -> None:
        """Refuse to put a version where there is room for one, and another is.

        Raises
        ------
        StateOccupiedError
        """
        holder = self.place(to) if to in SINGLE_PLACE else None
        if holder is not None and holder != number:
            raise StateOccupiedError(
                f"model {self.model}: version {holder} is in {to}, so version {number} can't be; end that rollout first"
            )

    def _next_number(self) -> tuple[int, Change]:
        item = self._ledger.item(keys.COUNTER)
        key = {"pk": attribute(keys.partition(self.model)), "sk": attribute(keys.COUNTER)}
        last = int(plain(item["last"])) if item else 0
        unmoved = holds(f"the last version is {last}", last=last) if item else changes.absent("no version exists")
        return last + 1, Change("Put", key | {"last": attribute(last + 1)}, unmoved)


def _gate_reason(gate: GateVerdict) -> str | None:
    """Why the gate failed, in one sentence; None when it passed."""
    if gate["verdict"] == "pass":
        return None
    failed = [r["sentence"] for r in gate["reasons"] if not r.get("passed", False)]
    return "; ".join(failed) or "the gate failed"
