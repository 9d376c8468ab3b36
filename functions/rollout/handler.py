"""Rolls a version out: start, shift, check, promote, roll back, retire; calibrates, reconciles, drills what serves."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NotRequired, TypedDict, TypeVar

import boto3
from aws_lambda_powertools import Logger

from everloop.busy_services import busy_services_named
from everloop.dataset.athena import AthenaQueries
from everloop.documents.calibration import CalibrationAnswer, LearnedCalibration
from everloop.documents.pipeline import CheckState, NothingRolledBack, RolloutState
from everloop.documents.records import Phase
from everloop.emf import MetricValue, emf_line
from everloop.environment import Settings
from everloop.instants import to_epoch_ms
from everloop.model_file.schema import ModelDeclaration
from everloop.names import ATHENA_RESULTS_PREFIX, CALIBRATION_LEARNED, FAULTS, SERVING_CHANGES
from everloop.reasons import ReasonDocument
from everloop.registry.locked_audit import LockedAudit
from everloop.registry.remote import RemoteRegistry, invoking
from everloop.registry.signing import SigningKey
from everloop.rollout.admission import Admission, AdmittingTarget
from everloop.rollout.announcements import Announcer
from everloop.rollout.answered import Answering
from everloop.rollout.calibrator import Calibrator
from everloop.rollout.call_history import CallHistory
from everloop.rollout.conductor import Conductor
from everloop.rollout.declared_place import declared_place
from everloop.rollout.drill import ACTOR as DRILL_ACTOR
from everloop.rollout.drill import Drilled, Driller
from everloop.rollout.elsewhere import Elsewhere
from everloop.rollout.exceptions import EndpointNotReadyError
from everloop.rollout.manifest_archive import ManifestArchive
from everloop.rollout.metrics import CloudWatchMetrics
from everloop.rollout.observed import Observer
from everloop.rollout.reconciler import ACTOR, Reconciled, Reconciler
from everloop.rollout.shadowing import Shadowing
from everloop.rollout.targets import TARGETS
from everloop.typed_json import PIPELINE_SENDS, Event, read_as

logger = Logger(service="rollout")

QUERY_SECONDS = 60
"""How long a query for captured rows may take: as long again is for asking, within the function's own limit."""

PATIENT_TRIES = 40
"""How often a calibration is tried while its variant comes up: each try looks for 20 s, as no pipeline does for it."""


@dataclass(frozen=True)
class Environment(Settings):
    """What the stack sets; where the lake is, only for a model with a shadow, or whose answers are judged."""

    table: str
    registry_writer: str
    artifact_bucket: str
    event_bus: str
    signing_key: str
    audit_bucket: str
    endpoint_role_arn: str = ""
    lake_bucket: str = ""
    athena_workgroup: str = ""
    glue_database: str = ""


@cache
def _environment() -> Environment:
    return Environment.read(os.environ)


@cache
def _document() -> bytes:
    return (Path(__file__).parent / "declaration.json").read_bytes()


@cache
def archive() -> ManifestArchive:
    """Where serving manifests are kept; made when it is first asked for."""
    environment = _environment()
    return ManifestArchive(boto3.client("s3"), environment.artifact_bucket, environment.model)


@cache
def observer() -> Observer:
    """What looks at what is deployed; made when it is first asked for."""
    environment = _environment()
    return Observer(cache(boto3.client), environment.model, environment.artifact_bucket)


@cache
def history() -> CallHistory:
    """What asks who changed something; made when it is first asked for."""
    return CallHistory(cache(boto3.client))


@cache
def elsewhere() -> Elsewhere:
    """What looks for servers of the model's files under other names; made when it is first asked for."""
    environment = _environment()
    return Elsewhere(cache(boto3.client), environment.model, environment.artifact_bucket)


