"""What the registry function can be asked to write: one command for each operation of the store, and who may send it.

A command travels as ``{"command": name, …its fields}``. A caller is the alias of the function it was sent to: each role
may invoke its own alias alone, so that the account's permissions say who sends, and no field of the command does.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from typing import Any

from everloop.documents.deployment import DifferenceDocument
from everloop.documents.records import (
    AliasFound,
    EnvironmentRecord,
    Files,
    GateVerdict,
    GuardrailCheck,
    RefitChoice,
    TrainingSpan,
    TrainingUpdate,
    Trigger,
)
from everloop.reasons import ReasonDocument
from everloop.registry.calibration_records import CalibrationRecord, PublishedFacts
from everloop.registry.command_values import value_problems
from everloop.registry.exceptions import CommandRefusedError
from everloop.registry.items import Record, fields_as_json, json_types, with_instants
from everloop.registry.records import Rollout, RolloutBeginning
from everloop.registry.restorations import RESTORE, asked_version
from everloop.registry.store import RegistryStore

CommandDocument = dict[str, object]
"""A command as it travels: ``command``, its name, and its fields."""


@dataclass(frozen=True)
class Command:
    """One write: its fields are what the store's method of that name takes."""

    def carry_out(self, store: RegistryStore) -> Record | None:
        """Write it, once however often it comes; the record as it stands afterwards."""
        raise NotImplementedError


@dataclass(frozen=True)
class OpenRun(Command):
    """See :meth:`Runs.open`."""

    run_id: str
    kind: str
    trigger: Trigger
    at: datetime
    actor: str
    quota_runs: int
    quota_days: int
    training_span: TrainingSpan | None = None
    update: TrainingUpdate | None = None

    def carry_out(self, store: RegistryStore) -> Record | None:
        # Once it is open the version moves on, and the same command may come again.
        if self.kind == RESTORE and store.runs.find(self.run_id) is None:
            store.restorations.check(asked_version(self.trigger), at=self.at, asked_by=self.trigger.get("started_by"))
        return store.runs.open(**vars(self))


@dataclass(frozen=True)
class CloseRun(Command):
    """See :meth:`Runs.close`."""

    run_id: str
    status: str
    cause: str | None
    at: datetime
    actor: str
    trained: bool

    def carry_out(self, store: RegistryStore) -> Record | None:
        return store.runs.close(**vars(self))


@dataclass(frozen=True)
class ReleaseStaleRun(Command):
    """See :meth:`Runs.release_stale`."""

    run_id: str
    reason: str
    at: datetime
    actor: str

    def carry_out(self, store: RegistryStore) -> Record | None:
        return store.runs.release_stale(**vars(self))


@dataclass(frozen=True)
class KeepRequest(Command):
    """See :meth:`KeptRequests.keep`."""

    request_id: str
    trigger: Trigger
    held_by: str
    at: datetime
    actor: str

    def carry_out(self, store: RegistryStore) -> Record | None:
        return store.kept_requests.keep(**vars(self))


@dataclass(frozen=True)
class KeepRefused(KeepRequest):
    """The same of a run that could not open, which nobody but the pipeline can say."""


@dataclass(frozen=True)
class BeginRemoval(Command):
    """See :meth:`Removals.begin`."""

    stack_id: str
    reason: str
    at: datetime
    actor: str

    def carry_out(self, store: RegistryStore) -> Record | None:
        store.removals.begin(**vars(self))
        return None


@dataclass(frozen=True)
class RecordReproduction(Command):
    """See :meth:`Reproductions.record`."""

    number: int
    identical: bool
    whole: bool
    at: datetime
    actor: str

    def carry_out(self, store: RegistryStore) -> Record | None:
        store.reproductions.record(**vars(self))
        return None


@dataclass(frozen=True)
class Waive(Command):
    """See :meth:`Waivers.grant`."""

    run_id: str
    code: str
    why: str
    until: datetime
    at: datetime
    actor: str

    def carry_out(self, store: RegistryStore) -> Record | None:
        return store.waivers.grant(**vars(self))


@dataclass(frozen=True)
class RevokeWaiver(Command):
    """See :meth:`Waivers.revoke`."""

    number: int
    code: str
    why: str
    at: datetime
    actor: str

    def carry_out(self, store: RegistryStore) -> Record | None:
        return store.waivers.revoke(**vars(self))


@dataclass(frozen=True)
class RegisterVersion(Command):
    """See :meth:`Versions.register`."""

    run_id: str
    snapshot_hash: str
    code_sha256: str
    files: Files
    metrics: dict[str, float]
    gate: GateVerdict
    at: datetime
    actor: str
    refit: RefitChoice | None
    update: TrainingUpdate | None = None
    environment: EnvironmentRecord | None = None
    signer: str | None = None

    def carry_out(self, store: RegistryStore) -> Record | None:
        return store.versions.register(**vars(self))


