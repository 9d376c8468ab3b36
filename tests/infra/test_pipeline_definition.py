"""The state machine as a graph: every way through it ends, and every failure closes the run."""

from __future__ import annotations

import importlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from everloop.exceptions import EverloopError, TerminalError, TransientError
from everloop.infra.function_catalogue import functions_of
from everloop.infra.packaging.files import write_tar_gz
from everloop.infra.pipeline_definition import (
    EDGES,
    ENDPOINT_RETRY,
    TRANSIENT_RETRY,
    domain_modules,
    pipeline_definition,
    transient_errors,
)
from everloop.model_file.schema import ModelDeclaration
from tests.helpers.declarations import binary_document, declare

DECLARATION = declare(binary_document())
DEFINITION = pipeline_definition(DECLARATION)
STATES: dict[str, dict[str, Any]] = DEFINITION["States"]
TASKS = {name: s for name, s in STATES.items() if s["Type"] == "Task"}


def following(state: dict[str, Any], *, failing: bool = True) -> set[str]:
    """The states that may come after ``state``."""
    names = {state[key] for key in ("Next", "Default") if key in state}
    names |= {choice["Next"] for choice in state.get("Choices", [])}
    if failing:
        names |= {catch["Next"] for catch in state.get("Catch", [])}
    return names


def reachable(start: str, *, failing: bool = True) -> set[str]:
    found, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += following(STATES[name], failing=failing)
    return found


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [t for v in value.values() for t in texts(v)]
    if isinstance(value, list):
        return [t for v in value for t in texts(v)]
    return [value] if isinstance(value, str) else []


def test_every_state_can_be_reached_and_exists() -> None:
    assert reachable(DEFINITION["StartAt"]) == set(STATES)


def test_every_way_ends() -> None:
    ends = {name for name, s in STATES.items() if s["Type"] in ("Succeed", "Fail")}
    assert ends == {"Done", "Failed", "NotOpened"}
    for name in STATES:
        assert reachable(name) & ends, name


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_limited_retried_and_caught(name: str) -> None:
    task = TASKS[name]
    assert task["TimeoutSeconds"] > 0
    assert task["Retry"], "a task without a retry fails for good by the first throttled call"
    for retry in task["Retry"]:
        assert retry["MaxAttempts"] > 0
        assert retry["BackoffRate"] > 1
        assert retry["JitterStrategy"] == "FULL"
        assert "States.Timeout" not in retry["ErrorEquals"]
        assert "States.ALL" not in retry["ErrorEquals"]
    assert task["Catch"][-1]["ErrorEquals"] == ["States.ALL"]


JOBS = {"Train", "Evaluate", "Refit", "CheckRefit", "EvaluateOlder"}
CALLS = {name for name, task in TASKS.items() if task["Resource"].endswith("lambda:invoke")}
TRANSIENT = {
    "AliasContendedError",
    "ContentionError",
    "EventNotAcceptedError",
    "FunctionNotReadyError",
    "MetricsIncompleteError",
    "PartsIncompleteError",
    "QueryInterruptedError",
    "RequestNotAcceptedError",
    "ServedOtherwiseError",
    "ServiceBusyError",
    "ServiceError",
    "StandingSetChosenError",
}
LAMBDA = {
    "Lambda.AWSLambdaException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.SdkClientException",
    "Lambda.ServiceException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Sandbox.Timedout",
}


def test_the_calls_of_functions_are_known() -> None:
    assert {"OpenRun", "Snapshot", "Gate", "Register", "Promote", "Rollback", "RollBackAfterFailure"} <= CALLS
    assert set(TASKS) - CALLS == JOBS


@pytest.mark.parametrize("name", sorted(CALLS))
def test_what_may_pass_is_tried_again_and_what_is_refused_is_not(name: str) -> None:
    """The errors by name: neither a broken contract nor a conflict with the registry passes by waiting."""
    tried_again = [error for retry in TASKS[name]["Retry"] for error in retry["ErrorEquals"]]
    waits = {"EndpointNotReadyError"} if "Rollout" in TASKS[name]["Parameters"]["FunctionName"] else set()
    assert sorted(tried_again) == sorted(TRANSIENT | LAMBDA | waits)


def test_what_is_tried_again_does_not_depend_on_what_was_imported_before() -> None:
    """Each transient error stands in a module that the definition imports by its name."""
    for module in domain_modules():
        importlib.import_module(module)
    assert set(transient_errors()) == TRANSIENT | {"EndpointNotReadyError"}


