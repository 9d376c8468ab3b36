"""The training pipeline as a state machine definition: a plain dictionary, without a reference to the CDK.

JSONPath only. What a task returned stands under its name, e.g. ``$.run.result``; Lambda's answer is wrapped in
``result`` because the integration returns an envelope. Names in ``${…}`` are filled in at deployment:
functions' ARNs, buckets, roles, the image. Times come from ``$$.State.EnteredTime``, so that a function never
asks the clock.

Every task has a time limit, retries what is known to pass, and catches everything else:

- before the run is opened there is nothing to close: the execution fails;
- afterwards ``CloseFailed`` closes the run with the cause, and the execution fails; so does ``CloseUntrained``, which
  says that no training job was started, so that the run costs none of the quota;
- a refit that fails is none: the model that passed the gate is registered, with the cause (``RefitFailed``);
- once traffic may have shifted, it is taken back first (``RollBackAfterFailure``).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Any

import everloop
from everloop.exceptions import TransientError
from everloop.infra.function_catalogue import PIPELINE_FUNCTIONS
from everloop.infra.pipeline_jobs import (
    SAGEMAKER_RETRY,
    evaluation_job,
    older_evaluation_job,
    refit_check_job,
    refit_job,
    training_job,
)
from everloop.model_file.schema import ModelDeclaration
from everloop.model_file.worst_case import pipeline_seconds
from everloop.registry.exceptions import RunNotOpenedError

State = dict[str, Any]

NO_RETRY_ERRORS = [kind.__name__ for kind in RunNotOpenedError.__subclasses__()]
"""What opening a run may answer by design: nothing was opened, and nothing is broken."""

LAMBDA_RETRY = {
    "ErrorEquals": [
        "Lambda.ClientExecutionTimeoutException",
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
        "Lambda.TooManyRequestsException",
    ],
    "IntervalSeconds": 2,
    "MaxAttempts": 6,
    "BackoffRate": 2,
    "MaxDelaySeconds": 60,
    "JitterStrategy": "FULL",
}


EDGES = frozenset({"cli", "functions", "infra", "training"})


def transient_errors() -> list[str]:
    """The names of what the functions raise when the same call may succeed a little later, in their order.

    Step Functions knows an error by its class. Every function may be called again with the same input. What a
    declaration, a contract or the registry refuses is terminal: it would be refused again.
    """
    for module in domain_modules():
        if module.rpartition(".")[2] in ("busy_services", "exceptions"):
            importlib.import_module(module)
    return sorted(kind.__name__ for kind in _below(TransientError))


def domain_modules() -> Iterator[str]:
    """The names of the modules that stand in ``everloop`` besides the rooms at its edges."""
    for top in pkgutil.iter_modules(everloop.__path__, "everloop."):
        if top.name.rpartition(".")[2] not in EDGES:
            yield top.name
            if top.ispkg:
                package = importlib.import_module(top.name)
                yield from (module.name for module in pkgutil.walk_packages(package.__path__, f"{top.name}."))


def _below(kind: type[Exception]) -> Iterator[type[Exception]]:
    for sub in kind.__subclasses__():
        yield sub
        yield from _below(sub)


ENDPOINT_RETRY: dict[str, Any] = {
    "ErrorEquals": ["EndpointNotReadyError"],
    "IntervalSeconds": 20,
    "MaxAttempts": 120,
    "BackoffRate": 1.1,
    "MaxDelaySeconds": 30,
    "JitterStrategy": "FULL",
}
"""An endpoint takes minutes to bring a variant up, and the function does not sleep through them. Each try looks for
20 s itself, so all of them together wait for an hour; a container may take 8 minutes to its first ping."""

TRANSIENT_RETRY: dict[str, Any] = {
    "ErrorEquals": [error for error in transient_errors() if error not in ENDPOINT_RETRY["ErrorEquals"]],
    "IntervalSeconds": 5,
    "MaxAttempts": 5,
    "BackoffRate": 2,
    "MaxDelaySeconds": 120,
    "JitterStrategy": "FULL",
}

CRASH_RETRY = {
    "ErrorEquals": ["Lambda.Unknown", "Runtime.ExitError", "Sandbox.Timedout"],
    "IntervalSeconds": 5,
    "MaxAttempts": 2,
    "BackoffRate": 2,
    "MaxDelaySeconds": 60,
    "JitterStrategy": "FULL",
}
"""A function that was ended, for time or memory, or with its machine. Twice is enough: what is too large stays so."""

CAUSE = "States.Format('{}: {}', $.failure.Error, $.failure.Cause)"

_AT = {"at.$": "$$.State.EnteredTime", "execution.$": "$$.Execution.Name"}
_RUN = {"run.$": "$.run.result"}
_ROLLOUT = {"rollout.$": "$.rollout.result"}


def pipeline_definition(declaration: ModelDeclaration) -> dict[str, Any]:
    """The definition of ``declaration``'s pipeline."""
    return {
        "Comment": f"Trains, evaluates, gates, registers and rolls out {declaration.model}",
        "StartAt": "OpenRun",
        "TimeoutSeconds": pipeline_seconds(declaration),
        "States": {
            **_opening(declaration),
            **_candidate(declaration),
            **(_refit(declaration) if refits(declaration) else {}),
            **_restoration(declaration),
            **_rollout(),
            **_closing(),
        },
    }


