"""Rolls a version out: start, shift, check, promote, roll back, retire."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from everloop.busy_services import busy_services_named
from everloop.environment import Settings
from everloop.model_file.schema import ModelDeclaration
from everloop.names import ALIAS
from everloop.registry.remote import RemoteRegistry, invoking
from everloop.rollout.announcements import Announcer
from everloop.rollout.conductor import Conductor
from everloop.rollout.metrics import CloudWatchMetrics
from everloop.rollout.target import LambdaAliasTarget

logger = Logger(service="rollout")


@dataclass(frozen=True)
class Environment(Settings):
    """What the stack sets."""

    table: str
    registry_writer: str
    artifact_bucket: str
    event_bus: str
    predict_function: str


@cache
def conductor() -> Conductor:
    """The conductor of this process, from its environment; made at the first invocation."""
    environment = Environment.read(os.environ)
    client = boto3.client("lambda")
    send = invoking(client, environment.registry_writer)
    declaration = (Path(__file__).parent / "declaration.json").read_text(encoding="utf-8")
    declared = ModelDeclaration.model_validate_json(declaration).rollout
    return Conductor(
        store=RemoteRegistry(boto3.client("dynamodb"), environment.table, environment.model, send=send),
        target=LambdaAliasTarget(client, function=environment.predict_function, alias=ALIAS),
        metrics=CloudWatchMetrics(
            boto3.client("cloudwatch"),
            function=environment.predict_function,
            alias=ALIAS,
            model=environment.model,
            slow_ms=declared.guardrail.max_p99_latency_ms,
        ),
        announcer=Announcer(boto3.client("events"), environment.event_bus),
        declared=declared,
        artifact_bucket=environment.artifact_bucket,
    )


@logger.inject_lambda_context
def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Carry out the action the pipeline asks for. Errors are the pipeline's to catch, by class name."""
    answer = act(event, conductor())
    logger.info("rollout", action=event["action"], answer=answer)
    return answer


@busy_services_named()
def act(event: dict[str, Any], using: Conductor) -> dict[str, Any]:
    """Carry out ``event["action"]``.

    Raises
    ------
    ValueError
        When it is none of the known actions.
    """
    at = event["at"]
    actions: dict[str, Callable[[], dict[str, Any]]] = {
        "start": lambda: using.start(event["run"], event.get("version"), at=at),
        "shift": lambda: using.shift(event["rollout"], at=at),
        "check": lambda: using.check(event["rollout"], event["phase"], at=at),
        "promote": lambda: using.promote(event["rollout"], at=at),
        "rollback": lambda: using.roll_back(
            _rollout_id(event),
            reasons=event.get("reasons"),
            at=at,
            actor=event.get("actor"),
            only_canary=event.get("only_canary", False),
        ),
        "retire": lambda: using.retire(event["rollout"], at=at),
    }
    if event["action"] not in actions:
        raise ValueError(f"the rollout function knows {', '.join(actions)}, not {event['action']!r}")
    return actions[event["action"]]()


def _rollout_id(event: dict[str, Any]) -> str:
    """A rollback may come before the rollout is known to the pipeline: then the run names it."""
    rollout = event.get("rollout")
    return str(rollout["rollout_id"] if rollout else event["run"]["run_id"])