@cache
def conductor() -> Conductor:
    """The conductor of this process, from its environment; made at the first invocation."""
    environment, model = _environment(), ModelDeclaration.model_validate_json(_document())
    send = invoking(boto3.client("lambda"), environment.registry_writer)
    declared = model.rollout
    place = declared_place(model, role_arn=environment.endpoint_role_arn, artifact_bucket=environment.artifact_bucket)
    store = RemoteRegistry(boto3.client("dynamodb"), environment.table, environment.model, send=send)
    admission = Admission(
        environment.model,
        SigningKey(boto3.client("kms"), environment.signing_key),
        store.ledger,
        LockedAudit(boto3.client("s3"), environment.audit_bucket, environment.model),
        observer().content,
    )
    return Conductor(
        store=store,
        target=AdmittingTarget(TARGETS.load(declared.target).open(boto3.client, place), admission),
        metrics=CloudWatchMetrics(
            boto3.client("cloudwatch"),
            function=place.function,
            alias=place.alias,
            model=environment.model,
            slow_ms=declared.guardrail.max_p99_latency_ms,
            slow_cold_ms=declared.guardrail.max_cold_start_ms,
            endpoint=place.endpoint.name if place.endpoint else "",
        ),
        announcer=Announcer(boto3.client("events"), environment.event_bus),
        declared=declared,
        artifact_bucket=environment.artifact_bucket,
        declaration_sha256=hashlib.sha256(_document()).hexdigest(),
        shadowing=None if declared.shadow is None else Shadowing(model, _lake(environment).rows),
        answering=_answering(model, environment) if declared.guardrail.judges_answers else None,
        stands_by=model.serving.stands_by,
    )


def _answering(model: ModelDeclaration, environment: Environment) -> Answering:
    return Answering(model, _lake(environment).rows, labelled=model.rollout.guardrail.judges_labels)


def _lake(environment: Environment) -> AthenaQueries:
    return AthenaQueries(
        client=boto3.client("athena"),
        sleep=time.sleep,
        database=environment.glue_database,
        workgroup=environment.athena_workgroup,
        output_location=f"s3://{environment.lake_bucket}/{ATHENA_RESULTS_PREFIX}",
        give_up_seconds=QUERY_SECONDS,
    )


class RolloutRun(TypedDict):
    """What is read of the run that rolls out."""

    run_id: str
    kind: str


class RolloutName(TypedDict):
    """What is read of a rollout that is under way."""

    rollout_id: str


class RolloutStep(RolloutName):
    """And the step that is in effect, -1 before the first."""

    step_index: int


class RunName(TypedDict):
    """What names a rollout that the pipeline does not know yet: its run."""

    run_id: str


class StartEvent(TypedDict):
    """The action ``start``; new code may leave the version out."""

    run: RolloutRun
    version: NotRequired[int | None]
    at: datetime


class ShiftEvent(TypedDict):
    """The action ``shift``."""

    rollout: RolloutStep
    at: datetime


class CheckEvent(TypedDict):
    """The action ``check``."""

    rollout: RolloutName
    phase: Phase
    at: datetime


class RolloutEvent(TypedDict):
    """The actions ``promote`` and ``retire``."""

    rollout: RolloutName
    at: datetime


class RollbackEvent(TypedDict):
    """The action ``rollback``, from the pipeline, which knows the rollout or its run, or from a person, the actor."""

    rollout: NotRequired[RolloutName | None]
    run: NotRequired[RunName]
    reasons: NotRequired[list[ReasonDocument] | None]
    actor: NotRequired[str | None]
    only_canary: NotRequired[bool]
    at: datetime


class PauseEvent(TypedDict):
    """The actions ``pause`` and ``resume``, from a person."""

    rollout: RolloutName
    reason: str
    actor: str
    at: datetime


class LearnedEvent(TypedDict):
    """What the monitor puts on the bus; its detail is the calibration, its time that of the window's run."""

    detail: LearnedCalibration
    time: datetime


class RevertEvent(TypedDict):
    """The action ``revert_calibration``, from a person: to the end of the window that published it, or to none."""

    to: datetime | None
    reason: str
    actor: str
    at: datetime


class ReconcileEvent(TypedDict):
    """The action ``reconcile``, from the schedule, or from a person, the actor."""

    at: datetime
    actor: NotRequired[str | None]


class DrillEvent(TypedDict):
    """The action ``drill``, from the schedule, or from a person, the actor."""

    at: datetime
    actor: NotRequired[str | None]