def refits(declaration: ModelDeclaration) -> bool:
    """Whether a passed candidate is trained once more, on the test rows as well."""
    return declaration.training.refit == "after_gate"


def _opening(declaration: ModelDeclaration) -> dict[str, State]:
    opening = {"action": "open", **_AT, "input.$": "$$.Execution.Input"}
    refused = {"ErrorEquals": NO_RETRY_ERRORS, "ResultPath": "$.failure", "Next": "NotOpened"}
    open_run = _invoke("run", opening, "$.run", "Places", catch="CloseFailed")
    open_run["Catch"].insert(0, refused)
    return {
        "OpenRun": open_run,
        "NotOpened": {"Type": "Fail", "ErrorPath": "$.failure.Error", "CausePath": "$.failure.Cause"},
        "Places": {
            "Type": "Pass",
            "Comment": "Where the jobs of this run write their results",
            "Parameters": {
                "training.$": "States.Format('${RunsUri}{}/train/', $.run.result.run_id)",
                "evaluation.$": "States.Format('${RunsUri}{}/evaluation/', $.run.result.run_id)",
                "refit.$": "States.Format('${RunsUri}{}/refit/', $.run.result.run_id)",
                "refit_check.$": "States.Format('${RunsUri}{}/refit_check/', $.run.result.run_id)",
                **_checkpoints(declaration),
            },
            "ResultPath": "$.places",
            "Next": "WhatKind",
        },
        "WhatKind": {
            "Type": "Choice",
            "Choices": [
                {
                    "And": [
                        {"Variable": "$.run.result.kind", "StringEquals": "rollout"},
                        {"Variable": "$.version", "IsPresent": True},
                    ],
                    "Next": "AskedVersion",
                },
                {"Variable": "$.run.result.kind", "StringEquals": "rollout", "Next": "ChampionVersion"},
                {"Variable": "$.run.result.kind", "StringEquals": "train", "Next": "Snapshot"},
                {"Variable": "$.run.result.kind", "StringEquals": "smoke", "Next": "Snapshot"},
                {"Variable": "$.run.result.kind", "StringEquals": "restore", "Next": "NewestRows"},
            ],
            "Default": "UnknownAnswer",
        },
        "AskedVersion": {
            "Type": "Pass",
            "Comment": "A rollout of new code may name its champion",
            "Parameters": {"version.$": "$.version"},
            "ResultPath": "$.candidate",
            "Next": "StartRollout",
        },
        "ChampionVersion": {
            "Type": "Pass",
            "Comment": "A rollout of new code is for the current champion",
            "Parameters": {"version": None},
            "ResultPath": "$.candidate",
            "Next": "StartRollout",
        },
    }


def _checkpoints(declaration: ModelDeclaration) -> dict[str, str]:
    """Where the trainings of a run keep what outlives an interruption, each its own."""
    if declaration.training.spot is None:
        return {}
    jobs = ("training", "refit") if refits(declaration) else ("training",)
    return {
        f"checkpoints_{job}.$": f"States.Format('${{RunsUri}}{{}}/checkpoints_{job}/', $.run.result.run_id)"
        for job in jobs
    }


