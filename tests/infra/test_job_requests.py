"""The jobs' requests are those that the SageMaker SDK sends when it is given its own typed shapes.

The SDK refuses a field that it does not know, and one of another type; what it sends is then held against ours.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import boto3
import pytest
from moto import mock_aws

from everloop.cost.templates import all_states, jobs_of
from everloop.documents.training import CHECKPOINTS
from everloop.infra.pipeline_definition import pipeline_definition
from everloop.infra.probe_definition import probe_definition
from everloop.model_file.schema import Investment
from tests.helpers.asl import filled
from tests.helpers.declarations import binary_document, declare

JOBS = {"sagemaker:createTrainingJob.sync": "TrainingJob", "sagemaker:createProcessingJob.sync": "ProcessingJob"}
WARM = declare(binary_document(training={"warm_start": {}}))
PLAIN = declare(binary_document())
SPOT = declare(binary_document(training={"spot": {"wait_minutes": 45}, "max_minutes": 20}))
DEFINITIONS = {
    "plain": pipeline_definition(PLAIN),
    "warm": pipeline_definition(WARM),
    "spot": pipeline_definition(SPOT),
    "probe": probe_definition(PLAIN, Investment()),
}
TASKS = {
    f"{machine} {name}": state
    for machine, definition in DEFINITIONS.items()
    for name, state in definition["States"].items()
    if state["Type"] == "Task" and state["Resource"].split(":states:::")[1] in JOBS
}
MAPS = {"HyperParameters", "Environment"}
ROLE = "arn:aws:iam::123456789012:role/job"


@pytest.fixture(scope="module")
def resources() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the SDK's own docstrings
        from sagemaker.core import resources
    return resources


def sent(resources: Any, kind: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """What the SDK's ``create`` sends for a request, handed to it in the SDK's names and shapes."""
    found: list[dict[str, Any]] = []
    session = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1")
    keep: Callable[..., None] = lambda params, **_: found.append(dict(params))  # noqa: E731
    session.events.register(f"before-parameter-build.sagemaker.Create{kind}", keep)
    arguments = in_snake_case(request)
    with mock_aws():
        getattr(resources, kind).create(**arguments, session=session, region="us-east-1")
    (one,) = found
    return one


def in_snake_case(value: Any) -> Any:
    """The same with the SDK's names of fields; the names of a map are data."""
    from sagemaker.core.utils.code_injection.codec import pascal_to_snake

    if isinstance(value, Mapping):
        fields = {name: inner if name in MAPS else in_snake_case(inner) for name, inner in value.items()}
        return {pascal_to_snake(name): inner for name, inner in fields.items()}
    return [in_snake_case(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("task", TASKS)
def test_the_sdk_sends_the_same_request_from_its_typed_shapes(resources: Any, task: str) -> None:
    state = TASKS[task]
    kind = JOBS[state["Resource"].split(":states:::")[1]]
    request = {**filled(state["Parameters"]), "RoleArn": ROLE}
    assert sent(resources, kind, request) == request


def test_spot_trainings_wait_within_the_states_own_limit_and_keep_apart_from_each_other() -> None:
    trainings = [TASKS["spot Train"], TASKS["spot Refit"]]
    for state in trainings:
        request = state["Parameters"]
        assert request["EnableManagedSpotTraining"] is True
        assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 1200, "MaxWaitTimeInSeconds": 1200 + 2700}
        assert request["Environment"][CHECKPOINTS] == request["CheckpointConfig"]["LocalPath"]
        assert state["TimeoutSeconds"] > request["StoppingCondition"]["MaxWaitTimeInSeconds"]
    places = DEFINITIONS["spot"]["States"]["Places"]["Parameters"]
    kept = [
        places[state["Parameters"]["CheckpointConfig"]["S3Uri.$"].removeprefix("$.places.") + ".$"]
        for state in trainings
    ]
    assert len(set(kept)) == 2
    without = pipeline_definition(declare(binary_document(training={"max_minutes": 20})))
    assert DEFINITIONS["spot"]["TimeoutSeconds"] - without["TimeoutSeconds"] == 2 * 2700
    assert "MaxWaitTimeInSeconds" not in TASKS["plain Train"]["Parameters"]["StoppingCondition"]
    told = {job.state: job.kind for job in jobs_of(all_states(DEFINITIONS["spot"]))}
    assert {state for state, kind in told.items() if kind == "spot training"} == {"Train", "Refit"}
    assert told["Evaluate"] == "processing"


def test_the_sdk_refuses_what_it_does_not_know(resources: Any) -> None:
    state = TASKS["plain Train"]
    request = {**filled(state["Parameters"]), "RoleArn": ROLE}
    unknown = {**request, "ResourceConfig": {**request["ResourceConfig"], "InstanceKind": "m"}}
    wrong = {**request, "StoppingCondition": {"MaxRuntimeInSeconds": "an hour"}}
    for changed in (unknown, wrong):
        with pytest.raises(ValueError, match="validation error"):
            sent(resources, "TrainingJob", changed)


def test_paths_of_a_state_machine_are_no_fields_of_the_shapes(resources: Any) -> None:
    """So the states are no objects of the SDK: it could not write ``S3OutputPath.$``."""
    state = TASKS["plain Train"]
    with pytest.raises(ValueError, match="validation error"):
        sent(resources, "TrainingJob", {**state["Parameters"], "TrainingJobName": "a", "RoleArn": ROLE})