class ServingChange(TypedDict):
    """What is read of the detail of an event that carries a serving manifest; all of it is kept."""

    model: str
    version: int


ServingEvent = TypedDict("ServingEvent", {"detail-type": str, "detail": ServingChange, "time": datetime})
"""An event of the registry's that says what serves from now on."""


class Archived(TypedDict):
    """Where a serving manifest was kept."""

    archived: str


class HoldEvent(TypedDict):
    """The actions ``freeze_calibrations`` and ``resume_calibrations``, from a person."""

    reason: str
    actor: str
    at: datetime


Answer = RolloutState | CheckState | NothingRolledBack | CalibrationAnswer | Reconciled | Drilled | Archived

T = TypeVar("T")


@logger.inject_lambda_context
def handle(event: Event, context: Any) -> Answer:
    """Carry out the action the pipeline or a person asks for, or publish what the monitor learned.

    Errors are the pipeline's to catch, by class name.
    """
    answer = act(event, conductor())
    logger.info("rollout", action=_action(event), answer=answer)
    return answer


@busy_services_named()
def act(event: Event, using: Conductor) -> Answer:
    """Carry out ``event["action"]``.

    Raises
    ------
    ValueError
        When it is none of the known actions, or the event lacks what the action needs.
    """
    action = _action(event)
    if not isinstance(action, str) or action not in ACTIONS:
        raise ValueError(f"the rollout function's actions are {', '.join(ACTIONS)}, not {action!r}")
    return ACTIONS[action](event, using)


def _action(event: Event) -> object:
    kind = event.get("detail-type")
    if kind in SERVING_CHANGES:
        return "archive"
    return "calibrate" if kind == CALIBRATION_LEARNED else event.get("action")


def _start(event: Event, using: Conductor) -> Answer:
    asked = _read(StartEvent, event)
    return using.start(asked["run"]["run_id"], asked["run"]["kind"], asked.get("version"), at=asked["at"])


def _shift(event: Event, using: Conductor) -> Answer:
    asked = _read(ShiftEvent, event)
    return using.shift(asked["rollout"]["rollout_id"], asked["rollout"]["step_index"], at=asked["at"])


def _check(event: Event, using: Conductor) -> Answer:
    asked = _read(CheckEvent, event)
    return using.check(asked["rollout"]["rollout_id"], asked["phase"], at=asked["at"])


def _promote(event: Event, using: Conductor) -> Answer:
    asked = _read(RolloutEvent, event)
    return using.promote(asked["rollout"]["rollout_id"], at=asked["at"])


def _retire(event: Event, using: Conductor) -> Answer:
    asked = _read(RolloutEvent, event)
    return using.retire(asked["rollout"]["rollout_id"], at=asked["at"])


def _roll_back(event: Event, using: Conductor) -> Answer:
    asked = _read(RollbackEvent, event)
    # A rollback may come before the rollout is known to the pipeline: then the run names it.
    rollout = asked.get("rollout")
    return using.roll_back(
        rollout["rollout_id"] if rollout else asked["run"]["run_id"],
        reasons=asked.get("reasons"),
        at=asked["at"],
        actor=asked.get("actor"),
        only_canary=asked.get("only_canary", False),
    )


def _pause(event: Event, using: Conductor) -> Answer:
    asked = _read(PauseEvent, event)
    name = asked["rollout"]["rollout_id"]
    return using.pause(name, reason=asked["reason"], at=asked["at"], actor=asked["actor"])


def _resume(event: Event, using: Conductor) -> Answer:
    asked = _read(PauseEvent, event)
    name = asked["rollout"]["rollout_id"]
    return using.resume(name, reason=asked["reason"], at=asked["at"], actor=asked["actor"])


def _calibrate(event: Event, using: Conductor) -> Answer:
    learned, last = _read(LearnedEvent, event), PATIENT_TRIES - 1
    for attempt in range(PATIENT_TRIES):
        try:
            answer = _calibrator(using).calibrate(learned["detail"], at=learned["time"])
            return _announced(using, answer, learned["time"])
        except EndpointNotReadyError:
            if attempt == last:
                raise
    raise AssertionError("unreachable: the last attempt returns or raises")