def _candidate(declaration: ModelDeclaration) -> dict[str, State]:
    results = _results()
    after_gate = "Register"
    refit: dict[str, str | None] = {"refit": None, "refit_uri": None}
    if refits(declaration):
        after_gate, refit = "WhetherToRefit", {"refit.$": "$.refit.result", "refit_uri.$": "$.places.refit_check"}
    return {
        "Snapshot": _invoke("snapshot", {**_RUN, **_AT}, "$.snapshot", _first(declaration), catch="CloseUntrained"),
        "Train": training_job(declaration, next_state="Evaluate", catch="DidItTrain"),
        **_continuing(declaration),
        "DidItTrain": {
            "Type": "Choice",
            "Comment": "A job that SageMaker did not accept, or had no instance for, has cost nothing",
            "Choices": [
                {
                    "Or": [
                        *({"Variable": "$.failure.Error", "StringEquals": e} for e in SAGEMAKER_RETRY["ErrorEquals"]),
                        {"Variable": "$.failure.Cause", "StringMatches": '*"FailureReason":"CapacityError*'},
                    ],
                    "Next": "CloseUntrained",
                }
            ],
            "Default": "CloseFailed",
        },
        "Evaluate": evaluation_job(declaration, next_state="Gate", catch="CloseFailed"),
        "Gate": _invoke("gate", {"action": "candidate", **results}, "$.gate", after_gate),
        "Register": _invoke("register", {**results, "gate.$": "$.gate.result", **refit}, "$.registered", "Verdict"),
        "Verdict": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.gate.result.verdict", "StringEquals": "fail", "Next": "CloseRejected"},
                {
                    "And": [
                        {"Variable": "$.gate.result.verdict", "StringEquals": "pass"},
                        {"Variable": "$.run.result.kind", "StringEquals": "smoke"},
                    ],
                    "Next": "CloseSmokePassed",
                },
                {"Variable": "$.gate.result.verdict", "StringEquals": "pass", "Next": "RegisteredVersion"},
            ],
            "Default": "UnknownAnswer",
        },
        "RegisteredVersion": {
            "Type": "Pass",
            "Parameters": {"version.$": "$.registered.result.version"},
            "ResultPath": "$.candidate",
            "Next": "StartRollout",
        },
    }


def _first(declaration: ModelDeclaration) -> str:
    """The state behind the snapshot."""
    return "Train" if declaration.training.warm_start is None else "WhetherToContinue"


def _continuing(declaration: ModelDeclaration) -> dict[str, State]:
    """A job of its own for a training that continues a version: its inputs have the kept estimator among them."""
    if declaration.training.warm_start is None:
        return {}
    return {
        "WhetherToContinue": _whether_to_continue("Continue", "Train"),
        "Continue": training_job(declaration, next_state="Evaluate", catch="DidItTrain", warm=True),
    }


def _whether_to_continue(then: str, otherwise: str) -> State:
    asked = {"Variable": "$.run.result.parent", "IsPresent": True, "Next": then}
    return {"Type": "Choice", "Choices": [asked], "Default": otherwise}


def _results() -> dict[str, Any]:
    return {**_RUN, "snapshot.$": "$.snapshot.result", "evaluation_uri.$": "$.places.evaluation", **_AT}


def _refit(declaration: ModelDeclaration) -> dict[str, State]:
    """Behind the gate. Whatever goes wrong here leaves the evaluated model to be registered, with the reason."""
    judged = {**_results(), "gate.$": "$.gate.result", "refit_uri.$": "$.places.refit_check"}
    first = "Refit"
    continuing: dict[str, State] = {}
    if declaration.training.warm_start is not None:
        first = "WhetherToContinueInRefit"
        continuing = {
            first: _whether_to_continue("ContinueInRefit", "Refit"),
            "ContinueInRefit": refit_job(declaration, next_state="CheckRefit", catch="RefitFailed", warm=True),
        }
    return {
        **continuing,
        "WhetherToRefit": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.gate.result.verdict", "StringEquals": "fail", "Next": "NoRefit"},
                {
                    "And": [
                        {"Variable": "$.gate.result.verdict", "StringEquals": "pass"},
                        {"Variable": "$.run.result.kind", "StringEquals": "smoke"},
                    ],
                    "Next": "NoRefit",
                },
                {"Variable": "$.gate.result.verdict", "StringEquals": "pass", "Next": first},
            ],
            "Default": "UnknownAnswer",
        },
        "NoRefit": {"Type": "Pass", "Parameters": {"result": None}, "ResultPath": "$.refit", "Next": "Register"},
        "Refit": refit_job(declaration, next_state="CheckRefit", catch="RefitFailed"),
        "CheckRefit": refit_check_job(declaration, next_state="JudgeRefit", catch="RefitFailed"),
        "JudgeRefit": _invoke("gate", {"action": "refit", **judged}, "$.refit", "Register"),
        "RefitFailed": _invoke("gate", {"action": "refit_failed", "cause.$": CAUSE, **_AT}, "$.refit", "Register"),
    }


