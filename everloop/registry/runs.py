"""Runs: one at a time, within the quota, each opened and closed once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from everloop.documents.records import TrainingSpan, TrainingUpdate, Trigger
from everloop.instants import format_instant, instant_text
from everloop.registry import changes, keys
from everloop.registry.audit import Entry
from everloop.registry.changes import holds
from everloop.registry.evidence import Windows, record_sha256
from everloop.registry.exceptions import (
    QuotaExceededError,
    ReasonMissingError,
    RunAlreadyActiveError,
    RunNotActiveError,
    RunOutOfOrderError,
    TooManyBrokenRunsError,
    UnknownRunError,
    UnknownStatusError,
)
from everloop.registry.ledger import Ledger, Plan
from everloop.registry.moves import Move, move
from everloop.registry.records import ActiveRun, Run
from everloop.registry.states import State
from everloop.registry.versions import Versions

CLOSED = frozenset({"succeeded", "rejected", "failed", "rolled_back", "smoke_passed", "released"})
"""How a run ends."""

BROKEN_RUNS = 10
BROKEN_RUNS_WITHIN = timedelta(hours=24)
"""How many training runs may break in that time before they train, or by no fault of the model's. They cost none of the
quota; but what starts them must not do so for ever."""


class Runs:
    """The runs of a model."""

    def __init__(self, ledger: Ledger, versions: Versions, windows: Windows) -> None:
        self._ledger = ledger
        self._versions = versions
        self._windows = windows
        self.model = ledger.model

    def get(self, run_id: str) -> Run:
        """The run of that id.

        Raises
        ------
        UnknownRunError
        """
        found = self.find(run_id)
        if found is None:
            raise UnknownRunError(
                f"model {self.model} has no run {run_id}; `everloop runs list {self.model}` lists them"
            )
        return found

    def find(self, run_id: str) -> Run | None:
        """The run of that id; None when it was never opened."""
        return self._ledger.read(Run, keys.run(run_id))

    def all(self) -> list[Run]:
        """All runs, newest first."""
        return sorted(self._ledger.all(Run, keys.RUNS), key=lambda r: r.started_at, reverse=True)

    def active(self) -> ActiveRun | None:
        """The open run; None when there is none."""
        return self._ledger.holder(ActiveRun, keys.ACTIVE_RUN)

    def open(
        self,
        run_id: str,
        *,
        kind: str,
        trigger: Trigger,
        at: datetime,
        actor: str,
        quota_runs: int,
        quota_days: int,
        training_span: TrainingSpan | None = None,
        update: TrainingUpdate | None = None,
    ) -> Run:
        """Open a run. A training run puts the champion into ``retraining`` until it is closed.

        The audit record keeps the hash of the window that the trigger names, and ``training_span`` with the hashes of
        the probes by which it was chosen; and ``update``, whether the training is to continue the champion.

        Raises
        ------
        RunAlreadyActiveError
            Naming the run that is open.
        QuotaExceededError
            When ``quota_runs`` training runs started in the ``quota_days`` before ``at``. Runs that broke before they
            trained are not among them.
        RunOutOfOrderError
            When a run was opened later than ``at`` already.
        TooManyBrokenRunsError
            When as many as :data:`BROKEN_RUNS` of those started in the last day.
        """

        def plan() -> Plan:
            active = self.active()
            if active is not None:
                raise RunAlreadyActiveError(self.model, active.run_id, instant_text(active.started_at))
            if kind == "train":
                self._check_quota(at, quota_runs, quota_days)
            self._check_order(at)
            champion = self._versions.champion()
            run = Run(
                model=self.model,
                run_id=run_id,
                kind=kind,
                started_at=at,
                as_of=at,
                trigger={**trigger},
                champion_version=champion.version if champion else None,
                training_span=training_span,
                update=update,
            )
            details: dict[str, object] = {"kind": kind, "trigger": trigger, **self._window_of(trigger)}
            if training_span:
                details["training_span"] = training_span
            if update:
                details["update"] = update
            entry = Entry(at=at, action="run_opened", actor=actor, run_id=run_id, details=details)
            writes = [
                changes.occupy(ActiveRun(self.model, run_id, kind, at), "no other run is active"),
                changes.create(run, f"run {run_id} does not exist"),
            ]
            moves = self._champion_moves(State.PRODUCTION, State.RETRAINING, at, actor) if kind == "train" else []
            return _joined(writes, [entry], moves)

        self._ledger.commit(f"open:{run_id}", f"open run {run_id}", plan)
        return self.get(run_id)

    def close(
        self, run_id: str, *, status: str, cause: str | None, at: datetime, actor: str, trained: bool = True
    ) -> Run:
        """Close a run. A champion that still waits in ``retraining`` returns to ``production``.

        The first closing counts; any later one changes nothing. ``trained`` is false for a run that is none of the
        quota's: one that broke before its training job got an instance, or by no fault of the model's.

        Raises
        ------
        UnknownStatusError
            When ``status`` is no way to end, or a run that a version came of is said not to have trained.
        """
        if status not in CLOSED:
            raise UnknownStatusError(f"a run must end as one of {', '.join(sorted(CLOSED))}, not {status!r}")

        def plan() -> Plan:
            run = self.get(run_id)
            if run.version is not None and not trained:
                raise UnknownStatusError(
                    f"model {self.model}: version {run.version} came from run {run_id}, so the run trained and"
                    " counts towards the quota; close it as trained"
                )
            ended = replace(run, status=status, ended_at=at, cause=cause, trained=trained)
            details = {"kind": run.kind, "status": status} | ({} if trained else {"trained": False})
            entry = Entry(at=at, action="run_closed", actor=actor, run_id=run_id, reason=cause, details=details)
            writes = [
                changes.replace(ended, holds(f"run {run_id} is open", status="open")),
                changes.vacate(_active(self.model), holds(f"run {run_id} is the active one", run_id=run_id)),
            ]
            moves = self._champion_moves(State.RETRAINING, State.PRODUCTION, at, actor)
            return _joined(writes, [entry], moves)

        self._ledger.commit(f"close:{run_id}", f"close run {run_id}", plan)
        return self.get(run_id)

    def release_stale(self, run_id: str, *, reason: str, at: datetime, actor: str) -> Run:
        """Close a run whose execution is dead, so that the next one can open.

        It counts as a training when a version had come of it. Else nobody knows how far it came, and it is counted with
        the runs that broke.

        Should the execution turn out to be alive, it can register a candidate, but no longer change what
        serves. What serves is not changed here either: a canary is rolled back before its run is released.

        Raises
        ------
        RunNotActiveError
            When it is not the active run.
        RegistryError
            When no reason is given.
        """
        if not reason.strip():
            raise ReasonMissingError(f"releasing run {run_id} needs a reason: add --reason")
        active = self.active()
        if active is None or active.run_id != run_id:
            raise RunNotActiveError(
                f"model {self.model}: run {run_id} is not active" + (f", {active.run_id} is" if active else ", none is")
            )
        trained = self.get(run_id).version is not None
        return self.close(run_id, status="released", cause=reason, at=at, actor=actor, trained=trained)

    def check_active(self, run_id: str) -> None:
        """Refuse a run that is not the model's active one.

        Raises
        ------
        RunNotActiveError
        """
        active = self.active()
        if active is None or active.run_id != run_id:
            raise RunNotActiveError(
                f"model {self.model}: run {run_id} is not the active run, so it may not change what serves"
            )

    def _window_of(self, trigger: Trigger) -> dict[str, str]:
        """``{"window_sha256"}`` of the recorded window that ``trigger`` names; empty when it names none."""
        end = trigger.get("window_end")
        window = None if end is None else self._windows.find(end)
        return {"window_sha256": record_sha256(window)} if window else {}

    def _check_order(self, at: datetime) -> None:
        """A run that began in the past would not be seen by whoever counts the runs of the last days."""
        newest = max((run.started_at for run in self._ledger.all(Run, keys.RUNS)), default=None)
        if newest is not None and at < newest:
            raise RunOutOfOrderError(
                f"model {self.model}: a run was already opened at {instant_text(newest)}, so none can be opened at"
                f" {instant_text(at)}; send it with the present time"
            )

    def _check_quota(self, at: datetime, allowed: int, days: int) -> None:
        runs = [run for run in self._ledger.all(Run, keys.RUNS) if run.kind == "train"]
        recent = _started_since(at - timedelta(days=days), (r for r in runs if r.trained))
        if len(recent) >= allowed:
            free_at = recent[-allowed] + timedelta(days=days)
            raise QuotaExceededError(self.model, len(recent), allowed, days, format_instant(free_at))
        broken = _started_since(at - BROKEN_RUNS_WITHIN, (r for r in runs if not r.trained))
        if len(broken) >= BROKEN_RUNS:
            free_at, hours = broken[-BROKEN_RUNS] + BROKEN_RUNS_WITHIN, BROKEN_RUNS_WITHIN / timedelta(hours=1)
            raise TooManyBrokenRunsError(self.model, len(broken), hours, format_instant(free_at))

    def _champion_moves(self, current: State, to: State, at: datetime, actor: str) -> list[Move]:
        champion = self._versions.champion()
        if champion is None:
            return []
        version = self._versions.get(champion.version)
        return [move(version, to, at=at, actor=actor)] if version.state is current else []


def _started_since(begin: datetime, runs: Iterable[Run]) -> list[datetime]:
    """When those runs started that started later than ``begin``, oldest first."""
    return sorted(run.started_at for run in runs if run.started_at > begin)


def _joined(writes: list[changes.Change], entries: list[Entry], moves: list[Move]) -> Plan:
    for m in moves:
        writes += m.changes
        entries.append(m.entry)
    return Plan(tuple(writes), tuple(entries))


def fence(model: str, run_id: str) -> changes.Change:
    """Only while the run is the active one: a run that was released no longer changes what serves."""
    return changes.require(_active(model), holds(f"run {run_id} is the active one", run_id=run_id))


def _active(model: str) -> changes.Key:
    """The one place of a model's active run."""
    return keys.partition(model), keys.ACTIVE_RUN
