"""The registry as everybody but the registry function sees it: reads go to the table, writes to that function."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from typing import Any, TypeVar

from everloop.busy_services import ServiceBusyError
from everloop.documents.deployment import DifferenceDocument
from everloop.documents.records import GuardrailCheck, RefitChoice
from everloop.json_text import canonical_json
from everloop.registry import commands
from everloop.registry.calibration_records import CalibrationFreeze, CalibrationRecord, PublishedFacts
from everloop.registry.calibrations import Calibrations
from everloop.registry.commands import CommandDocument
from everloop.registry.drills import Drill, Drills
from everloop.registry.evidence import Snapshots, Windows
from everloop.registry.exceptions import CommandRefusedError, WriterFailedError
from everloop.registry.items import Record
from everloop.registry.kept_requests import KeptRequest, KeptRequests
from everloop.registry.ledger import Ledger, Plan
from everloop.registry.reconciliations import Reconciliation, Reconciliations, noted
from everloop.registry.records import Rollout, RolloutBeginning, Run, Version
from everloop.registry.refusals import WriterAnswer, refusal_from
from everloop.registry.removals import Removals
from everloop.registry.reproductions import Reproductions
from everloop.registry.restorations import Restorations
from everloop.registry.rollouts import Rollouts
from everloop.registry.runs import Runs
from everloop.registry.store import RegistryStore
from everloop.registry.versions import Versions
from everloop.registry.waivers import Waiver, Waivers
from everloop.typed_json import read_as

R = TypeVar("R", bound=Record)

Send = Callable[[CommandDocument], WriterAnswer]
"""Takes a command as it travels, and gives the registry function's answer."""

_ENDED = frozenset({"Sandbox.Timedout", "Runtime.ExitError", "Lambda.Unknown", "Runtime.Unknown"})
"""A function that was ended, for time or memory, or with its machine: the command may be sent again."""


def invoking(client: Any, function: str) -> Send:
    """Send commands to a Lambda function.

    Parameters
    ----------
    client
        A boto3 ``lambda`` client.
    function : str
        The function's name or ARN, with the caller's alias: ``everloop-flights-registry:run``.

    Raises
    ------
    ServiceBusyError
        (When sending) the function was ended before it answered.
    WriterFailedError
        (When sending) it failed.
    """

    def send(document: CommandDocument) -> WriterAnswer:
        answer = client.invoke(FunctionName=function, Payload=canonical_json(document).encode())
        payload = json.loads(answer["Payload"].read())
        if not answer.get("FunctionError"):
            return read_as(WriterAnswer, payload, f"answer of {function}", "deploy the model's stack again")
        kind, said = payload.get("errorType"), payload.get("errorMessage")
        # Of an older runtime: a time limit has no type, and its sentence says so.
        if kind in _ENDED or (kind is None and "timed out" in str(said)):
            raise ServiceBusyError(f"{function} was stopped before it answered: {kind}: {said}; try again in a minute")
        raise WriterFailedError(f"{function} failed: {kind}: {said}; see its log group, /aws/lambda/…")

    return send


class RemoteRegistry(RegistryStore):
    """Reads the table, and has every change of state written by the registry function.

    The methods do and raise what those of :class:`RegistryStore` do. What that class has besides, such as a transition
    at will or a note of any kind, nobody may have written.

    Parameters
    ----------
    client, table, model
        As of :class:`RegistryStore`; reading is all they are used for, and for snapshots and windows.
    send : callable
        See :func:`invoking`.
    """

    def __init__(self, client: Any, table: str, model: str, *, send: Send) -> None:
        super().__init__(client, table, model)
        writer = _Writer(send)
        self.ledger = _ReadLedger(client, table, model)
        self.versions = RemoteVersions(self.ledger, self.snapshots, writer)
        self.runs = RemoteRuns(self.ledger, self.versions, self.windows, writer)
        self.rollouts = RemoteRollouts(self.ledger, self.versions, self.runs, writer)
        self.waivers = RemoteWaivers(self.ledger, self.versions, self.runs, writer)
        self.reproductions = RemoteReproductions(self.ledger, self.versions, writer)
        self.restorations = RemoteRestorations(
            self.ledger, self.versions, self.runs, self.rollouts, self.snapshots, self.waivers, writer
        )
        self.calibrations = RemoteCalibrations(self.ledger, self.versions, writer)
        self.kept_requests = RemoteKeptRequests(self.ledger, writer)
        self.removals = RemoteRemovals(self.ledger, self.runs, self.rollouts, writer)
        self.reconciliations = RemoteReconciliations(self.ledger, writer)
        self.drills = RemoteDrills(self.ledger, self.versions, self.rollouts, writer)


class RemoteVersions(Versions):
    """The versions of a model, written by the registry function."""

    def __init__(self, ledger: Ledger, snapshots: Snapshots, writer: _Writer) -> None:
        super().__init__(ledger, snapshots)
        self._writer = writer

    def register(self, *, refit: RefitChoice | None = None, **given: Any) -> Version:
        """As :meth:`Versions.register`."""
        return self._writer.ask(Version, commands.RegisterVersion(refit=refit, **given))

    def mark_evaluated(self, number: int, **given: Any) -> Version:
        """As :meth:`Versions.mark_evaluated`."""
        return self._writer.ask(Version, commands.MarkEvaluated(number, **given))

    def retire(self, number: int, **given: Any) -> Version:
        """As :meth:`Versions.retire`."""
        return self._writer.ask(Version, commands.Retire(number, **given))


