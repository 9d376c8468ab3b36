"""Start a model's pipeline and watch it."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NotRequired, TypedDict

from botocore.exceptions import ClientError

from everloop.cli.account import Account
from everloop.cli.exceptions import CommandError, RunActiveError
from everloop.cli.operations.waiting import HistoryEvent, busy, waiting_of
from everloop.documents.records import Trigger, UpdateMode
from everloop.instants import format_instant, instant_text
from everloop.reasons import ReasonDocument
from everloop.registry.causes import readable_cause
from everloop.registry.exceptions import UnknownRunError
from everloop.registry.parents import champion_of, no_estimator
from everloop.registry.records import ActiveRun
from everloop.registry.restorations import RESTORE
from everloop.typed_json import JsonObject

KEPT = "kept"
"""The status of a run that could not start: the request for it is kept."""

POLL_SECONDS = 0.25
"""How often a person's terminal asks for the execution's history."""

EVENTS_A_PAGE = 20
"""Of the history, newest first: more than come between two looks."""

MANUAL = "manual"
"""The trigger of a run that a person starts."""

VERDICT_STATE = "Register"
"""Once this state is left, the gate has spoken and the candidate is in the registry."""

READMITTED_STATE = "Readmit"
"""The same of a version that is to come back."""

_DIGITS = {RESTORE: 14}
"""Of an execution's name, behind its kind. SageMaker takes jobs' names of 63 characters, the longest model's among them
(:attr:`everloop.names.ModelNames.job_prefix`); a kind that starts no job may have a longer name."""


class Execution(TypedDict):
    """What is read of an execution of the pipeline."""

    status: str
    error: NotRequired[str]
    cause: NotRequired[str]


@dataclass(frozen=True)
class Step:
    """One thing the pipeline did, as a person reads it."""

    at: datetime
    state: str
    event: str
    detail: str = ""


@dataclass(frozen=True)
class Verdict:
    """How a run ended, as far as its watcher waited."""

    run_id: str
    status: str
    verdict: str | None
    version: int | None
    reasons: list[ReasonDocument]
    cause: str | None = None


def start_training(
    account: Account,
    model: str,
    *,
    reason: str,
    kind: str = "train",
    trigger: str = MANUAL,
    version: int | None = None,
    update: UpdateMode = "full",
) -> str:
    """Start the pipeline of ``model`` and return the run's id, which is the execution's name.

    Parameters
    ----------
    version : int, optional
        What a restore brings back; of a rollout of new code, the champion that it is meant for.
    update : str
        How a training is to learn.

    Raises
    ------
    RunActiveError
        Another run of the model is active; nothing is started. What a person asks to be trained is kept, once for each
        reason and run in its way, and the monitor answers it.
    """
    deployed = account.model(model)
    active = account.registry(model).runs.active()
    if active is not None:
        waiting = waiting_of(account.client("stepfunctions"), execution_arn(account, model, active.run_id))
        rollout = account.registry(model).rollouts.find(active.run_id)
        message, remedy = busy(model, active, waiting, rollout, account.now())
        if kind == "train" and trigger == MANUAL:
            kept = _keep(account, model, active, reason, update)
            message = f"{message}. {kept}"
        raise RunActiveError(message, remedy)
    now = format_instant(account.now())
    person = account.client("sts").get_caller_identity()["Arn"]
    asked: JsonObject = {
        "kind": trigger,
        "reason": reason,
        "requested_at": now,
        "window_end": None,
        "started_by": person,
    }
    if update != "full":
        asked["update"] = update
    run_input: JsonObject = {"model": model, "kind": kind, "trigger": asked}
    if version is not None and kind == RESTORE:
        asked["version"] = version
    elif version is not None:
        run_input["version"] = version
    name = f"{kind}-{uuid.uuid4().hex[: _DIGITS.get(kind, 16)]}"
    account.client("stepfunctions").start_execution(
        stateMachineArn=deployed.state_machine_arn, name=name, input=json.dumps(run_input)
    )
    return name


def require_parent(account: Account, model: str) -> None:
    """Refuse to start a warm start where what serves keeps nothing to continue.

    Raises
    ------
    CommandError
        With why, and what to type.
    """
    champion = champion_of(account.registry(model))
    against = no_estimator(champion)
    if against is not None:
        raise CommandError(
            f"model {model} can't be trained by warm start: {against.sentence}",
            f"declare training.warm_start, deploy, and `everloop train {model}`: its version can be continued then",
        )


def _keep(account: Account, model: str, active: ActiveRun, reason: str, update: UpdateMode) -> str:
    """Keep the request; what a person is told of it."""
    identity = f"{model}|{active.run_id}|{reason}" + ("" if update == "full" else f"|{update}")
    person, now = account.client("sts").get_caller_identity()["Arn"], account.now()
    trigger: Trigger = {
        "kind": MANUAL,
        "reason": reason,
        "requested_at": now,
        "window_end": None,
        "started_by": person,
    }
    if update != "full":
        trigger["update"] = update
    kept = account.registry(model).kept_requests.keep(
        f"asked-{hashlib.sha256(identity.encode()).hexdigest()[:16]}",
        trigger=trigger,
        held_by=f"the run {active.run_id}, active since {instant_text(active.started_at)}",
        at=now,
        actor=person,
    )
    return (
        f"The request is kept since {instant_text(kept.kept_at)}: when that run has ended, the monitor starts a"
        " training with its next window, unless one has started by then"
    )


def execution_arn(account: Account, model: str, run_id: str) -> str:
    """The ARN of the pipeline execution that is the run ``run_id``."""
    machine = account.model(model).state_machine_arn
    return f"{machine.replace(':stateMachine:', ':execution:')}:{run_id}"


def follow(
    account: Account,
    model: str,
    run_id: str,
    *,
    until_state: str | None = VERDICT_STATE,
    at_each_look: Callable[[], None] | None = None,
) -> Iterator[Step]:
    """Yield the pipeline's steps as they happen, until ``until_state`` is left or the execution ends.

    Parameters
    ----------
    until_state : str or None
        With None only the end of the execution ends it.
    at_each_look : callable, optional
        Called before each look's steps are yielded.
    """
    client, arn = account.client("stepfunctions"), execution_arn(account, model, run_id)
    seen = 0
    while True:
        status = _describe(client, arn)["status"]
        events = _events_after(client, arn, seen)
        if at_each_look is not None:
            at_each_look()
        for event in events:
            seen, step = event["id"], _step(event)
            if step is not None:
                yield step
                if step.state == until_state and step.event == "done":
                    return
        if status != "RUNNING":
            return
        time.sleep(POLL_SECONDS)


def wait_until_it_serves(account: Account, model: str, run_id: str) -> bool:
    """Wait for the first champion, which gets all requests within seconds of its verdict; whether it serves.

    Its execution then waits for the end of the bake. Another champion's canary is not waited for: that takes hours.
    """
    client, arn = account.client("stepfunctions"), execution_arn(account, model, run_id)
    while _describe(client, arn)["status"] == "RUNNING" and waiting_of(client, arn) is None:
        time.sleep(POLL_SECONDS)
    return account.registry(model).versions.champion() is not None


def verdict_of(account: Account, model: str, run_id: str) -> Verdict:
    """What became of a run: its status, the gate's verdict and its reasons, or the cause of its failure."""
    execution = _describe(account.client("stepfunctions"), execution_arn(account, model, run_id))
    try:
        run = account.registry(model).runs.get(run_id)
    except UnknownRunError:
        kept = account.registry(model).kept_requests.find(run_id)
        if kept is not None:
            return Verdict(run_id, KEPT, None, None, [], kept.held_by)
        return Verdict(run_id, execution["status"].lower(), None, None, [], _cause_of(execution))
    return Verdict(run_id, run.status, run.verdict, run.version, run.gate_reasons, run.cause)