@dataclass(frozen=True)
class MarkEvaluated(Command):
    """See :meth:`Versions.mark_evaluated`."""

    number: int
    at: datetime
    actor: str

    def carry_out(self, store: RegistryStore) -> Record | None:
        return store.versions.mark_evaluated(**vars(self))


@dataclass(frozen=True)
class JudgeRestoration(Command):
    """See :meth:`Restorations.judge`."""

    number: int
    run_id: str
    snapshot_hash: str
    gate: GateVerdict
    at: datetime
    actor: str

    def carry_out(self, store: RegistryStore) -> Record | None:
        return store.restorations.judge(**vars(self))


@dataclass(frozen=True)
class Retire(Command):
    """See :meth:`Versions.retire`."""

    number: int
    reason: str
    at: datetime
    actor: str

    def carry_out(self, store: RegistryStore) -> Record | None:
        return store.versions.retire(**vars(self))


@dataclass(frozen=True, kw_only=True)
class StartRollout(RolloutBeginning, Command):
    """See :meth:`Rollouts.start`. How far the rollout has come is not for the sender to say."""

    at: datetime
    actor: str

    def carry_out(self, store: RegistryStore) -> Record | None:
        begun = {one.name: getattr(self, one.name) for one in fields(RolloutBeginning)}
        return store.rollouts.start(Rollout(model=store.model, **begun), at=self.at, actor=self.actor)


@dataclass(frozen=True)
class StepRollout(Command):
    """See :meth:`Rollouts.step`."""

    rollout_id: str
    step_index: int
    percent: float | None
    at: datetime
    actor: str

    def carry_out(self, store: RegistryStore) -> Record | None:
        return store.rollouts.step(**vars(self))


@dataclass(frozen=True)
class RecordCheck(Command):
    """See :meth:`Rollouts.record_check`."""

    rollout_id: str
    check: GuardrailCheck
    at: datetime
    actor: str

    def carry_out(self, store: RegistryStore) -> Record | None:
        return store.rollouts.record_check(**vars(self))


@dataclass(frozen=True)
class PauseRollout(Command):
    """See :meth:`Rollouts.pause`."""

    rollout_id: str
    reason: str
    at: datetime
    actor: str

    def carry_out(self, store: RegistryStore) -> Record | None:
        return store.rollouts.pause(**vars(self))


@dataclass(frozen=True)
class ResumeRollout(Command):
    """See :meth:`Rollouts.resume`."""

    rollout_id: str
    lasted_seconds: int
    reason: str
    at: datetime
    actor: str

    def carry_out(self, store: RegistryStore) -> Record | None:
        return store.rollouts.resume(**vars(self))


@dataclass(frozen=True)
class Promote(Command):
    """See :meth:`Rollouts.promote`."""

    rollout_id: str
    at: datetime
    actor: str

    def carry_out(self, store: RegistryStore) -> Record | None:
        return store.rollouts.promote(**vars(self))


@dataclass(frozen=True)
class RollBack(Command):
    """See :meth:`Rollouts.roll_back`."""

    rollout_id: str
    reasons: list[ReasonDocument]
    at: datetime
    actor: str
    only_canary: bool

    def carry_out(self, store: RegistryStore) -> Record | None:
        return store.rollouts.roll_back(**vars(self))


@dataclass(frozen=True)
class EndRollout(Command):
    """See :meth:`Rollouts.end`."""

    rollout_id: str
    status: str
    at: datetime
    actor: str

    def carry_out(self, store: RegistryStore) -> Record | None:
        return store.rollouts.end(**vars(self))


@dataclass(frozen=True)
class NoteReconciled(Command):
    """See :meth:`Rollouts.note_reconciled`."""

    rollout_run: str
    version: int
    details: AliasFound
    at: datetime
    actor: str

    def carry_out(self, store: RegistryStore) -> Record | None:
        store.rollouts.note_reconciled(**vars(self))
        return None


@dataclass(frozen=True)
class NoteDeployment(Command):
    """See :meth:`Reconciliations.note`."""

    reasons: list[DifferenceDocument]
    putting_right: bool
    version: int | None
    at: datetime
    actor: str
    explained: list[DifferenceDocument] | None = None

    def carry_out(self, store: RegistryStore) -> Record | None:
        return store.reconciliations.note(**vars(self))


@dataclass(frozen=True)
class BeginDrill(Command):
    """See :meth:`Drills.begin`."""

    version: int
    previous_version: int
    at: datetime
    actor: str

    def carry_out(self, store: RegistryStore) -> Record | None:
        return store.drills.begin(**vars(self))


@dataclass(frozen=True)
class EndDrill(Command):
    """See :meth:`Drills.end`."""

    begun_at: datetime
    back_seconds: float | None
    forward_seconds: float | None
    reason: str | None
    at: datetime
    actor: str
    gave_way: bool = False

    def carry_out(self, store: RegistryStore) -> Record | None:
        return store.drills.end(**vars(self))


