"""In a cloud on real time, time is passed at once: what waits goes on, what is scheduled fires, at its instant."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

import everloop.cli.operations.training as training
from everloop.cli.operations.training import follow
from everloop.cli.operations.waiting import waiting_of
from everloop.instants import format_instant
from support.running_cloud import RunningCloud

pytestmark = pytest.mark.xdist_group("pointed at")  # one cloud for all of that group

MACHINE = {
    "StartAt": "WaitForBake",
    "States": {
        "WaitForBake": {"Type": "Wait", "TimestampPath": "$.rollout.result.wait_until", "Next": "Done"},
        "Done": {"Type": "Succeed"},
    },
}


def start(cloud: RunningCloud, bake_seconds: int) -> str:
    """An execution that waits as a baking run does; its ARN."""
    states, role = cloud.client("stepfunctions"), cloud.role("m-role", "states.amazonaws.com")
    arn = states.create_state_machine(name="m", definition=json.dumps(MACHINE), roleArn=role)["stateMachineArn"]
    ends = format_instant(datetime.fromisoformat(cloud.daemon.clock()["now"]) + timedelta(seconds=bake_seconds))
    document = json.dumps({"rollout": {"result": {"wait_until": ends, "phase_ends": ends}}})
    return str(states.start_execution(stateMachineArn=arn, input=document)["executionArn"])


def wait_for(found: Any) -> Any:
    """What ``found`` gives, once it is something."""
    deadline = time.monotonic() + 30
    while (value := found()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return value


def test_what_waits_is_told_and_goes_on_when_its_time_has_passed(
    cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN an execution that waits for a day
    states, execution = cloud.client("stepfunctions"), start(cloud, 86_400)
    waiting = wait_for(lambda: waiting_of(states, execution))
    begun = states.describe_execution(executionArn=execution)["startDate"]
    # THEN it is told until when
    assert waiting.state == "WaitForBake"
    assert abs(waiting.until - begun - timedelta(days=1)) < timedelta(seconds=30)
    # WHEN time passes to shortly before; THEN it still waits
    cloud.daemon.pass_time(waiting.until - timedelta(minutes=10))
    assert states.describe_execution(executionArn=execution)["status"] == "RUNNING"
    # WHEN it passes beyond; THEN it has ended, at its instant
    cloud.daemon.pass_time(waiting.until + timedelta(hours=2))
    ended = wait_for(lambda: states.describe_execution(executionArn=execution).get("stopDate"))
    assert abs(ended - waiting.until) < timedelta(seconds=5)
    assert waiting_of(states, execution) is None
    # and whoever follows it is told each step once, whatever a page of its history holds
    machine, _, run = execution.replace(":execution:", ":stateMachine:").rpartition(":")
    account: Any = SimpleNamespace(
        client=lambda service: states, model=lambda name: SimpleNamespace(state_machine_arn=machine)
    )
    monkeypatch.setattr(training, "EVENTS_A_PAGE", 2)
    told = [(step.state, step.event) for step in follow(account, "m", run, until_state=None)]
    assert told == [(name, event) for name in ("WaitForBake", "Done") for event in ("started", "done")]
    # and the clock goes on
    now = datetime.fromisoformat(cloud.daemon.clock()["now"])
    assert timedelta(0) <= now - waiting.until - timedelta(hours=2) < timedelta(minutes=5)
