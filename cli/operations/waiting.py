"""What a run that is active waits for, and until when."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NotRequired, TypedDict

from botocore.exceptions import ClientError

from everloop.cli.spans import span_text
from everloop.instants import instant_text, parse_instant
from everloop.registry.records import ActiveRun, Rollout

WAITS = frozenset({"WaitForStep", "WaitForBake", "WaitForBakeAgain"})
"""The pipeline's states that wait for the next look at the rollout."""


class StateEvent(TypedDict):
    """What is read of a state that an execution entered or left."""

    name: str
    input: NotRequired[str]


class HistoryEvent(TypedDict):
    """What is read of an event in an execution's history. A failure's details stand under a key of its type."""

    id: int
    type: str
    timestamp: datetime
    stateEnteredEventDetails: NotRequired[StateEvent]
    stateExitedEventDetails: NotRequired[StateEvent]


@dataclass(frozen=True)
class Waiting:
    """An execution is in the state ``state``, and what it looks at lasts until ``until``."""

    state: str
    until: datetime


def waiting_of(stepfunctions: Any, execution_arn: str) -> Waiting | None:
    """What an execution waits for; None when it works, or is not there any more."""
    try:
        newest = stepfunctions.get_execution_history(executionArn=execution_arn, reverseOrder=True, maxResults=1)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
            raise
        return None
    last: HistoryEvent | None = next(iter(newest["events"]), None)
    if last is None or last["type"] != "WaitStateEntered":
        return None
    entered = last["stateEnteredEventDetails"]
    if entered["name"] not in WAITS:
        return None
    try:
        until = parse_instant(json.loads(entered["input"])["rollout"]["result"]["phase_ends"])
    except (KeyError, TypeError, ValueError):
        return None
    return Waiting(entered["name"], until)


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
    since = f"the run {active.run_id} of {model} has been active since {instant_text(active.started_at)}"
    if waiting is None or rollout is None:
        return (
            since,
            f"`everloop runs list {model}` shows how it ended; start again after that. If its execution is dead,"
            f" `everloop runs release {model} {active.run_id} --reason …` closes it",
        )
    until, span = f"{waiting.until:%Y-%m-%d %H:%M} UTC", span_text(waiting.until - now + timedelta(minutes=1))
    go_by = f"in a local cloud, `everloop local pass {span}` moves the clock to that time"
    if waiting.state == "WaitForStep":
        return (
            f"{since}: version {rollout.version} is in its canary with {rollout.percent or 0:g}% of the requests,"
            f" and the next decision is at {until}",
            f"send requests, and start again when the run has ended, after its bake; {go_by}",
        )
    return (
        f"{since}: version {rollout.version} serves, and its bake lasts until {until}",
        f"start again after that; {go_by}",
    )
