"""Rollouts: staging a candidate, promoting it, rolling it back. Whatever moves the champion pointer is here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from everloop.documents.records import AliasFound, GuardrailCheck
from everloop.instants import instant_text
from everloop.reasons import ReasonDocument
from everloop.registry import changes, keys
from everloop.registry.audit import Entry
from everloop.registry.changes import Change, champion_is, holds
from everloop.registry.exceptions import (
    ChampionChangedError,
    RolloutEndedError,
    ServedOtherwiseError,
    UnknownRolloutError,
    UnknownStatusError,
)
from everloop.registry.ledger import Ledger, Plan
from everloop.registry.moves import Move, move
from everloop.registry.records import Champion, Rollout
from everloop.registry.runs import Runs, fence
from everloop.registry.states import CANDIDATE, SERVING, State
from everloop.registry.versions import Versions


class Rollouts:
    """The rollouts of a model: whatever changes which version is the champion."""

    def __init__(self, ledger: Ledger, versions: Versions, runs: Runs) -> None:
        self._ledger = ledger
        self._versions = versions
        self._runs = runs
        self.model = ledger.model

    def get(self, rollout_id: str) -> Rollout:
        """The rollout of that id.

        Raises
        ------
        UnknownRolloutError
        """
        found = self.find(rollout_id)
        if found is None:
            raise UnknownRolloutError(f"model {self.model} has no rollout {rollout_id}")
        return found

    def find(self, rollout_id: str) -> Rollout | None:
        """The rollout of that id; None when there is none."""
        return self._ledger.read(Rollout, keys.rollout(rollout_id))

    def all(self) -> list[Rollout]:
        """All rollouts, newest first."""
        found = self._ledger.all(Rollout, keys.ROLLOUTS)
        return sorted(found, key=lambda r: r.started_at, reverse=True)

    def start(self, rollout: Rollout, *, at: datetime, actor: str) -> Rollout:
        """Record a rollout; a candidate (kind ``version``) goes to ``staging``, or, to begin unseen, to ``shadow``.

        Raises
        ------
        InvalidTransitionError, StateOccupiedError
            When the version can not be staged.
        ChampionChangedError
            When the champion is not ``rollout.previous_version``.
        ServedOtherwiseError
            When another function version serves it than ``rollout.previous_lambda_version``: it was just calibrated.
        RunNotActiveError
            When the rollout's run is not the active one.
        UnknownStatusError
            When it is not at its beginning, or of another kind than ``version`` and ``code``.
        """
        if rollout.kind not in ("version", "code") or (rollout.status, rollout.step_index) != ("canary", -1):
            raise UnknownStatusError(
                f"model {self.model}: a rollout starts as version or code, in canary before its first step, not as"
                f" {rollout.kind}, in {rollout.status} at step {rollout.step_index}"
            )

        def plan() -> Plan:
            self._runs.check_active(rollout.run_id)
            champion = self._expect_champion(rollout.previous_version)
            begun = _against(rollout, champion)
            writes = [
                fence(self.model, rollout.run_id),
                changes.create(begun, f"rollout {rollout.rollout_id} does not exist"),
                _champion_unmoved(self.model, champion),
            ]
            entry = _entry("rollout_started", rollout, at, actor, _served(rollout))
            if rollout.kind == "code":
                self._versions.expect(rollout.version, *SERVING)
                return Plan(tuple(writes), (entry,))
            version = self._versions.expect(rollout.version, State.EVALUATED)
            for place in CANDIDATE:
                self._versions.check_place(place, rollout.version)
            staged = move(version, State.SHADOW if rollout.unseen_first else State.STAGING, at=at, actor=actor)
            return Plan((*writes, *staged.changes), (entry, staged.entry))

        self._ledger.commit(f"rollout:{rollout.rollout_id}", f"start rollout {rollout.rollout_id}", plan)
        return self.get(rollout.rollout_id)

    def step(self, rollout_id: str, *, step_index: int, percent: float | None, at: datetime, actor: str) -> Rollout:
        """Record that step ``step_index`` is in effect since ``at``; with callers, a candidate leaves its shadow.

        Raises
        ------
        RolloutEndedError
            When the rollout is past its canary.
        UnknownStatusError
            When that step does not follow the one in effect, or ``percent`` is none.
        """
        if percent is not None and not 0 <= percent <= 100:
            raise UnknownStatusError(
                f"rollout {rollout_id}: {percent} is not a share of the traffic: give 0 to 100 percent"
            )

        def plan() -> Plan:
            rollout = self._open(rollout_id, "canary")
            if step_index != rollout.step_index + 1:
                raise UnknownStatusError(
                    f"rollout {rollout_id} is in step {rollout.step_index}: step {rollout.step_index + 1} follows, not"
                    f" {step_index}"
                )
            stepped = replace(_begun(rollout, at), step_index=step_index, percent=percent, step_started_at=at)
            details = {"step_index": step_index, "percent": percent}
            entry = _entry("traffic_shifted", rollout, at, actor, details)
            return _plan((_replaced(rollout, stepped),), entry, self._out_of_shadow(stepped, at, actor))

        operation = f"step:{rollout_id}:{step_index}"
        self._ledger.commit(operation, f"rollout {rollout_id}: step {step_index}", plan)
        return self.get(rollout_id)

    def record_check(self, rollout_id: str, check: GuardrailCheck, *, at: datetime, actor: str) -> Rollout:
        """Record a decision of the guardrail: ``{"at", "phase", "decision", "reasons", …}``."""

        def plan() -> Plan:
            rollout = self._open(rollout_id, "canary", "baking")
            entry = _entry("guardrail_decided", rollout, at, actor, check)
            return Plan((_replaced(rollout, replace(rollout, last_check=check)),), (entry,))

        self._ledger.commit(
            f"check:{rollout_id}:{check['phase']}:{instant_text(at)}", f"check rollout {rollout_id}", plan
        )
        return self.get(rollout_id)

    def pause(self, rollout_id: str, *, reason: str, at: datetime, actor: str) -> Rollout:
        """Let the rollout stay where it is.

        Raises
        ------
        RolloutEndedError
            When it has ended.
        UnknownStatusError
            When it is paused already.
        """

        def plan() -> Plan:
            rollout = self._open(rollout_id, "canary", "baking")
            if rollout.paused_at is not None:
                raise UnknownStatusError(
                    f"rollout {rollout_id} is paused since {instant_text(rollout.paused_at)}; resume it first"
                )
            entry = _entry("rollout_paused", rollout, at, actor, {"percent": rollout.percent}, reason=reason)
            return Plan((_replaced(rollout, replace(rollout, paused_at=at)),), (entry,))

        self._ledger.commit(f"pause:{rollout_id}:{instant_text(at)}", f"pause rollout {rollout_id}", plan)
        return self.get(rollout_id)

    def resume(self, rollout_id: str, *, lasted_seconds: int, reason: str, at: datetime, actor: str) -> Rollout:
        """Let a paused rollout go on.

        Parameters
        ----------
        lasted_seconds : int
            For how long it was held up.

        Raises
        ------
        RolloutEndedError
            When it has ended.
        UnknownStatusError
            When it is not paused.
        """

        def plan() -> Plan:
            rollout = self._open(rollout_id, "canary", "baking")
            if rollout.paused_at is None or lasted_seconds < 0:
                raise UnknownStatusError(f"rollout {rollout_id} is not paused, so there is nothing to resume")
            resumed = replace(
                rollout,
                paused_at=None,
                paused_seconds=rollout.paused_seconds + lasted_seconds,
                phase_paused_seconds=rollout.phase_paused_seconds + lasted_seconds,
            )
            details = {"paused_at": instant_text(rollout.paused_at), "lasted_seconds": lasted_seconds}
            entry = _entry("rollout_resumed", rollout, at, actor, details, reason=reason)
            return Plan((_replaced(rollout, resumed),), (entry,))

        self._ledger.commit(f"resume:{rollout_id}:{instant_text(at)}", f"resume rollout {rollout_id}", plan)
        return self.get(rollout_id)

    def promote(self, rollout_id: str, *, at: datetime, actor: str) -> Rollout:
        """Make the rolled out version the champion.

        One transaction: the candidate to ``production``, the old champion to ``deprecated``, the pointer,
        the audit records. Kind ``code`` moves only the pointer's function version.

        Raises
        ------
        ChampionChangedError, InvalidTransitionError, RolloutEndedError, RunNotActiveError
            When the facts have moved since the rollout began.
        """

        def plan() -> Plan:
            rollout = self._open(rollout_id, "canary")
            self._runs.check_active(rollout.run_id)
            old = self._expect_champion(rollout.previous_version)
            kept = old if rollout.kind == "code" else None
            promoted = replace(_begun(rollout, at), status="baking", promoted_at=at, percent=100)
            champion = Champion(
                model=self.model,
                version=rollout.version,
                since=kept.since if kept else at,
                lambda_version=rollout.lambda_version,
                code_sha256=rollout.code_sha256,
                rollout_id=rollout_id,
                calibrated_by=kept.calibrated_by if kept else None,
                calibration_sha256=kept.calibration_sha256 if kept else None,
            )
            action = "code_rolled_out" if rollout.kind == "code" else "promoted"
            entry = _entry(action, rollout, at, actor, _served(rollout))
            moves = self._promotion_moves(rollout, at, actor)
            writes = (
                fence(self.model, rollout.run_id),
                _replaced(rollout, promoted),
                changes.replace(champion, champion_is(old)),
            )
            return _plan(writes, entry, moves)

        self._ledger.commit(f"promote:{rollout_id}", f"promote rollout {rollout_id}", plan)
        return self.get(rollout_id)

    def roll_back(
        self, rollout_id: str, *, reasons: list[ReasonDocument], at: datetime, actor: str, only_canary: bool = False
    ) -> Rollout:
        """Undo a rollout, before or after its promotion.

        The rolled out version returns to ``experimenting`` with the reasons; after a promotion the old
        champion returns to ``production`` and the pointer to it, in the same transaction. Of two requests the
        first counts.

        Raises
        ------
        RolloutEndedError
            When the rollout was completed, or with ``only_canary`` promoted.
        ChampionChangedError
            When another promotion came after this one.
        """
        undone = ("canary",) if only_canary else ("canary", "baking")
        reason = "; ".join(r["sentence"] for r in reasons) or "rolled back"

        def plan() -> Plan:
            rollout = self._open(rollout_id, *undone)
            ended = replace(rollout, status="rolled_back", ended_at=at, percent=0, reasons=reasons)
            entry = _entry("rolled_back", rollout, at, actor, {"reasons": reasons}, reason=reason)
            writes: list[Change] = [_replaced(rollout, ended)]
            moves: list[Move] = []
            if rollout.status == "baking":
                writes.append(self._pointer_back(rollout, at))
            if rollout.kind == "version":
                moves = self._rollback_moves(rollout, reason, at, actor)
            return _plan(tuple(writes), entry, moves)

        self._ledger.commit(f"roll_back:{rollout_id}", f"roll back rollout {rollout_id}", plan)
        return self.get(rollout_id)

    def end(self, rollout_id: str, *, status: str, at: datetime, actor: str) -> Rollout:
        """Close a promoted rollout as ``completed``, or as ``superseded`` when its run ended before its bake.

        Raises
        ------
        UnknownStatusError
            For any other status.
        """
        if status not in ("completed", "superseded"):
            raise UnknownStatusError(f"a promoted rollout must end as completed or superseded, not {status!r}")

        def plan() -> Plan:
            rollout = self._open(rollout_id, "baking")
            ended = replace(rollout, status=status, ended_at=at)
            entry = _entry(f"rollout_{status}", rollout, at, actor, {})
            return Plan((_replaced(rollout, ended),), (entry,))

        self._ledger.commit(f"end:{rollout_id}", f"end rollout {rollout_id}", plan)
        return self.get(rollout_id)

    def republish(
        self, run_id: str, version: int, *, lambda_version: str, code_sha256: str, at: datetime, actor: str
    ) -> None:
        """Name another function version that serves the champion: the one it had went with its stack.

        Raises
        ------
        ChampionChangedError, RunNotActiveError
            When ``version`` is not the champion (any more), or ``run_id`` not the active run.
        """

        def plan() -> Plan:
            self._runs.check_active(run_id)
            old = self._expect_champion(version)
            if old is None:
                raise ChampionChangedError(f"model {self.model} has no champion to publish again; train one")
            served = replace(old, lambda_version=lambda_version, code_sha256=code_sha256)
            details = {"gone": old.lambda_version, "lambda_version": lambda_version, "code_sha256": code_sha256}
            entry = Entry(at, "champion_republished", actor, version, run_id, None, details)
            return Plan((fence(self.model, run_id), changes.replace(served, champion_is(old))), (entry,))

        self._ledger.commit(f"republish:{run_id}:{lambda_version}", f"publish version {version} again", plan)

    def note_reconciled(self, rollout_run: str, version: int, *, details: AliasFound, at: datetime, actor: str) -> None:
        """Note that the alias was found elsewhere, and put back to where the registry says, before a rollout.

        Parameters
        ----------
        rollout_run : str
            The run whose rollout found it.
        version : int
            The champion.
        details : AliasFound
        """
        entry = Entry(at, "alias_reconciled", actor, version, rollout_run, None, details)
        self._ledger.note(entry, operation=f"reconcile:{rollout_run}:{instant_text(at)}")

    def _open(self, rollout_id: str, *statuses: str) -> Rollout:
        rollout = self.get(rollout_id)
        if rollout.status not in statuses:
            raise RolloutEndedError(
                f"model {self.model}: rollout {rollout_id} is {rollout.status}, not {' or '.join(statuses)}"
            )
        return rollout

    def _expect_champion(self, number: int | None) -> Champion | None:
        champion = self._versions.champion()
        actual = champion.version if champion else None
        if actual != number:
            raise ChampionChangedError(
                f"model {self.model}: the champion is version {actual}, not {number}; the decision was based on"
                f" version {number}, so it no longer holds"
            )
        return champion

    def _out_of_shadow(self, rollout: Rollout, at: datetime, actor: str) -> list[Move]:
        if rollout.kind == "code" or not rollout.percent:
            return []
        version = self._versions.expect(rollout.version, *CANDIDATE)
        return [move(version, State.STAGING, at=at, actor=actor)] if version.state is State.SHADOW else []

    def _promotion_moves(self, rollout: Rollout, at: datetime, actor: str) -> list[Move]:
        if rollout.kind == "code":
            self._versions.expect(rollout.version, *SERVING)
            return []
        moves = []
        if rollout.previous_version is not None:
            old = self._versions.expect(rollout.previous_version, *SERVING)
            reason = f"version {rollout.version} took over"
            moves.append(move(old, State.DEPRECATED, at=at, actor=actor, reason=reason))
        candidate = self._versions.expect(rollout.version, *CANDIDATE)
        return [*moves, move(candidate, State.PRODUCTION, at=at, actor=actor)]

    def _rollback_moves(self, rollout: Rollout, reason: str, at: datetime, actor: str) -> list[Move]:
        serving = rollout.status == "baking"
        version = self._versions.expect(rollout.version, *(SERVING if serving else CANDIDATE))
        moves = [move(version, State.EXPERIMENTING, at=at, actor=actor, reason=reason)]
        if serving and rollout.previous_version is not None:
            old = self._versions.expect(rollout.previous_version, State.DEPRECATED)
            back = f"version {rollout.version} was rolled back"
            moves.append(move(old, State.PRODUCTION, at=at, actor=actor, reason=back))
        return moves

    def _pointer_back(self, rollout: Rollout, at: datetime) -> Change:
        current = self._expect_champion(rollout.version)
        unmoved = champion_is(current)
        if rollout.previous_version is None:
            return changes.vacate(_champion_place(self.model), unmoved)
        back = Champion(
            model=self.model,
            version=rollout.previous_version,
            since=at,
            lambda_version=rollout.previous_lambda_version or rollout.fallback_lambda_version,
            code_sha256=rollout.previous_code_sha256 or "",
            rollout_id=rollout.rollout_id,
            calibrated_by=rollout.previous_calibrated_by,
            calibration_sha256=rollout.previous_calibration_sha256,
        )
        return changes.replace(back, unmoved)


def _plan(writes: tuple[Change, ...], entry: Entry, moves: list[Move]) -> Plan:
    return Plan((*writes, *(c for m in moves for c in m.changes)), (entry, *(m.entry for m in moves)))


def _against(rollout: Rollout, champion: Champion | None) -> Rollout:
    """The rollout with what the champion it sets out against is calibrated by."""
    if champion is None:
        return rollout
    if champion.lambda_version != rollout.previous_lambda_version:
        raise ServedOtherwiseError(
            f"model {champion.model}: version {champion.version} was just moved to function version"
            f" {champion.lambda_version}, and is no longer served by {rollout.previous_lambda_version}; start the"
            " rollout again"
        )
    return replace(
        rollout,
        previous_calibrated_by=champion.calibrated_by,
        previous_calibration_sha256=champion.calibration_sha256,
    )


def _replaced(before: Rollout, after: Rollout) -> Change:
    same = holds(
        f"rollout {before.rollout_id} is {before.status} in step {before.step_index}",
        status=before.status,
        step_index=before.step_index,
        paused_at=None if before.paused_at is None else instant_text(before.paused_at),
    )
    return changes.replace(after, same)


def _champion_unmoved(model: str, champion: Champion | None) -> Change:
    return changes.require(_champion_place(model), champion_is(champion))


def _champion_place(model: str) -> changes.Key:
    return keys.partition(model), keys.CHAMPION


def _served(rollout: Rollout) -> Mapping[str, object]:
    return {
        "lambda_version": rollout.lambda_version,
        "code_sha256": rollout.code_sha256,
        "previous_version": rollout.previous_version,
        "previous_lambda_version": rollout.previous_lambda_version,
    }


def _entry(
    action: str, rollout: Rollout, at: datetime, actor: str, details: Mapping[str, object], reason: str | None = None
) -> Entry:
    named = {"rollout_id": rollout.rollout_id, "kind": rollout.kind, **details}
    return Entry(at, action, actor, rollout.version, rollout.run_id, reason, named)


def _begun(rollout: Rollout, at: datetime) -> Rollout:
    """The rollout as its next phase begins; a pause that lasts goes on in it."""
    return replace(rollout, phase_paused_seconds=0, paused_at=rollout.paused_at and at)