def execution_status(client: Any, arn: str) -> str:
    """The status of an execution in Step Functions' words, as ``RUNNING`` and ``SUCCEEDED``.

    Raises
    ------
    CommandError
        There is no such execution.
    """
    return _describe(client, arn)["status"]


def _describe(client: Any, arn: str) -> Execution:
    try:
        execution: Execution = client.describe_execution(executionArn=arn)
        return execution
    except ClientError as error:
        if error.response["Error"]["Code"] == "ExecutionDoesNotExist":
            raise CommandError(f"no pipeline execution {arn}", "`everloop runs list MODEL` lists the runs") from error
        raise


def _events_after(client: Any, arn: str, seen: int) -> list[HistoryEvent]:
    """The events after the one of that number, oldest first. The newest are asked for, not the whole history again: it
    grows, and each event has what went into its state or came out of it.
    """
    found: list[HistoryEvent] = []
    pages = client.get_paginator("get_execution_history").paginate(
        executionArn=arn, reverseOrder=True, PaginationConfig={"PageSize": EVENTS_A_PAGE}
    )
    for page in pages:
        for event in page["events"]:
            if event["id"] <= seen:
                return found[::-1]
            # Where events came meanwhile, a page may begin with some that the one before had.
            if not found or event["id"] < found[-1]["id"]:
                found.append(event)
    return found[::-1]


def _step(event: HistoryEvent) -> Step | None:
    kind, at = event["type"], event["timestamp"]
    if kind.endswith("StateEntered"):
        return Step(at, event["stateEnteredEventDetails"]["name"], "started")
    if kind.endswith("StateExited"):
        return Step(at, event["stateExitedEventDetails"]["name"], "done")
    if kind in ("TaskFailed", "LambdaFunctionFailed", "TaskTimedOut", "ExecutionFailed", "ExecutionTimedOut"):
        found = event.get(kind[0].lower() + kind[1:] + "EventDetails")
        details = found if isinstance(found, dict) else {}
        return Step(
            at,
            kind,
            "failed",
            f"{details.get('error', '')}: {readable_cause(details.get('cause') or 'no cause given')}",
        )
    return None


def _cause_of(execution: Execution) -> str | None:
    error, cause = execution.get("error"), execution.get("cause")
    return readable_cause(f"{error}: {cause}") if error or cause else None
