"""Opens and closes the pipeline's runs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import boto3
from aws_lambda_powertools import Logger

from everloop.busy_services import busy_services_named
from everloop.documents.pipeline import RunClosed, RunKind, RunState, ServingChampion
from everloop.documents.records import TrainingSpan, TrainingUpdate, Trigger
from everloop.environment import Settings
from everloop.instants import instant_text
from everloop.model_file.schema import ModelDeclaration
from everloop.registry.causes import by_the_model, readable_cause
from everloop.registry.evidence import record_sha256
from everloop.registry.exceptions import RunNotOpenedError
from everloop.registry.parents import WARM, champion_of, parent_state, update_of
from everloop.registry.records import Run
from everloop.registry.remote import RemoteRegistry, invoking
from everloop.registry.restorations import RESTORE, asked_version
from everloop.registry.store import RegistryStore
from everloop.retraining.probe.spans import MOST_PROBES, span_by_probes
from everloop.typed_json import PIPELINE_SENDS, Event, read_as

logger = Logger(service="run")


_TRAINS = ("train", "smoke")
"""The kinds of runs that train."""


@dataclass(frozen=True)
class Environment(Settings):
    """What the stack sets."""

    table: str
    registry_writer: str
    artifact_bucket: str


@dataclass(frozen=True)
class Services:
    """What this function works with."""

    store: RegistryStore
    declaration: ModelDeclaration
    artifact_bucket: str


class ExecutionInput(TypedDict):
    """What an execution of the pipeline is started with, by whoever starts it."""

    kind: RunKind
    trigger: Trigger


class OpenEvent(TypedDict):
    """The action ``open``; the input is read by itself, as it is not the pipeline's own."""

    execution: str
    input: object
    at: datetime


class CloseReason(TypedDict):
    """What is read of a reason."""

    sentence: str


class CloseEvent(TypedDict):
    """The action ``close``: with a failure as the pipeline caught it, or the reasons of who rolled back."""

    execution: str
    status: str
    at: datetime
    cause: NotRequired[str | None]
    reasons: NotRequired[list[CloseReason] | None]
    trained: NotRequired[bool]


@cache
def services() -> Services:
    """The services of this process, from its environment; made at the first invocation."""
    environment = Environment.read(os.environ)
    send = invoking(boto3.client("lambda"), environment.registry_writer)
    declared = (Path(__file__).parent / "declaration.json").read_text(encoding="utf-8")
    return Services(
        store=RemoteRegistry(boto3.client("dynamodb"), environment.table, environment.model, send=send),
        declaration=ModelDeclaration.model_validate_json(declared),
        artifact_bucket=environment.artifact_bucket,
    )


@logger.inject_lambda_context
def handle(event: Event, context: Any) -> RunState | RunClosed:
    """Carry out the action the pipeline asks for. Errors are the pipeline's to catch, by class name."""
    answer = act(event, services())
    logger.info("run", action=event["action"], answer=answer)
    return answer


@busy_services_named()
def act(event: Event, using: Services) -> RunState | RunClosed:
    """``open`` or ``close`` a run.

    Raises
    ------
    ValueError
        For any other action.
    """
    action = event.get("action")
    if action == "open":
        return _open(read_as(OpenEvent, event, "event of the run function", PIPELINE_SENDS), using)
    if action == "close":
        return _close(read_as(CloseEvent, event, "event of the run function", PIPELINE_SENDS), using)
    raise ValueError(f"the run function's actions are open and close, not {action!r}")


def _open(event: OpenEvent, using: Services) -> RunState:
    what = f"input of execution {event['execution']}, which has a kind and a trigger with kind and reason"
    asked = read_as(ExecutionInput, event["input"], what, "`everloop train` gives both")
    quota, at, actor = using.declaration.retraining.quota, event["at"], f"pipeline {event['execution']}"
    try:
        run = using.store.runs.open(
            event["execution"],
            kind=asked["kind"],
            trigger=asked["trigger"],
            at=at,
            actor=actor,
            quota_runs=quota.runs,
            quota_days=quota.days,
            training_span=_training_span(asked["kind"], using, at),
            update=_update(asked, using),
        )
    except RunNotOpenedError as refused:
        # A window's cause is looked at again with the next window; what a person asked for would be lost.
        if asked["kind"] == "train" and asked["trigger"].get("window_end") is None:
            using.store.kept_requests.keep_refused(
                event["execution"], trigger=asked["trigger"], held_by=str(refused), at=at, actor=actor
            )
        raise
    return _described(run, using)


def _training_span(kind: RunKind, using: Services, at: datetime) -> TrainingSpan | None:
    """What a run that trains learns from, by the probes on record; None where evidence has no say."""
    if kind not in _TRAINS or not using.declaration.data.training_spans:
        return None
    probes = [(p.document, record_sha256(p)) for p in using.store.probes.latest(MOST_PROBES)]
    chosen = span_by_probes(using.declaration, probes, at=at)
    return None if chosen is None else chosen[1]


def _update(asked: ExecutionInput, using: Services) -> TrainingUpdate | None:
    """Whether a run that trains is to continue the champion; None where it was not asked to."""
    if asked["kind"] not in _TRAINS:
        return None
    return update_of(asked["trigger"], champion_of(using.store), using.declaration)


def _close(event: CloseEvent, using: Services) -> RunClosed:
    """A failure comes as the pipeline caught it, a rollback with the reasons of whoever decided it.

    ``event["trained"]`` is false where the pipeline knows that no training job was started. A run that failed
    afterwards counts as a training when that was the model's own fault, or when a version had come of it.
    """
    cause, sentences = event.get("cause"), [reason["sentence"] for reason in event.get("reasons") or []]
    trained = event.get("trained", True)
    if trained and event["status"] == "failed":
        trained = using.store.runs.get(event["execution"]).version is not None or by_the_model(cause or "")
    run = using.store.runs.close(
        event["execution"],
        status=event["status"],
        cause=readable_cause(cause) if cause else "; ".join(sentences) or None,
        at=event["at"],
        actor=f"pipeline {event['execution']}",
        trained=trained,
    )
    return {"status": run.status}


def _described(run: Run, using: Services) -> RunState:
    champion: ServingChampion | None = None
    uri = "none"
    if run.champion_version is not None:
        version = using.store.versions.get(run.champion_version)
        uri = f"s3://{using.artifact_bucket}/{version.artifact_prefix}"
        champion = {"version": version.version, "artifact_uri": uri}
    state: RunState = {
        "run_id": run.run_id,
        "model": run.model,
        "kind": run.kind,
        "as_of": instant_text(run.as_of),
        "started_at": instant_text(run.started_at),
        "champion": champion,
        "champion_uri": uri,
        "training_days": run.training_days,
    }
    if run.update is not None and run.update["kind"] == WARM and run.update["parent"] is not None:
        state["parent"] = parent_state(using.store.versions.get(run.update["parent"]), using.artifact_bucket)
    if run.kind == RESTORE:
        older = using.store.versions.get(asked_version(run.trigger))
        state["older"] = {
            "version": older.version,
            "artifact_uri": f"s3://{using.artifact_bucket}/{older.artifact_prefix}",
            "manifest_sha256": older.manifest_sha256,
            # What the monitor asks for names its window.
            "asked_for": run.trigger.get("window_end") is None,
        }
        waivers = using.store.waivers.in_force(older.version, run.started_at, not_by=run.trigger.get("started_by"))
        if waivers:
            state["older"]["waived"] = [
                {"code": one.code, "until": instant_text(one.until), "by": one.by, "why": one.why} for one in waivers
            ]
    return state
