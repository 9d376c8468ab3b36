"""Registers a run's candidate and stores its files, or what the gate said of a version that is to come back."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypedDict

import boto3
from aws_lambda_powertools import Logger

from everloop.busy_services import busy_services_named
from everloop.documents.pipeline import GateState, RefitState, RegisteredState
from everloop.environment import Settings
from everloop.registry.records import Version
from everloop.registry.registration import Candidate, recorded_verdict, register_candidate, store_new_report
from everloop.registry.remote import RemoteRegistry, invoking
from everloop.registry.signing import SigningKey
from everloop.registry.store import RegistryStore
from everloop.typed_json import PIPELINE_SENDS, Event, read_as

logger = Logger(service="register")


@dataclass(frozen=True)
class Environment(Settings):
    """What the stack sets."""

    table: str
    registry_writer: str
    artifact_bucket: str
    signing_key: str


@dataclass(frozen=True)
class Services:
    """What this function works with."""

    store: RegistryStore
    s3: Any
    artifact_bucket: str
    key: SigningKey


class RegisteredRun(TypedDict):
    """What is read of the run."""

    run_id: str


class RegisteredSnapshot(TypedDict):
    """What is read of the snapshot."""

    snapshot_hash: str


class RegisterEvent(TypedDict):
    """What the pipeline sends. Both of the refit are null where none was to be made."""

    run: RegisteredRun
    snapshot: RegisteredSnapshot
    evaluation_uri: str
    gate: GateState
    refit: RefitState | None
    refit_uri: str | None
    execution: str
    at: datetime


class OlderVersion(TypedDict):
    """What is read of the version that is to come back."""

    version: int


class RestoringRun(RegisteredRun):
    """What is read of the run that brings it back."""

    older: OlderVersion


class RestoreEvent(TypedDict):
    """The action ``restore``."""

    run: RestoringRun
    snapshot: RegisteredSnapshot
    evaluation_uri: str
    gate: GateState
    execution: str
    at: datetime


@cache
def services() -> Services:
    """The services of this process, from its environment; made at the first invocation."""
    environment = Environment.read(os.environ)
    send = invoking(boto3.client("lambda"), environment.registry_writer)
    return Services(
        store=RemoteRegistry(boto3.client("dynamodb"), environment.table, environment.model, send=send),
        s3=boto3.client("s3"),
        artifact_bucket=environment.artifact_bucket,
        key=SigningKey(boto3.client("kms"), environment.signing_key),
    )


@logger.inject_lambda_context
def handle(event: Event, context: Any) -> RegisteredState:
    """Register the candidate. Errors are the pipeline's to catch, by class name."""
    answer = act(event, services())
    logger.info("register", answer=answer)
    return answer


@busy_services_named()
def act(event: Event, using: Services) -> RegisteredState:
    """Register the candidate of ``event["run"]``, or with the action ``restore`` the verdict on an older version."""
    if event.get("action") == "restore":
        return _restore(read_as(RestoreEvent, event, "event of the register function", PIPELINE_SENDS), using)
    asked = read_as(RegisterEvent, event, "event of the register function", PIPELINE_SENDS)
    candidate = Candidate(
        run_id=asked["run"]["run_id"],
        snapshot_hash=asked["snapshot"]["snapshot_hash"],
        evaluation_uri=asked["evaluation_uri"],
        gate=asked["gate"],
        refit=asked["refit"],
        refit_uri=asked["refit_uri"],
    )
    version = register_candidate(
        candidate,
        store=using.store,
        s3=using.s3,
        artifact_bucket=using.artifact_bucket,
        key=using.key,
        at=asked["at"],
        actor=f"pipeline {asked['execution']}",
    )
    return _registered(version)


def _restore(asked: RestoreEvent, using: Services) -> RegisteredState:
    """Keep the report beside the version's files, and record the verdict; passed, the version is evaluated again."""
    run_id, number, gate = asked["run"]["run_id"], asked["run"]["older"]["version"], asked["gate"]
    version = using.store.versions.get(number)
    store_new_report(
        asked["evaluation_uri"],
        version.artifact_prefix,
        run_id,
        judged=gate["report_sha256"],
        s3=using.s3,
        artifact_bucket=using.artifact_bucket,
    )
    judged = using.store.restorations.judge(
        number,
        run_id=run_id,
        snapshot_hash=asked["snapshot"]["snapshot_hash"],
        gate=recorded_verdict(gate),
        at=asked["at"],
        actor=f"pipeline {asked['execution']}",
    )
    return _registered(judged)


def _registered(version: Version) -> RegisteredState:
    return {
        "version": version.version,
        "artifact_prefix": version.artifact_prefix,
        "manifest_sha256": version.manifest_sha256,
        "state": str(version.state),
    }