def _restoration(declaration: ModelDeclaration) -> dict[str, State]:
    """An older version is judged beside the champion on the newest labelled rows; nothing is trained."""
    results = _results()
    judged = {"action": "restore", **results, "gate.$": "$.gate.result"}
    verdict = "$.gate.result.verdict"
    return {
        "NewestRows": _invoke("snapshot", {**_RUN, **_AT}, "$.snapshot", "EvaluateOlder"),
        "EvaluateOlder": older_evaluation_job(declaration, next_state="JudgeOlder", catch="CloseFailed"),
        "JudgeOlder": _invoke("gate", {"action": "older", **results}, "$.gate", "Readmit"),
        "Readmit": _invoke("register", judged, "$.registered", "WhetherReadmitted"),
        "WhetherReadmitted": {
            "Type": "Choice",
            "Choices": [
                {"Variable": verdict, "StringEquals": "fail", "Next": "CloseRejected"},
                {"Variable": verdict, "StringEquals": "pass", "Next": "RegisteredVersion"},
            ],
            "Default": "UnknownAnswer",
        },
    }


def _rollout() -> dict[str, State]:
    start = {"action": "start", **_RUN, "version.$": "$.candidate.version", **_AT}
    return {
        "StartRollout": _invoke("rollout", start, "$.rollout", "Shift", catch="RollBackAfterFailure"),
        "Shift": _rollout_step("shift", "WaitForStep"),
        "WaitForStep": _wait_until_look("Check"),
        "Check": _rollout_check("canary", "StepDecision"),
        "StepDecision": _decision(
            {"advance": "Shift", "hold": "WaitForStep", "promote": "Promote", "rollback": "Rollback"}
        ),
        "Promote": _rollout_step("promote", "WaitForBake"),
        "WaitForBake": _wait_until_look("CheckBake"),
        "CheckBake": _rollout_check("bake", "BakeDecision"),
        "BakeDecision": _decision({"ok": "Retire", "hold": "WaitForBakeAgain", "rollback": "Rollback"}),
        "WaitForBakeAgain": _wait_until_look("CheckBake"),
        "Retire": _invoke("rollout", {"action": "retire", **_ROLLOUT, **_AT}, "$.retired", "CloseSucceeded"),
        "Rollback": _invoke(
            "rollout",
            {"action": "rollback", **_ROLLOUT, "reasons.$": "$.rollout.reasons", **_AT},
            "$.rolled_back",
            "CloseRolledBack",
        ),
        "RollBackAfterFailure": _roll_back_after_failure(),
        "RollbackFailed": {
            "Type": "Pass",
            "Parameters": {
                "Error": "RollbackFailed",
                "Cause.$": "States.Format('{}: {}; and the rollback failed, {}: {}', $.failure.Error, "
                "$.failure.Cause, $.rollback_failure.Error, $.rollback_failure.Cause)",
            },
            "ResultPath": "$.failure",
            "Next": "CloseFailed",
        },
    }


def _roll_back_after_failure() -> State:
    """Names the rollout by its run: it may have failed before the pipeline heard of it."""
    failed = {"code": "pipeline_failed", "sentence.$": CAUSE}
    payload = {"action": "rollback", **_RUN, "reasons": [failed], **_AT}
    state = _invoke("rollout", payload, "$.rolled_back", "CloseFailed", catch="RollbackFailed")
    state["Catch"][0]["ResultPath"] = "$.rollback_failure"
    return state