@pytest.mark.parametrize("name", sorted(JOBS))
def test_a_job_is_asked_for_again_and_not_run_again(name: str) -> None:
    tried_again = {error for retry in TASKS[name]["Retry"] for error in retry["ErrorEquals"]}
    assert tried_again == {"SageMaker.AmazonSageMakerException", "SageMaker.ResourceLimitExceededException"}


CLOSING = {"CloseFailed", "CloseUntrained"}


@pytest.mark.parametrize("name", sorted(set(TASKS) - CLOSING))
def test_every_failure_closes_the_run(name: str) -> None:
    for catch in TASKS[name]["Catch"]:
        if catch["Next"] != "NotOpened":
            assert CLOSING & reachable(catch["Next"])


def test_only_what_comes_before_a_job_ran_costs_none_of_the_quota() -> None:
    """Its instance is what the quota bounds."""
    assert {name for name in STATES if "CloseUntrained" in following(STATES[name])} == {"Snapshot", "DidItTrain"}
    assert {name for name in STATES if "DidItTrain" in following(STATES[name])} == {"Train"}
    payloads = {name: TASKS[name]["Parameters"]["Payload"] for name in CLOSING}
    assert payloads["CloseUntrained"] == {**payloads["CloseFailed"], "trained": False}


def test_only_a_refusal_to_open_skips_the_closing() -> None:
    skipping = {name for name, s in STATES.items() if "NotOpened" in following(s)}
    assert skipping == {"OpenRun"}


@pytest.mark.parametrize("name", ["StartRollout", "Shift", "Check", "Promote", "CheckBake"])
def test_a_failure_with_shifted_traffic_takes_it_back(name: str) -> None:
    assert [c["Next"] for c in TASKS[name]["Catch"]] == ["RollBackAfterFailure"]
    assert STATES["RollBackAfterFailure"]["Parameters"]["Payload"]["action"] == "rollback"


def test_a_failed_gate_never_comes_to_a_rollout() -> None:
    """GIVEN a gate's verdict; THEN the states behind it never reach a rollout unless it is ``pass``."""
    ways = {(c.get("StringEquals"), c["Next"]) for c in STATES["Verdict"]["Choices"] if "Variable" in c}
    assert ways == {("fail", "CloseRejected"), ("pass", "RegisteredVersion")}
    assert "StartRollout" not in reachable("CloseRejected")
    assert "StartRollout" not in reachable("CloseSmokePassed")
    assert "StartRollout" not in reachable(STATES["Verdict"]["Default"])


def test_an_older_version_comes_to_a_rollout_by_a_passed_gate_alone_and_nothing_is_trained() -> None:
    """GIVEN a run that brings an older version back; THEN it takes the newest rows, and the way of a new version."""
    assert {c["StringEquals"]: c["Next"] for c in STATES["WhatKind"]["Choices"] if "Variable" in c}["restore"] == (
        "NewestRows"
    )
    judged = ["NewestRows"]
    while STATES[judged[-1]]["Type"] == "Task":
        judged.append(STATES[judged[-1]]["Next"])
    assert judged == ["NewestRows", "EvaluateOlder", "JudgeOlder", "Readmit", "WhetherReadmitted"]
    ways = {(c["StringEquals"], c["Next"]) for c in STATES["WhetherReadmitted"]["Choices"]}
    assert ways == {("fail", "CloseRejected"), ("pass", "RegisteredVersion")}
    assert not {"Train", "Refit", "Register"} & reachable("NewestRows")
    assert STATES["NewestRows"]["Parameters"] == STATES["Snapshot"]["Parameters"]
    gate, readmit = (STATES[name]["Parameters"]["Payload"] for name in ("JudgeOlder", "Readmit"))
    assert (gate["action"], readmit) == ("older", {**gate, "action": "restore", "gate.$": "$.gate.result"})


def test_an_older_version_is_evaluated_as_a_candidate_is_by_its_registered_files() -> None:
    new, older = (STATES[name]["Parameters"] for name in ("Evaluate", "EvaluateOlder"))
    words = older["AppSpecification"]["ContainerArguments.$"]
    assert "'--older', $.run.result.older.artifact_uri" in words
    trained = "'--model-data', '/opt/ml/processing/input/model'"
    assert trained in new["AppSpecification"]["ContainerArguments.$"]
    assert (
        words.replace("'--older', $.run.result.older.artifact_uri", trained)
        == (new["AppSpecification"]["ContainerArguments.$"])
    )
    names = [[item["InputName"] for item in one["ProcessingInputs"]] for one in (new, older)]
    assert names == [["model", "test", "code"], ["test", "code"]]
    for same in ("RoleArn", "ProcessingOutputConfig", "ProcessingResources", "StoppingCondition"):
        assert new[same] == older[same], same


