"""Policies and state machines before the validators that others wrote, with the findings that stand and why."""

from __future__ import annotations

import json
import re
import subprocess
import warnings
from pathlib import Path
from typing import Any

import pytest
from botocore.validate import ParamValidator

from everloop.infra.pipeline_definition import pipeline_definition
from everloop.infra.probe_definition import probe_definition
from everloop.model_file.schema import Investment
from localcloud.core.clients import make_client
from support.npm import install_program
from tests.helpers.asl import filled
from tests.helpers.declarations import binary_document, declare, everything_document
from tests.helpers.synthesis import SECOND_STACK, Assembly
from tools.roles.statements import statements_of

DECLARATION = declare(binary_document())
MACHINES: dict[str, dict[str, Any]] = {
    "pipeline": pipeline_definition(DECLARATION),
    "pipeline with everything": pipeline_definition(declare(everything_document())),
    "probe": probe_definition(DECLARATION, Investment()),
}
TASKS = {
    f"{machine} {name}": state
    for machine, definition in MACHINES.items()
    for name, state in definition["States"].items()
    if state["Type"] == "Task"
}
APIS = {
    "lambda:invoke": ("lambda", "Invoke"),
    "sagemaker:createTrainingJob.sync": ("sagemaker", "CreateTrainingJob"),
    "sagemaker:createProcessingJob.sync": ("sagemaker", "CreateProcessingJob"),
}
"""What a task's resource calls: service and operation."""

ACCEPTED_IN_POLICIES = {
    ("RESOURCE_MISMATCH", "glue:GetDatabase"): "on the database default; the statement beside it names the catalogue",
    ("RESOURCE_MISMATCH", "sagemaker:CreateEndpoint"): "on a configuration; the statement before it names the endpoint",
}
ACCEPTED_IN_MACHINES = {
    r"\.BackoffRate is 2 but should be a Float$": "JSON has one kind of number, and 2 is 2.0",
}

PLACEHOLDERS = {
    "<region>": "us-east-1",
    "<account>": "123456789012",
    "<model>": "m",
    "<code>": "c0de",
    "<Registry>": "683313688378",
    "<Repository>": "sagemaker-scikit-learn",
    "<RegistryTable>": "arn:aws:dynamodb:us-east-1:123456789012:table/registry",
    "<DeadLettersQueue>": "arn:aws:sqs:us-east-1:123456789012:dead-letters",
    "<SigningKey>": "arn:aws:kms:us-east-1:123456789012:key/0a1b2c3d-0000-4000-8000-0123456789ab",
    "<EndpointRole>": "arn:aws:iam::123456789012:role/endpoint",
}
ENDINGS = {
    r"<Storage(\w+)>": r"arn:aws:s3:::\1",
    r"<(\w+)Function>": r"arn:aws:lambda:us-east-1:123456789012:function:\1",
    r"<(\w+)Logs>": r"arn:aws:logs:us-east-1:123456789012:log-group:\1:*",
    r"<PipelineJobs(\w+)>": r"arn:aws:iam::123456789012:role/\1",
}


def written_out(policy: str) -> str:
    """A policy with ARNs where the page about roles has names."""
    for name, value in PLACEHOLDERS.items():
        policy = policy.replace(name, value)
    for pattern, value in ENDINGS.items():
        policy = re.sub(pattern, value, policy)
    assert "<" not in policy, policy
    return policy


def policy_findings(statements: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """What parliament says of a policy: the issue, and the action it is about."""
    with warnings.catch_warnings():  # some of its strings have escapes that Python doesn't know
        warnings.simplefilter("ignore", category=SyntaxWarning)
        warnings.simplefilter("ignore", category=DeprecationWarning)
        from parliament import analyze_policy_string

    text = written_out(json.dumps({"Version": "2012-10-17", "Statement": statements}))
    found = analyze_policy_string(text).findings
    return {(f.issue, f.detail[0]["action"] if isinstance(f.detail, list) else str(f.detail)) for f in found}


def machine_findings(definition: dict[str, Any]) -> list[str]:
    """What statelint says of a state machine."""
    from statelint.linter import Linter

    return [str(problem) for problem in Linter.validate(definition)]


def test_every_roles_policy_is_good_for_parliament(assembly: Assembly) -> None:
    roles: dict[str, list[dict[str, Any]]] = {}
    for _, _, one in statements_of(assembly.templates[SECOND_STACK], SECOND_STACK):
        roles.setdefault(one.role, []).append(one.as_policy())
    found = {(role, *finding) for role, its in roles.items() for finding in policy_findings(its)}
    assert {finding for finding in found if finding[1:] not in ACCEPTED_IN_POLICIES} == set()
    assert {finding[1:] for finding in found} == set(ACCEPTED_IN_POLICIES), "a finding that is gone needs no reason"


def test_parliament_does_look() -> None:
    unknown = {"Effect": "Allow", "Action": ["s3:GetEverything"], "Resource": ["*"]}
    assert {issue for issue, _ in policy_findings([unknown])} == {"UNKNOWN_ACTION"}


@pytest.mark.parametrize("machine", MACHINES)
def test_every_machine_is_good_for_statelint(machine: str) -> None:
    found = machine_findings(MACHINES[machine])
    assert [f for f in found if not any(re.search(pattern, f) for pattern in ACCEPTED_IN_MACHINES)] == []


def test_statelint_does_look() -> None:
    assert machine_findings({"StartAt": "A", "States": {"B": {"Type": "Pass", "End": True}}})


SECOND_VALIDATOR = "asl-validator@4.0.0"
"""Which looks at paths, intrinsic functions and ARNs too."""


def answer_of(validator: Path, machines: dict[str, dict[str, Any]], folder: Path) -> subprocess.CompletedProcess[str]:
    """What it says of all of them: exit status 1 where there is a finding."""
    words = []
    for name, definition in machines.items():
        file = folder / f"{name}.json"
        # The template puts the partition there; every other name may stand where it stands.
        text = json.dumps(definition).replace("${Partition}", "aws")
        file.write_text(text, encoding="utf-8")
        words += ["--json-path", str(file)]
    return subprocess.run([validator, *words], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_every_machine_is_good_for_another_validator_which_does_look(tmp_path: Path) -> None:
    validator = install_program(SECOND_VALIDATOR, "asl-validator", tmp_path)
    done = answer_of(validator, MACHINES, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    broken = json.loads(json.dumps(MACHINES["pipeline"]))
    broken["States"][broken["StartAt"]]["ResultPath"] = "nowhere"
    done = answer_of(validator, {"broken": broken}, tmp_path)
    assert done.returncode == 1
    assert "ResultPath" in done.stdout + done.stderr


@pytest.mark.parametrize("task", TASKS)
def test_the_api_takes_the_parameters_of_a_task(task: str) -> None:
    """By the very model that botocore has of that operation."""
    state = TASKS[task]
    service, operation = APIS[state["Resource"].split(":states:::")[1]]
    parameters = filled(state["Parameters"])
    if operation == "Invoke":
        parameters["Payload"] = json.dumps(parameters["Payload"])  # Step Functions sends the object as text
    else:
        assert re.fullmatch(r"\$\{\w+Role\}", parameters["RoleArn"])  # the template puts the ARN there
        parameters["RoleArn"] = "arn:aws:iam::123456789012:role/job"
    shape = make_client(service, region_name="us-east-1").meta.service_model.operation_model(operation).input_shape
    report = ParamValidator().validate(parameters, shape)
    assert not report.has_errors(), report.generate_report()
