"""What a run that is active waits for, and until when."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NotRequired, TypedDict

from botocore.exceptions import ClientError

from everloop.cli.spans import span_text
from everloop.instants import instant_text
from everloop.registry.records import ActiveRun, Rollout

SECONDS_OF = {"WaitForStep": "wait_seconds", "WaitForBake": "bake_seconds", "WaitForBakeAgain": "wait_seconds"}
"""The pipeline's states that wait, and what of the rollout's last answer each waits for."""


class StateEvent(TypedDict):
    """What is read of a state that an execution entered or left."""

    name: str
    input: NotRequired[str]


class HistoryEvent(TypedDict):
    """What is read of an event in an execution's history. A failure's details stand under a key of its type."""

    type: str
    timestamp: datetime
    stateEnteredEventDetails: NotRequired[StateEvent]
    stateExitedEventDetails: NotRequired[StateEvent]


@dataclass(frozen=True)
class Waiting:
    """An execution stands in the state ``state`` until ``until``."""

    state: str
    until: datetime


def waiting_of(stepfunctions: Any, execution_arn: str) -> Waiting | None:
    """What an execution waits for; None when it works, or is not there any more."""
    pages = stepfunctions.get_paginator("get_execution_history").paginate(executionArn=execution_arn)
    last: HistoryEvent | None = None
    try:
        for page in pages:
            last = page["events"][-1] if page["events"] else last
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
            raise
        return None
    if last is None or last["type"] != "WaitStateEntered":
        return None
    entered = last["stateEnteredEventDetails"]
    try:
        seconds = float(json.loads(entered["input"])["rollout"]["result"][SECONDS_OF[entered["name"]]])
    except (KeyError, TypeError, ValueError):
        return None
    return Waiting(entered["name"], last["timestamp"] + timedelta(seconds=seconds))


def busy(
    model: str, active: ActiveRun, waiting: Waiting | None, rollout: Rollout | None, now: datetime
) -> tuple[str, str]:
    """Why nothing else can start, and what to do: a message and a remedy.

    Parameters
    ----------
    waiting : Waiting or None
        What the run's execution waits for.
    rollout : Rollout or None
        What the run rolls out, if it has come to that.
    now : datetime
        By the account's clock.
    """
    since = f"the run {active.run_id} of {model} is active since {instant_text(active.started_at)}"
    if waiting is None or rollout is None:
        return (
            since,
            f"`everloop runs list {model}` says how it ended, once it has; start again then. Where its execution is "
            f"dead, `everloop runs release {model} {active.run_id} --reason …` closes it",
        )
    until, span = f"{waiting.until:%Y-%m-%d %H:%M} UTC", span_text(waiting.until - now + timedelta(minutes=1))
    go_by = f"in a local cloud, `everloop local pass {span}` lets the time until then go by"
    if waiting.state == "WaitForStep":
        return (
            f"{since}: version {rollout.version} is in its canary with {rollout.percent or 0:g}% of the requests, "
            f"and is judged next at {until}",
            f"let requests come, and start again once the run has ended, after its bake; {go_by}",
        )
    return f"{since}: version {rollout.version} serves and bakes until {until}", f"start again after that; {go_by}"