@dataclass(frozen=True)
class Republish(Command):
    """See :meth:`Rollouts.republish`."""

    run_id: str
    version: int
    lambda_version: str
    code_sha256: str
    at: datetime
    actor: str

    def carry_out(self, store: RegistryStore) -> Record | None:
        store.rollouts.republish(**vars(self))
        return None


@dataclass(frozen=True)
class PublishCalibration(PublishedFacts, Command):
    """See :meth:`Calibrations.publish`."""

    def carry_out(self, store: RegistryStore) -> Record | None:
        record = CalibrationRecord(model=store.model, **vars(self))
        return store.calibrations.publish(record, at=self.at, actor=self.actor)


@dataclass(frozen=True)
class RevertCalibration(Command):
    """See :meth:`Calibrations.revert`."""

    version: int
    to: datetime | None
    lambda_version: str
    code_sha256: str
    reason: str
    at: datetime
    actor: str

    def carry_out(self, store: RegistryStore) -> Record | None:
        store.calibrations.revert(**vars(self))
        return None


@dataclass(frozen=True)
class FreezeCalibrations(Command):
    """See :meth:`Calibrations.freeze`."""

    reason: str
    at: datetime
    actor: str

    def carry_out(self, store: RegistryStore) -> Record | None:
        return store.calibrations.freeze(**vars(self))


@dataclass(frozen=True)
class ResumeCalibrations(Command):
    """See :meth:`Calibrations.resume`."""

    reason: str
    at: datetime
    actor: str

    def carry_out(self, store: RegistryStore) -> Record | None:
        store.calibrations.resume(**vars(self))
        return None


MAY_SEND: dict[str, frozenset[type[Command]]] = {
    "run": frozenset({OpenRun, CloseRun, KeepRefused}),
    "register": frozenset({RegisterVersion, MarkEvaluated, JudgeRestoration}),
    "rollout": frozenset(
        {
            StartRollout,
            StepRollout,
            RecordCheck,
            PauseRollout,
            ResumeRollout,
            Promote,
            RollBack,
            EndRollout,
            Retire,
            NoteReconciled,
            NoteDeployment,
            BeginDrill,
            EndDrill,
            Republish,
            PublishCalibration,
            RevertCalibration,
            FreezeCalibrations,
            ResumeCalibrations,
        }
    ),
    "release": frozenset({ReleaseStaleRun, KeepRequest, BeginRemoval, RecordReproduction}),
    "waive": frozenset({Waive, RevokeWaiver}),
}
"""The commands of each caller: functions, ``release``, the person who types `everloop runs release`, `everloop
remove`, `everloop reproduce --record`, or `everloop train` while nothing can start, and ``waive``, the person who types
`everloop waive`."""

COMMANDS = {kind.__name__: kind for kinds in MAY_SEND.values() for kind in kinds}


def encoded(command: Command) -> CommandDocument:
    """The command as it travels."""
    return {"command": type(command).__name__, **fields_as_json(command)}


def decoded(document: Any, caller: str | None) -> Command:
    """Read a command that ``caller`` sent.

    Raises
    ------
    CommandRefusedError
        When nobody may send it, this caller may not, or it is not what its name promises.
    """
    allowed = MAY_SEND.get(caller or "")
    if allowed is None:
        raise CommandRefusedError(
            f"the registry accepts commands at its aliases {', '.join(MAY_SEND)}, but this one came to"
            f" {caller or 'none'}; invoke your own alias"
        )
    name = document.get("command") if isinstance(document, dict) else None
    kind = COMMANDS.get(name) if isinstance(name, str) else None
    if kind not in allowed:
        may = ", ".join(sorted(k.__name__ for k in allowed))
        raise CommandRefusedError(f"the caller {caller} may send {may}; not {name!r}")
    given = {field: value for field, value in document.items() if field != "command"}
    wanted = json_types(kind)  # type: ignore[arg-type]  # mypy takes the class for one of its commands
    # A field with a default is one that earlier releases did not send.
    added = {field.name for field in fields(kind) if field.default is not MISSING}
    wrong = [f"{field} is missing" for field in wanted if field not in given and field not in added]
    wrong += [f"{field} is not known" for field in given if field not in wanted]
    wrong += [
        f"{field} is {type(value).__name__}, not {' or '.join(sorted(t.__name__ for t in wanted[field]))}"
        for field, value in given.items()
        if field in wanted and type(value) not in wanted[field]
    ]
    wrong = wrong or value_problems(given)
    if wrong:
        raise CommandRefusedError(f"the command {name} can't be read: {'; '.join(wrong)}")
    try:
        return kind(**with_instants(kind, given))
    except ValueError as error:
        raise CommandRefusedError(f"the command {name} can't be read: {error}") from error
