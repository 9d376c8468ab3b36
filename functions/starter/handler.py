"""Starts what the monitor asks for, the pipeline or a fresh probe: once, however often its event is delivered."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NotRequired, TypedDict

import boto3
from aws_lambda_powertools import Logger

from everloop.environment import Settings
from everloop.names import PROBE_DUE, RESTORE_REQUESTED
from everloop.registry.exceptions import UnknownRunError
from everloop.registry.store import RegistryStore
from everloop.retraining.exceptions import RequestUnreadableError
from everloop.retraining.probe.requests import execution_name, read_request
from everloop.retraining.requests import RestoreRequest, RetrainingRequest
from everloop.typed_json import Event, as_json

logger = Logger(service="starter")


@dataclass(frozen=True)
class Environment(Settings):
    """What the stack sets."""

    table: str
    state_machine_arn: str
    probe_machine_arn: str


@dataclass(frozen=True)
class Services:
    """What this function works with."""

    store: RegistryStore
    states: Any
    state_machine_arn: str
    probe_machine_arn: str


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
        probe_machine_arn=environment.probe_machine_arn,
    )


@logger.inject_lambda_context
def handle(event: Event, context: Any) -> StarterAnswer:
    """Start the pipeline, or the machine of probes. Whatever fails is raised: the event is delivered again."""
    answer = act(event, services())
    logger.info("starter", answer=answer)
    return answer


def act(event: Event, using: Services) -> StarterAnswer:
    """Start the execution that the event asks for, unless it was started before.

    Raises
    ------
    RequestUnreadableError
        When the event is not a request for this model.
    """
    if event.get("detail-type") == PROBE_DUE:
        return _start_probe(event, using)
    request: RetrainingRequest | RestoreRequest
    if event.get("detail-type") == RESTORE_REQUESTED:
        request = RestoreRequest.from_detail(event.get("detail"))
    else:
        request = RetrainingRequest.from_detail(event.get("detail"))
    name = request.execution_name
    if request.model != using.store.model:
        raise RequestUnreadableError(
            f"a request for model {request.model} was sent to the starter of {using.store.model}"
        )
    # Step Functions forgets names after 90 days; the registry does not.
    if _is_recorded(using.store, name):
        return {"execution": name, "started": False, "reason": "the run is already recorded"}
    return _start(using, using.state_machine_arn, name, request.execution_input)


def _start_probe(event: Event, using: Services) -> StarterAnswer:
    request = read_request(event.get("detail"))
    if request["model"] != using.store.model:
        raise RequestUnreadableError(
            f"a probe of model {request['model']} was sent to the starter of {using.store.model}"
        )
    return _start(using, using.probe_machine_arn, execution_name(request), request)


def _start(using: Services, machine: str, name: str, given: Mapping[str, object]) -> StarterAnswer:
    try:
        using.states.start_execution(stateMachineArn=machine, name=name, input=json.dumps(as_json(given)))
    except using.states.exceptions.ExecutionAlreadyExists:
        return {"execution": name, "started": False, "reason": "the execution already exists"}
    return {"execution": name, "started": True}


def _is_recorded(store: RegistryStore, run_id: str) -> bool:
    try:
        store.runs.get(run_id)
    except UnknownRunError:
        return False
    return True
