"""The state machine of fresh probes, and what the templates of a model have of it."""

from __future__ import annotations

import json
import re
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator

from everloop.functions.probe.handler import ProbeAnswer, ProbeEvent
from everloop.infra.function_catalogue import PROBE_FACTS, functions_of
from everloop.infra.pipeline_definition import TRANSIENT_RETRY
from everloop.infra.probe_definition import probe_definition
from everloop.model_file.schema import Investment
from everloop.names import PROBE_FUNCTION, ModelNames
from tests.helpers.asl import filled
from tests.helpers.declarations import binary_document, declare
from tests.helpers.synthesis import MODEL_STACK, SECOND_STACK, Assembly
from tests.infra.test_security import listed, statements

DECLARATION = declare(binary_document())
INVESTMENT = Investment(probe_minutes=7, instance_type="ml.c5.xlarge")
DEFINITION = probe_definition(DECLARATION, INVESTMENT)
STATES: dict[str, dict[str, Any]] = DEFINITION["States"]
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}
SECOND = "delay_minutes"


def following(state: dict[str, Any]) -> set[str]:
    names = {state[key] for key in ("Next", "Default") if key in state}
    names |= {choice["Next"] for choice in state.get("Choices", [])}
    return names | {catch["Next"] for catch in state.get("Catch", [])}


def test_every_state_is_reached_and_every_way_ends() -> None:
    found, waiting = set(), [DEFINITION["StartAt"]]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += following(STATES[name])
    assert found == set(STATES)
    assert {name for name in STATES if not following(STATES[name])} == {"Done", "Failed"}
    assert STATES["WhetherToMeasure"]["Default"] == "UnknownAnswer"
    assert STATES["UnknownAnswer"]["Next"] == "Failed"


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_limited_tried_again_and_caught(name: str) -> None:
    task = TASKS[name]
    assert 0 < task["TimeoutSeconds"] < DEFINITION["TimeoutSeconds"]
    assert all(retry["MaxAttempts"] > 0 and retry["JitterStrategy"] == "FULL" for retry in task["Retry"])
    assert [catch["Next"] for catch in task["Catch"]] == ["Failed"]
    assert task["Catch"][0]["ErrorEquals"] == ["States.ALL"]


@pytest.mark.parametrize("name", ["Prepare", "Record"])
def test_the_function_gets_what_it_reads_and_never_asks_the_clock(name: str) -> None:
    payload = TASKS[name]["Parameters"]["Payload"]
    assert {key.removesuffix(".$") for key in payload} == set(ProbeEvent.__annotations__)
    assert payload["at.$"] == "$$.State.EnteredTime"
    assert payload["asked.$"] == "$$.Execution.Input"
    assert payload["action"] == name.lower()
    assert TRANSIENT_RETRY in TASKS[name]["Retry"]
    assert TASKS[name]["TimeoutSeconds"] == PROBE_FACTS.timeout_seconds + 30


def test_the_job_reads_what_was_prepared() -> None:
    places = set(re.findall(r"\$\.prepared\.result\.places\.(\w+)", json.dumps(STATES["Measure"])))
    assert places == {"train_uri", "window_uri", "plan_uri", "result_uri"}
    assert {c["Variable"] for c in STATES["WhetherToMeasure"]["Choices"]} == {"$.prepared.result.go_on"}
    assert {"go_on", "places"} <= set(ProbeAnswer.__annotations__)


def test_sagemaker_takes_the_job_and_holds_it_to_its_budget() -> None:
    """The parameters as the service model wants them, once what is filled in at run time is."""
    parameters = {**filled(TASKS["Measure"]["Parameters"]), "RoleArn": "arn:aws:iam::123456789012:role/probe"}
    operation = boto3.client("sagemaker", region_name="us-east-1").meta.service_model.operation_model(
        "CreateProcessingJob"
    )
    assert operation.input_shape is not None
    report = ParamValidator().validate(parameters, operation.input_shape)
    assert not report.has_errors(), report.generate_report()
    assert parameters["StoppingCondition"] == {"MaxRuntimeInSeconds": 7 * 60}
    assert parameters["ProcessingResources"]["ClusterConfig"]["InstanceType"] == "ml.c5.xlarge"
    plain = probe_definition(DECLARATION, Investment())["States"]["Measure"]["Parameters"]
    assert plain["ProcessingResources"]["ClusterConfig"]["InstanceType"] == DECLARATION.training.instance_type


def test_the_longest_name_of_a_job_is_one() -> None:
    prefix = ModelNames("m" * 31).job_prefix
    assert len(f"{prefix}probe-{'0' * 16}") <= 63


