"""Registers a run's candidate and stores its files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from everloop.busy_services import busy_services_named
from everloop.environment import Settings
from everloop.registry.registration import Candidate, register_candidate
from everloop.registry.remote import RemoteRegistry, invoking
from everloop.registry.store import RegistryStore

logger = Logger(service="register")


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
    s3: Any
    artifact_bucket: str


@cache
def services() -> Services:
    """The services of this process, from its environment; made at the first invocation."""
    environment = Environment.read(os.environ)
    send = invoking(boto3.client("lambda"), environment.registry_writer)
    return Services(
        store=RemoteRegistry(boto3.client("dynamodb"), environment.table, environment.model, send=send),
        s3=boto3.client("s3"),
        artifact_bucket=environment.artifact_bucket,
    )


@logger.inject_lambda_context
def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Register the candidate. Errors are the pipeline's to catch, by class name."""
    answer = act(event, services())
    logger.info("register", answer=answer)
    return answer


@busy_services_named()
def act(event: dict[str, Any], using: Services) -> dict[str, Any]:
    """Register the candidate of ``event["run"]``."""
    candidate = Candidate(
        run_id=event["run"]["run_id"],
        snapshot_hash=event["snapshot"]["snapshot_hash"],
        evaluation_uri=event["evaluation_uri"],
        gate=event["gate"],
        refit=event["refit"],
        refit_uri=event["refit_uri"],
    )
    version = register_candidate(
        candidate,
        store=using.store,
        s3=using.s3,
        artifact_bucket=using.artifact_bucket,
        at=event["at"],
        actor=f"pipeline {event['execution']}",
    )
    return {
        "version": version.version,
        "artifact_prefix": version.artifact_prefix,
        "manifest_sha256": version.manifest_sha256,
        "state": str(version.state),
    }