def test_the_registration_gets_all_that_the_gate_answered() -> None:
    """GIVEN an answer that holds the verdict and the hash of the report; THEN both come to the registration."""
    gate, register = STATES["Gate"], STATES["Register"]
    assert (gate["ResultSelector"], gate["ResultPath"]) == ({"result.$": "$.Payload"}, "$.gate")
    judged, registered = dict(gate["Parameters"]["Payload"]), register["Parameters"]["Payload"]
    assert judged.pop("action") == "candidate"
    refit = {"refit.$": "$.refit.result", "refit_uri.$": "$.places.refit_check"}
    assert registered == {**judged, "gate.$": "$.gate.result", **refit}


def test_a_refit_is_made_after_a_passed_gate_alone_and_not_of_a_smoke_run() -> None:
    # GIVEN the one way to a refit
    ways = {name for name, state in STATES.items() if "Refit" in following(state)}
    assert (STATES["Gate"]["Next"], ways) == ("WhetherToRefit", {"WhetherToRefit"})
    choices = STATES["WhetherToRefit"]["Choices"]
    # WHEN the gate said no, or the run is a smoke run, THEN an earlier choice leads past it
    by_verdict = {(c["StringEquals"], c["Next"]) for c in choices if "Variable" in c}
    assert by_verdict == {("fail", "NoRefit"), ("pass", "Refit")}
    smoke = choices.index(next(c for c in choices if "And" in c))
    assert (choices[smoke]["Next"], choices[-1]["Next"]) == ("NoRefit", "Refit")
    assert {c["StringEquals"] for c in choices[smoke]["And"]} == {"pass", "smoke"}
    assert STATES["NoRefit"]["Next"] == "Register"
    assert STATES["NoRefit"]["Parameters"] == {"result": None}


@pytest.mark.parametrize("name", ["Refit", "CheckRefit"])
def test_a_refit_that_fails_leaves_the_evaluated_model_to_be_registered(name: str) -> None:
    assert [c["Next"] for c in TASKS[name]["Catch"]] == ["RefitFailed"]
    payload = STATES["RefitFailed"]["Parameters"]["Payload"]
    assert payload["action"] == "refit_failed"
    assert "$.failure.Cause" in payload["cause.$"]
    assert (STATES["RefitFailed"]["ResultPath"], STATES["RefitFailed"]["Next"]) == ("$.refit", "Register")


def test_the_refit_is_the_same_training_on_more_rows() -> None:
    train, refit = ({**STATES[name]["Parameters"]} for name in ("Train", "Refit"))
    for own in ("TrainingJobName.$", "RoleArn", "InputDataConfig", "OutputDataConfig", "Environment"):
        assert train.pop(own) != refit.pop(own), own
    assert train == refit
    channels = {
        name: {
            c["ChannelName"]: c["DataSource"]["S3DataSource"]["S3Uri.$"]
            for c in STATES[name]["Parameters"]["InputDataConfig"]
        }
        for name in ("Train", "Refit")
    }
    snapshot = "$.snapshot.result."
    assert channels["Train"] == {"train": f"{snapshot}train_uri", "test_features": f"{snapshot}test_features_uri"}
    assert channels["Refit"] == {"train": f"{snapshot}train_uri", "test": f"{snapshot}test_uri"}


def test_every_job_is_told_what_the_files_of_each_part_are() -> None:
    for name in ("Train", "Refit", "Evaluate", "CheckRefit", "EvaluateOlder"):
        parameters = STATES[name]["Parameters"]
        channels = [c["ChannelName"] for c in parameters.get("InputDataConfig", [])] or ["test"]
        assert parameters["Environment"] == {
            f"EVERLOOP_SHA256_{channel.upper()}.$": f"$.snapshot.result.part_sha256.{channel}" for channel in channels
        }


def test_a_refit_is_handed_the_parameters_that_were_chosen_without_its_labels() -> None:
    tuning = {"space": {"trees": {"low": 10, "high": 50}}}
    states = pipeline_definition(declare(binary_document(training={"tuning": tuning})))["States"]
    train, refit = (
        {c["ChannelName"]: c["DataSource"]["S3DataSource"]["S3Uri.$"] for c in parameters["InputDataConfig"]}
        for parameters in (states["Train"]["Parameters"], states["Refit"]["Parameters"])
    )
    assert set(train) == {"train", "test_features"}
    assert (set(refit), refit["tuned"]) == ({"train", "test", "tuned"}, "$.training.model_data")
    assert states["Refit"]["Parameters"]["Environment"].keys() == {"EVERLOOP_SHA256_TRAIN.$", "EVERLOOP_SHA256_TEST.$"}


