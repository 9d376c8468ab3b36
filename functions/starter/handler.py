"""Starts the pipeline for a retraining request: once for each request, however often its event is delivered."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from typing import Any, NotRequired, TypedDict

import boto3
from aws_lambda_powertools import Logger

from everloop.environment import Settings
from everloop.registry.exceptions import UnknownRunError
from everloop.registry.store import RegistryStore
from everloop.retraining.exceptions import RequestUnreadableError
from everloop.retraining.requests import RetrainingRequest
from everloop.typed_json import Event, as_json

logger = Logger(service="starter")


@dataclass(frozen=True)
class Environment(Settings):
    """What the stack sets."""

    table: str
    state_machine_arn: str


@dataclass(frozen=True)
class Services:
    """What this function works with."""

    store: RegistryStore
    states: Any
    state_machine_arn: str


class StarterAnswer(TypedDict):
    """The execution that the request names, and whether it was started now; if not, why."""

    execution: str
    started: bool
    reason: NotRequired[str]


@cache
def services() -> Services:
    """The services of this process, from its environment; made at the first invocation."""
    environment = Environment.read(os.environ)
    return Services(
        store=RegistryStore(boto3.client("dynamodb"), environment.table, environment.model),
        states=boto3.client("stepfunctions"),
        state_machine_arn=environment.state_machine_arn,
    )


@logger.inject_lambda_context
def handle(event: Event, context: Any) -> StarterAnswer:
    """Start the pipeline. Whatever fails is raised: the event is delivered again."""
    answer = act(event, services())
    logger.info("starter", answer=answer)
    return answer


def act(event: Event, using: Services) -> StarterAnswer:
    """Start the execution that the event asks for, unless it was started before.

    Raises
    ------
    RequestUnreadableError
        When the event is no request for this model.
    """
    request = RetrainingRequest.from_detail(event.get("detail"))
    name = request.execution_name
    if request.model != using.store.model:
        raise RequestUnreadableError(f"a request for model {request.model} came to the starter of {using.store.model}")
    # Step Functions forgets names after 90 days; the registry does not.
    if _is_recorded(using.store, name):
        return {"execution": name, "started": False, "reason": "the run is on record"}
    try:
        using.states.start_execution(
            stateMachineArn=using.state_machine_arn, name=name, input=json.dumps(as_json(request.execution_input))
        )
    except using.states.exceptions.ExecutionAlreadyExists:
        return {"execution": name, "started": False, "reason": "the execution exists"}
    return {"execution": name, "started": True}


def _is_recorded(store: RegistryStore, run_id: str) -> bool:
    try:
        store.runs.get(run_id)
    except UnknownRunError:
        return False
    return True
