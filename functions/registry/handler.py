"""Writes the registry: no other function may. Callers are told apart by the alias they invoke."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from everloop.environment import Settings
from everloop.registry.locked_audit import LockedAudit
from everloop.registry.refusals import WriterAnswer
from everloop.registry.store import RegistryStore
from everloop.registry.writer import answer, caller_of
from everloop.typed_json import Event

logger = Logger(service="registry")


@dataclass(frozen=True)
class Environment(Settings):
    """What the stack sets."""

    table: str
    audit_bucket: str


@cache
def environment() -> Environment:
    """This process's environment; read at its first command."""
    return Environment.read(os.environ)


@cache
def store_for(caller: str) -> RegistryStore:
    """The store that writes what ``caller`` asks for, from this process's environment; made at its first command."""
    return RegistryStore(boto3.client("dynamodb"), environment().table, environment().model, via=caller)


@cache
def locked_audit() -> LockedAudit:
    """Where audit records are locked; made at the first command."""
    return LockedAudit(boto3.client("s3"), environment().audit_bucket, environment().model)


@logger.inject_lambda_context
def handle(event: Event, context: Any) -> WriterAnswer:
    """Carry out one command. A refusal is an answer; whatever is raised here is a failure."""
    caller = caller_of(context.invoked_function_arn)
    answered = answer(event, caller, store_for, locked_audit())
    logger.info("registry", caller=caller, command=event, answer=answered)
    return answered