def test_a_standing_set_is_kept_off_trainings_and_handed_to_evaluations() -> None:
    declared = declare(binary_document(gate={"standing": {"max_increase": 0.02}}))
    states = pipeline_definition(declared)["States"]
    for name in ("Train", "Refit"):
        environment = states[name]["Parameters"]["Environment"]
        assert environment["EVERLOOP_HELD_OUT.$"] == "$.snapshot.result.standing.held_out"
    for name in ("Evaluate", "EvaluateOlder"):
        arguments = states[name]["Parameters"]["AppSpecification"]["ContainerArguments.$"]
        assert "'--standing', $.snapshot.result.standing.uri, '--standing-sha256', $.snapshot" in arguments
    assert "standing" not in states["CheckRefit"]["Parameters"]["AppSpecification"]["ContainerArguments.$"]


def test_without_a_refit_the_gate_is_followed_by_the_registration() -> None:
    declaration = declare(binary_document(training={"refit": "none"}))
    states = pipeline_definition(declaration)["States"]
    assert states["Gate"]["Next"] == "Register"
    assert not [name for name in states if "Refit" in name]
    payload = states["Register"]["Parameters"]["Payload"]
    assert (payload["refit"], payload["refit_uri"]) == (None, None)
    assert not [t for t in texts(states) if "Refit" in t]


def test_an_unknown_answer_fails_closed() -> None:
    for name, state in STATES.items():
        if state["Type"] == "Choice":
            assert "Failed" in reachable(state["Default"]), name
            assert "Done" not in reachable(state["Default"], failing=False), name


def test_no_function_asks_the_clock() -> None:
    for name, task in TASKS.items():
        if task["Resource"].endswith("lambda:invoke"):
            payload = task["Parameters"]["Payload"]
            assert payload["at.$"] == "$$.State.EnteredTime", name
            assert payload["execution.$"] == "$$.Execution.Name", name


def test_a_refused_evaluation_can_say_why() -> None:
    """SageMaker shows what a processing job wrote to this file, and no other word of it."""
    arguments = STATES["Evaluate"]["Parameters"]["AppSpecification"]["ContainerArguments.$"]
    assert "'--message', '/opt/ml/output/message'" in arguments


def test_only_jsonpath_is_used() -> None:
    assert "QueryLanguage" not in DEFINITION
    assert [t for t in texts(DEFINITION) if "{%" in t] == []


def test_tasks_outlast_their_functions() -> None:
    limits = {name: facts.timeout_seconds for name, facts in functions_of(DECLARATION).items()}
    invoking = [s for s in STATES.values() if s.get("Resource") == "arn:${Partition}:states:::lambda:invoke"]
    assert invoking
    for state in invoking:
        name = state["Parameters"]["FunctionName"].removeprefix("${").removesuffix("Function}").lower()
        assert state["TimeoutSeconds"] == limits[name] + 30, name


def test_what_is_transient_by_its_class_is_tried_again_and_nothing_else() -> None:
    for module in domain_modules():
        importlib.import_module(module)
    kinds = {TerminalError, TransientError}
    errors = {e for e in _below(EverloopError) if _of_the_domain(e)} - kinds
    assert len(errors) > 60
    tried_again = sorted([*TRANSIENT_RETRY["ErrorEquals"], *ENDPOINT_RETRY["ErrorEquals"]])
    assert tried_again == sorted(e.__name__ for e in errors if issubclass(e, TransientError))
    leaves = {e for e in errors if not e.__subclasses__()}
    assert {e for e in leaves if issubclass(e, TransientError) == issubclass(e, TerminalError)} == set()


def test_every_error_of_the_product_says_which_it_is() -> None:
    for module in domain_modules():
        importlib.import_module(module)
    own = {e for e in _below(Exception) if _of_the_domain(e)}
    assert len(own) > 60
    assert {e.__name__ for e in own if not issubclass(e, EverloopError)} == set()


def _of_the_domain(kind: type[Exception]) -> bool:
    root, _, rest = kind.__module__.partition(".")
    return root == "everloop" and rest.split(".")[0] not in EDGES


def _below(kind: type[Exception]) -> Iterator[type[Exception]]:
    for sub in kind.__subclasses__():
        yield sub
        yield from _below(sub)


def test_the_longest_rollout_ends_in_time() -> None:
    waits = sum(s.minutes for s in DECLARATION.rollout.steps) + DECLARATION.rollout.bake_minutes
    assert DEFINITION["TimeoutSeconds"] > waits * 60 + 4 * DECLARATION.training.max_minutes * 60


