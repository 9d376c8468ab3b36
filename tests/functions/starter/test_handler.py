from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from everloop.functions.starter.handler import Services, act
from everloop.registry.store import RegistryStore
from everloop.retraining.exceptions import RequestUnreadableError
from everloop.retraining.probe.requests import execution_name, read_request
from everloop.retraining.requests import RetrainingRequest
from tests.fakes.registry_table import TABLE, dynamodb
from tests.helpers.registry_scenes import open_run

ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:everloop-late_train-pipeline"
PROBES = "arn:aws:states:us-east-1:123456789012:stateMachine:everloop-late_train-probe"
TRIGGER = {
    "kind": "quality",
    "reason": "It fell.",
    "requested_at": "2013-06-01T11:00:00Z",
    "window_end": "2013-06-01T00:00:00Z",
}
NAME = RetrainingRequest.from_detail({"model": "late_train", "trigger": TRIGGER}).execution_name


class FakeStateMachines:
    """Starts each name once."""

    class exceptions:
        """As on a boto3 client."""

        class ExecutionAlreadyExists(Exception):
            """The name is taken."""

    def __init__(self) -> None:
        self.started: dict[str, dict[str, Any]] = {}

    def start_execution(self, *, stateMachineArn: str, name: str, input: str) -> dict[str, str]:
        if name in self.started:
            raise self.exceptions.ExecutionAlreadyExists(name)
        self.started[name] = {"arn": stateMachineArn, "input": json.loads(input)}
        return {"executionArn": f"{stateMachineArn}:{name}"}


def event(model: str = "late_train") -> dict[str, Any]:
    return {"detail": {"model": model, "trigger": TRIGGER, "reasons": []}}


@pytest.fixture
def using() -> Iterator[Services]:
    with mock_aws():
        store = RegistryStore(dynamodb(), TABLE, "late_train", pause=lambda _: None)
        yield Services(store, FakeStateMachines(), ARN, PROBES)


def test_starts_the_pipeline_with_the_trigger(using: Services) -> None:
    assert act(event(), using) == {"execution": NAME, "started": True}
    assert using.states.started[NAME] == {
        "arn": ARN,
        "input": {"model": "late_train", "kind": "train", "trigger": TRIGGER},
    }


def test_event_delivered_twice_starts_one_execution(using: Services) -> None:
    act(event(), using)
    assert act(event(), using) == {"execution": NAME, "started": False, "reason": "the execution already exists"}
    assert list(using.states.started) == [NAME]


def test_run_on_record_is_not_started_again(using: Services) -> None:
    open_run(using.store, NAME)
    assert act(event(), using)["reason"] == "the run is already recorded"
    assert using.states.started == {}


def test_request_of_another_model_is_refused(using: Services) -> None:
    with pytest.raises(RequestUnreadableError, match="was sent to the starter of late_train"):
        act(event("other"), using)


PROBE = {
    "model": "late_train",
    "window_start": "2013-05-25T00:00:00Z",
    "window_end": "2013-06-01T00:00:00Z",
    "as_of": "2013-06-01T11:00:00Z",
}


def test_a_due_probe_starts_its_own_machine_once(using: Services) -> None:
    due = {"detail-type": "Probe Due", "detail": PROBE}
    name = execution_name(read_request(PROBE))
    assert act(due, using) == {"execution": name, "started": True}
    assert using.states.started[name] == {"arn": PROBES, "input": PROBE}
    assert act(due, using) == {"execution": name, "started": False, "reason": "the execution already exists"}


def test_a_probe_of_another_model_is_refused(using: Services) -> None:
    with pytest.raises(RequestUnreadableError, match="a probe of model other was sent to the starter of late_train"):
        act({"detail-type": "Probe Due", "detail": {**PROBE, "model": "other"}}, using)
    with pytest.raises(RequestUnreadableError, match="as_of"):
        act({"detail-type": "Probe Due", "detail": {"model": "late_train"}}, using)


BRINGS_BACK = {**TRIGGER, "kind": "older_version", "reason": "Version 1 would have lost less.", "version": 1}


class TestBringingBack:
    """GIVEN a window that brings a version back."""

    def event(self, **changes: Any) -> dict[str, Any]:
        detail = {"model": "late_train", "trigger": {**BRINGS_BACK, **changes}, "reasons": []}
        return {"detail-type": "Restore Requested", "detail": detail}

    def test_it_starts_the_pipeline_once_with_the_version(self, using: Services) -> None:
        answer = act(self.event(), using)
        assert answer["started"]
        # No longer than a training's: its jobs are called after it.
        assert answer["execution"].startswith("restore-")
        assert len(answer["execution"]) == len(NAME)
        assert using.states.started[answer["execution"]] == {
            "arn": ARN,
            "input": {"model": "late_train", "kind": "restore", "trigger": BRINGS_BACK},
        }
        assert not act(self.event(), using)["started"]

    def test_without_a_version_it_is_refused(self, using: Services) -> None:
        event = self.event()
        del event["detail"]["trigger"]["version"]
        with pytest.raises(RequestUnreadableError, match=r"trigger\.version is missing"):
            act(event, using)