def _closing() -> dict[str, State]:
    close = {"action": "close", **_AT}
    failed = {
        **close,
        "status": "failed",
        "cause.$": CAUSE,
    }
    close_failed = _invoke("run", failed, "$.closed", "Failed")
    close_untrained = _invoke("run", {**failed, "trained": False}, "$.closed", "Failed")
    for state in (close_failed, close_untrained):
        state["Catch"] = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.closing_failure", "Next": "Failed"}]
    states: dict[str, State] = {
        "UnknownAnswer": {
            "Type": "Pass",
            "Comment": "A function returned an answer that the pipeline does not know",
            "Parameters": {
                "Error": "UnknownAnswer",
                "Cause.$": "States.Format('no choice matches: {}', States.JsonToString($))",
            },
            "ResultPath": "$.failure",
            "Next": "CloseFailed",
        },
        "UnknownDecision": {
            "Type": "Pass",
            "Parameters": {
                "Error": "UnknownDecision",
                "Cause.$": "States.Format('the rollout decided {}, which is not a known decision', $.rollout.decision)",
            },
            "ResultPath": "$.failure",
            "Next": "RollBackAfterFailure",
        },
        "CloseFailed": close_failed,
        "CloseUntrained": close_untrained,
        # A state machine may not itself raise an error whose name begins with "States.", as a failed job's does.
        "Failed": {"Type": "Fail", "Error": "RunFailed", "CausePath": "$.failure.Cause"},
        "Done": {"Type": "Succeed"},
    }
    for name, status in {
        "CloseRejected": "rejected",
        "CloseSmokePassed": "smoke_passed",
        "CloseSucceeded": "succeeded",
    }.items():
        states[name] = _invoke("run", {**close, "status": status, "cause": None}, "$.closed", "Done")
    rolled_back = {**close, "status": "rolled_back", "cause": None, "reasons.$": "$.rolled_back.result.reasons"}
    states["CloseRolledBack"] = _invoke("run", rolled_back, "$.closed", "Done")
    return states


def _invoke(
    function: str, payload: Mapping[str, Any], result: str, next_state: str, *, catch: str = "CloseFailed"
) -> State:
    return {
        "Type": "Task",
        "Resource": "arn:${Partition}:states:::lambda:invoke",
        "Parameters": {"FunctionName": f"${{{function.capitalize()}Function}}", "Payload": dict(payload)},
        "ResultSelector": {"result.$": "$.Payload"},
        "ResultPath": result,
        "TimeoutSeconds": PIPELINE_FUNCTIONS[function].timeout_seconds + MARGIN_SECONDS,
        "Retry": [*([ENDPOINT_RETRY] if function == "rollout" else []), LAMBDA_RETRY, TRANSIENT_RETRY, CRASH_RETRY],
        "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": catch}],
        "Next": next_state,
    }


MARGIN_SECONDS = 30
"""What a step waits beyond its function's own limit, so that it is the function that says what took so long."""


def _rollout_step(action: str, next_state: str) -> State:
    payload = {"action": action, **_ROLLOUT, **_AT}
    return _invoke("rollout", payload, "$.rollout", next_state, catch="RollBackAfterFailure")


def _rollout_check(phase: str, next_state: str) -> State:
    payload = {"action": "check", **_ROLLOUT, "phase": phase, **_AT}
    state = _invoke("rollout", payload, "$.rollout", next_state, catch="RollBackAfterFailure")
    state["ResultSelector"] = {
        "result.$": "$.Payload.rollout",
        "decision.$": "$.Payload.decision",
        "reasons.$": "$.Payload.reasons",
    }
    return state


def _wait_until_look(next_state: str) -> State:
    """An instant, not seconds: looks that each came a moment late would add up."""
    return {"Type": "Wait", "TimestampPath": "$.rollout.result.wait_until", "Next": next_state}


def _decision(ways: Mapping[str, str]) -> State:
    choices = [
        {"Variable": "$.rollout.decision", "StringEquals": decision, "Next": state} for decision, state in ways.items()
    ]
    return {"Type": "Choice", "Choices": choices, "Default": "UnknownDecision"}