def test_placeholders_are_the_ones_the_construct_fills_in() -> None:
    found = {m for t in texts(DEFINITION) for m in re.findall(r"\$\{(\w+)\}", t)}
    functions = {f"{name.capitalize()}Function" for name in ("run", "snapshot", "gate", "register", "rollout")}
    others = {
        "CheckRefitRole",
        "EvaluateRole",
        "Image",
        "JobPrefix",
        "RefitPrefix",
        "RefitRole",
        "Partition",
        "Region",
        "RunsUri",
        "SourceUri",
        "Table",
        "TrainRole",
    }
    assert found == functions | others


def test_an_evaluation_by_raw_scores_asks_the_registry_for_nothing() -> None:
    document = DECLARATION.model_dump(mode="json") | {"recalibration": "none"}
    definition = pipeline_definition(ModelDeclaration.model_validate(document))
    arguments = definition["States"]["Evaluate"]["Parameters"]["AppSpecification"]["ContainerArguments.$"]
    assert "--registry" not in arguments
    recalibrated = DEFINITION["States"]["Evaluate"]["Parameters"]["AppSpecification"]["ContainerArguments.$"]
    assert "'--registry', '${Table}'" in recalibrated


def test_the_evaluation_starts_from_the_archive(tmp_path: Path) -> None:
    """GIVEN what SageMaker puts into the container; THEN the entrypoint unpacks it and hands its arguments on."""
    (tmp_path / "processing/input/code").mkdir(parents=True)
    program = b'printf "%s|" "$0" "$@"\n'
    write_tar_gz({"evaluate.sh": program}, tmp_path / "processing/input/code/0a1b.gz")
    words = STATES["Evaluate"]["Parameters"]["AppSpecification"]["ContainerEntrypoint"]
    command = [re.sub("^/opt/ml", str(tmp_path), word) for word in words]
    finished = subprocess.run([*command, "--test", "a b"], capture_output=True, text=True, check=True)
    assert finished.stdout == f"{tmp_path}/processing/code/evaluate.sh|--test|a b|"


def test_job_names_fit_sagemaker() -> None:
    from everloop.names import ModelNames

    names = ModelNames("m" * 31)
    for prefix in (names.job_prefix, names.refit_prefix):
        assert len(prefix + "train-" + "0" * 16) <= 63


class TestWarmStart:
    """A model whose trainings may continue a version."""

    definition = pipeline_definition(declare(binary_document(training={"warm_start": {}})))
    states: dict[str, dict[str, Any]] = definition["States"]

    def test_without_it_no_state_is_about_it(self) -> None:
        added = {"WhetherToContinue", "Continue", "WhetherToContinueInRefit", "ContinueInRefit"}
        assert set(self.states) - set(STATES) == added
        assert STATES["Snapshot"]["Next"] == "Train"

    @pytest.mark.parametrize(
        ("choice", "warm", "full"),
        [("WhetherToContinue", "Continue", "Train"), ("WhetherToContinueInRefit", "ContinueInRefit", "Refit")],
    )
    def test_a_run_with_a_parent_is_continued_and_every_other_trained_in_full(
        self, choice: str, warm: str, full: str
    ) -> None:
        (asked,) = self.states[choice]["Choices"]
        assert asked == {"Variable": "$.run.result.parent", "IsPresent": True, "Next": warm}
        assert self.states[choice]["Default"] == full
        # Both end alike, under the same role, and differ in the kept estimator and what it has to be.
        continued, in_full = self.states[warm], self.states[full]
        assert {k: v for k, v in continued.items() if k != "Parameters"} == {
            k: v for k, v in in_full.items() if k != "Parameters"
        }
        parameters = dict(continued["Parameters"])
        *rest, parent = parameters.pop("InputDataConfig")
        environment = parameters.pop("Environment")
        held = {name: value for name, value in environment.items() if "PARENT" not in name}
        assert {**parameters, "InputDataConfig": rest, "Environment": held} == in_full["Parameters"]
        assert parent["ChannelName"] == "parent"
        assert parent["DataSource"]["S3DataSource"]["S3Uri.$"] == "$.run.result.parent.estimator_uri"
        assert environment == held | {
            "EVERLOOP_PARENT_VERSION.$": "States.Format('{}', $.run.result.parent.version)",
            "EVERLOOP_PARENT_SHA256.$": "$.run.result.parent.estimator_sha256",
        }

    def test_the_ways_to_them_exist(self) -> None:
        assert self.states["Snapshot"]["Next"] == "WhetherToContinue"
        passed = [c["Next"] for c in self.states["WhetherToRefit"]["Choices"]]
        assert "WhetherToContinueInRefit" in passed