class RemoteRuns(Runs):
    """The runs of a model, written by the registry function."""

    def __init__(self, ledger: Ledger, versions: Versions, windows: Windows, writer: _Writer) -> None:
        super().__init__(ledger, versions, windows)
        self._writer = writer

    def open(self, run_id: str, **given: Any) -> Run:
        """As :meth:`Runs.open`."""
        return self._writer.ask(Run, commands.OpenRun(run_id, **given))

    def close(self, run_id: str, *, trained: bool = True, **given: Any) -> Run:
        """As :meth:`Runs.close`."""
        return self._writer.ask(Run, commands.CloseRun(run_id, trained=trained, **given))

    def release_stale(self, run_id: str, **given: Any) -> Run:
        """As :meth:`Runs.release_stale`."""
        return self._writer.ask(Run, commands.ReleaseStaleRun(run_id, **given))


class RemoteRollouts(Rollouts):
    """The rollouts of a model, written by the registry function."""

    def __init__(self, ledger: Ledger, versions: Versions, runs: Runs, writer: _Writer) -> None:
        super().__init__(ledger, versions, runs)
        self._writer = writer

    def start(self, rollout: Rollout, **given: Any) -> Rollout:
        """As :meth:`Rollouts.start`; what the store decides of a rollout is not sent."""
        begun = {name: getattr(rollout, name) for name in _BEGUN}
        return self._writer.ask(Rollout, commands.StartRollout(**begun, **given))

    def step(self, rollout_id: str, **given: Any) -> Rollout:
        """As :meth:`Rollouts.step`."""
        return self._writer.ask(Rollout, commands.StepRollout(rollout_id, **given))

    def record_check(self, rollout_id: str, check: GuardrailCheck, **given: Any) -> Rollout:
        """As :meth:`Rollouts.record_check`."""
        return self._writer.ask(Rollout, commands.RecordCheck(rollout_id, check, **given))

    def pause(self, rollout_id: str, **given: Any) -> Rollout:
        """As :meth:`Rollouts.pause`."""
        return self._writer.ask(Rollout, commands.PauseRollout(rollout_id, **given))

    def resume(self, rollout_id: str, **given: Any) -> Rollout:
        """As :meth:`Rollouts.resume`."""
        return self._writer.ask(Rollout, commands.ResumeRollout(rollout_id, **given))

    def promote(self, rollout_id: str, **given: Any) -> Rollout:
        """As :meth:`Rollouts.promote`."""
        return self._writer.ask(Rollout, commands.Promote(rollout_id, **given))

    def roll_back(self, rollout_id: str, *, only_canary: bool = False, **given: Any) -> Rollout:
        """As :meth:`Rollouts.roll_back`."""
        return self._writer.ask(Rollout, commands.RollBack(rollout_id, only_canary=only_canary, **given))

    def end(self, rollout_id: str, **given: Any) -> Rollout:
        """As :meth:`Rollouts.end`."""
        return self._writer.ask(Rollout, commands.EndRollout(rollout_id, **given))

    def note_reconciled(self, rollout_run: str, version: int, **given: Any) -> None:
        """As :meth:`Rollouts.note_reconciled`."""
        self._writer.answered(commands.NoteReconciled(rollout_run, version, **given))

    def republish(self, run_id: str, version: int, **given: Any) -> None:
        """As :meth:`Rollouts.republish`."""
        self._writer.answered(commands.Republish(run_id, version, **given))


class RemoteRestorations(Restorations):
    """The older versions that are brought back, written by the registry function."""

    def __init__(
        self,
        ledger: Ledger,
        versions: Versions,
        runs: Runs,
        rollouts: Rollouts,
        snapshots: Snapshots,
        waivers: Waivers,
        writer: _Writer,
    ) -> None:
        super().__init__(ledger, versions, runs, rollouts, snapshots, waivers)
        self._writer = writer

    def judge(self, number: int, **given: Any) -> Version:
        """As :meth:`Restorations.judge`."""
        return self._writer.ask(Version, commands.JudgeRestoration(number, **given))


class RemoteWaivers(Waivers):
    """The waivers of a model, written by the registry function."""

    def __init__(self, ledger: Ledger, versions: Versions, runs: Runs, writer: _Writer) -> None:
        super().__init__(ledger, versions, runs)
        self._writer = writer

    def grant(self, run_id: str, **given: Any) -> Waiver:
        """As :meth:`Waivers.grant`."""
        return self._writer.ask(Waiver, commands.Waive(run_id, **given))

    def revoke(self, number: int, **given: Any) -> Waiver:
        """As :meth:`Waivers.revoke`."""
        return self._writer.ask(Waiver, commands.RevokeWaiver(number, **given))