def test_only_a_model_that_declares_it_has_probes(assembly: Assembly) -> None:
    assert PROBE_FUNCTION not in functions_of(DECLARATION)
    machines = {
        stack: {m["StateMachineName"] for m in assembly.of_type(stack, "AWS::StepFunctions::StateMachine").values()}
        for stack in (MODEL_STACK, SECOND_STACK)
    }
    assert machines == {
        MODEL_STACK: {"everloop-late_train-pipeline"},
        SECOND_STACK: {f"everloop-{SECOND}-pipeline", f"everloop-{SECOND}-probe"},
    }
    text = json.dumps(assembly.templates[MODEL_STACK]["Resources"])
    assert "probe.sh" not in text
    assert "PROBES#" not in text
    assert "probes/late_train" not in text


def test_what_fills_the_definition_in(assembly: Assembly) -> None:
    (machine,) = (
        m
        for m in assembly.of_type(SECOND_STACK, "AWS::StepFunctions::StateMachine").values()
        if m["StateMachineName"].endswith("-probe")
    )
    text = json.dumps(probe_definition(declare(binary_document()), Investment()))
    wanted = set(re.findall(r"\$\{(\w+)\}", text)) - {"Partition"}
    assert set(machine["DefinitionSubstitutions"]) == wanted


def of_role(assembly: Assembly, part: str) -> list[dict[str, Any]]:
    return [s for name, s in statements(assembly, SECOND_STACK) if part in name]


def reached(found: list[dict[str, Any]], action: str) -> str:
    return json.dumps([s["Resource"] for s in found if action in listed(s["Action"])])


def test_the_job_reads_probes_and_versions_and_writes_its_result(assembly: Assembly) -> None:
    found = of_role(assembly, "PipelineJobsProbe")
    readable, written = reached(found, "s3:GetObject"), reached(found, "s3:PutObject")
    assert f"/probes/{SECOND}/*" in readable
    assert f"/artifacts/{SECOND}/*" in readable
    for other in ("/datasets/", "/runs/", "/history/", "/predictions/", "/labels/"):
        assert other not in readable + written
    assert written.count("/probes/") == written.count(f"/probes/{SECOND}/*/result/*") == 1
    assert "dynamodb:" not in json.dumps([s["Action"] for s in found])


def test_nobody_but_its_function_writes_what_probes_found(assembly: Assembly) -> None:
    partition = f"PROBES#{SECOND}"
    by_role = {
        name.split("Role")[0]: listed(s["Action"])
        for name, s in statements(assembly, SECOND_STACK)
        if partition in json.dumps(s.get("Condition", {}))
    }
    assert set(by_role) == {"FunctionsProbe", "FunctionsMonitor", "FunctionsRun"}
    assert "dynamodb:PutItem" in by_role["FunctionsProbe"]
    assert by_role["FunctionsMonitor"] == by_role["FunctionsRun"] == ["dynamodb:Query"]


def test_the_machine_starts_its_own_jobs_alone(assembly: Assembly) -> None:
    found = of_role(assembly, "ProbesRole")
    assert "processing-job/everloop-delay-minutes-probe-*" in reached(found, "sagemaker:CreateProcessingJob")
    assert "training-job" not in json.dumps(found)
    passed = [s for s in found if "iam:PassRole" in listed(s["Action"])]
    assert len(passed) == 1
    assert "PipelineJobsProbe" in json.dumps(passed[0]["Resource"])
    assert passed[0]["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    invoked = reached(found, "lambda:InvokeFunction")
    assert [json.dumps(resource).count("FunctionsProbe") for resource in json.loads(invoked)] == [1]


def test_the_starter_starts_both_machines_of_such_a_model(assembly: Assembly) -> None:
    machines = reached(of_role(assembly, "FunctionsStarter"), "states:StartExecution")
    assert f"everloop-{SECOND}-probe" in machines
    assert f"everloop-{SECOND}-pipeline" in machines
    other = json.dumps([s for name, s in statements(assembly) if "FunctionsStarter" in name])
    assert "late_train-probe" not in other


def test_a_due_probe_and_a_request_for_an_older_version_reach_the_starter_and_a_failed_one_somebody(
    assembly: Assembly,
) -> None:
    rules = {r["Name"]: r for r in assembly.of_type(SECOND_STACK, "AWS::Events::Rule").values()}
    for name, detail_type in (("probe-due", "Probe Due"), ("restore-requested", "Restore Requested")):
        rule = rules[f"everloop-{SECOND}-{name}"]
        assert rule["EventPattern"]["detail-type"] == [detail_type]
        assert "Starter" in json.dumps(rule["Targets"][0]["Arn"])
    alarms = {a["AlarmName"] for a in assembly.of_type(SECOND_STACK, "AWS::CloudWatch::Alarm").values()}
    assert f"everloop-{SECOND}-probe-failed" in alarms