def _revert_calibration(event: Event, using: Conductor) -> Answer:
    asked = _read(RevertEvent, event)
    answer = _calibrator(using).revert(to=asked["to"], reason=asked["reason"], at=asked["at"], actor=asked["actor"])
    return _announced(using, answer, asked["at"])


def _announced(using: Conductor, answer: CalibrationAnswer, at: datetime) -> Answer:
    """Tell the world where another calibration serves."""
    if answer["published"]:
        using.announce_calibrated(at=at)
    return answer


def _freeze_calibrations(event: Event, using: Conductor) -> Answer:
    asked = _read(HoldEvent, event)
    return _calibrator(using).freeze(reason=asked["reason"], at=asked["at"], actor=asked["actor"])


def _resume_calibrations(event: Event, using: Conductor) -> Answer:
    asked = _read(HoldEvent, event)
    return _calibrator(using).resume(reason=asked["reason"], at=asked["at"], actor=asked["actor"])


def _archive(event: Event, using: Conductor) -> Answer:
    read = _read(ServingEvent, event)
    detail = event["detail"]
    assert isinstance(detail, Mapping)  # it was just read
    return {"archived": archive().keep(read["detail-type"], detail, _document(), at=read["time"])}


def _reconcile(event: Event, using: Conductor) -> Answer:
    asked = _read(ReconcileEvent, event)
    mending = using.declared.reconcile.put_right
    reconciler = Reconciler(
        using.store, using.target, observer(), put_right=mending, history=history(), elsewhere=elsewhere()
    )
    answer = reconciler.reconcile(at=asked["at"], actor=asked.get("actor") or ACTOR)
    print(_differences_line(using.store.model, answer, asked["at"]), flush=True)
    return answer


def _drill(event: Event, using: Conductor) -> Answer:
    asked, looking = _read(DrillEvent, event), observer()
    reconciler = Reconciler(using.store, using.target, looking)
    driller = Driller(using.store, using.target, reconciler, looking.content)
    answer = driller.drill(at=asked["at"], actor=asked.get("actor") or DRILL_ACTOR)
    if answer["status"] != "not_begun":
        print(_drill_line(using.store.model, answer, asked["at"]), flush=True)
    return answer


def _drill_line(model: str, answer: Drilled, at: datetime) -> str:
    """The metrics of a drill: how long both ways took. One that failed must be looked at by somebody."""
    failed = answer["status"] == "failed"
    took = {"DrillRollbackSeconds": answer["back_seconds"], "DrillForwardSeconds": answer["forward_seconds"]}
    metrics = [MetricValue(name, seconds, "Seconds") for name, seconds in took.items() if seconds is not None]
    metrics += [MetricValue("DrillFailed", int(failed)), *([MetricValue(FAULTS, 1)] if failed else [])]
    return emf_line(metrics, dimensions={"model": model}, dimension_sets=[["model"]], epoch_ms=to_epoch_ms(at))


def _differences_line(model: str, answer: Reconciled, at: datetime) -> str:
    """The metrics of a look. What differs must be looked at by somebody, also where it was put right."""
    count = len(answer["differences"])
    metrics = [MetricValue("DeploymentDiffers", count), *([MetricValue(FAULTS, count)] if count else [])]
    return emf_line(metrics, dimensions={"model": model}, dimension_sets=[["model"]], epoch_ms=to_epoch_ms(at))


def _calibrator(using: Conductor) -> Calibrator:
    return Calibrator(using.store, using.target, using.stands_by)


ACTIONS: dict[str, Callable[[Event, Conductor], Answer]] = {
    "start": _start,
    "shift": _shift,
    "check": _check,
    "promote": _promote,
    "rollback": _roll_back,
    "pause": _pause,
    "resume": _resume,
    "retire": _retire,
    "calibrate": _calibrate,
    "revert_calibration": _revert_calibration,
    "freeze_calibrations": _freeze_calibrations,
    "resume_calibrations": _resume_calibrations,
    "reconcile": _reconcile,
    "drill": _drill,
    "archive": _archive,
}


def _read(kind: type[T], event: Event) -> T:
    return read_as(kind, event, "event of the rollout function", PIPELINE_SENDS)