class RemoteReproductions(Reproductions):
    """The repeated trainings of a model's versions, recorded by the registry function."""

    def __init__(self, ledger: Ledger, versions: Versions, writer: _Writer) -> None:
        super().__init__(ledger, versions)
        self._writer = writer

    def record(self, number: int, **given: Any) -> None:
        """As :meth:`Reproductions.record`."""
        self._writer.answered(commands.RecordReproduction(number, **given))


class RemoteCalibrations(Calibrations):
    """The calibrations of a model, written by the registry function."""

    def __init__(self, ledger: Ledger, versions: Versions, writer: _Writer) -> None:
        super().__init__(ledger, versions)
        self._writer = writer

    def publish(self, record: CalibrationRecord, **given: Any) -> CalibrationRecord:
        """As :meth:`Calibrations.publish`."""
        told = {name: getattr(record, name) for name in _PUBLISHED}
        return self._writer.ask(CalibrationRecord, commands.PublishCalibration(**told, **given))

    def revert(self, version: int, **given: Any) -> None:
        """As :meth:`Calibrations.revert`."""
        self._writer.answered(commands.RevertCalibration(version, **given))

    def freeze(self, **given: Any) -> CalibrationFreeze:
        """As :meth:`Calibrations.freeze`."""
        return self._writer.ask(CalibrationFreeze, commands.FreezeCalibrations(**given))

    def resume(self, **given: Any) -> None:
        """As :meth:`Calibrations.resume`."""
        self._writer.answered(commands.ResumeCalibrations(**given))


class RemoteReconciliations(Reconciliations):
    """What reconciliations found, written by the registry function."""

    def __init__(self, ledger: Ledger, writer: _Writer) -> None:
        super().__init__(ledger)
        self._writer = writer

    def note(self, reasons: list[DifferenceDocument], **given: Any) -> Reconciliation:
        """As :meth:`Reconciliations.note`; what is on record already is not sent."""
        standing = self.latest() or Reconciliation(self.model, given["at"])
        how = {"putting_right": given["putting_right"], "at": given["at"]}
        if noted(standing, reasons, given.get("explained") or [], **how) is None:
            return standing
        return self._writer.ask(Reconciliation, commands.NoteDeployment(reasons, **given))


class RemoteDrills(Drills):
    """The drills of a model, written by the registry function."""

    def __init__(self, ledger: Ledger, versions: Versions, rollouts: Rollouts, writer: _Writer) -> None:
        super().__init__(ledger, versions, rollouts)
        self._writer = writer

    def begin(self, version: int, previous_version: int, **given: Any) -> Drill:
        """As :meth:`Drills.begin`."""
        return self._writer.ask(Drill, commands.BeginDrill(version, previous_version, **given))

    def end(self, begun_at: datetime, **given: Any) -> Drill:
        """As :meth:`Drills.end`."""
        return self._writer.ask(Drill, commands.EndDrill(begun_at, **given))


class RemoteKeptRequests(KeptRequests):
    """The kept requests of a model, written by the registry function."""

    def __init__(self, ledger: Ledger, writer: _Writer) -> None:
        super().__init__(ledger)
        self._writer = writer

    def keep(self, request_id: str, **given: Any) -> KeptRequest:
        """As :meth:`KeptRequests.keep`."""
        return self._writer.ask(KeptRequest, commands.KeepRequest(request_id, **given))

    def keep_refused(self, request_id: str, **given: Any) -> KeptRequest:
        """As :meth:`KeptRequests.keep_refused`."""
        return self._writer.ask(KeptRequest, commands.KeepRefused(request_id, **given))


class RemoteRemovals(Removals):
    """The removals of a model, written by the registry function."""

    def __init__(self, ledger: Ledger, runs: Runs, rollouts: Rollouts, writer: _Writer) -> None:
        super().__init__(ledger, runs, rollouts)
        self._writer = writer

    def begin(self, stack_id: str, **given: Any) -> None:
        """As :meth:`Removals.begin`."""
        self._writer.answered(commands.BeginRemoval(stack_id, **given))


class _ReadLedger(Ledger):
    """The table as those read it who may not write it."""

    def commit(self, operation: str, purpose: str, plan: Callable[[], Plan]) -> bool:
        raise CommandRefusedError(f"{purpose}: only the registry function may write, and it has no command for this")


class _Writer:
    """The registry function: a command in, its answer out."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def ask(self, kind: type[R], command: commands.Command) -> R:
        """The record as it stands after the command."""
        return kind.from_json(self.answered(command).get("record"))

    def answered(self, command: commands.Command) -> WriterAnswer:
        """The answer.

        Raises
        ------
        RegistryError
            The refusal, as the store itself raises it.
        """
        answer = self._send(commands.encoded(command))
        if "refused" in answer:
            raise refusal_from(answer["refused"])
        return answer


_PUBLISHED = tuple(one.name for one in fields(PublishedFacts) if one.name not in ("at", "actor"))
"""The fields of a calibration's record that its publisher knows."""

_BEGUN = tuple(one.name for one in fields(RolloutBeginning))
"""The fields of a rollout that its beginning fixes."""
