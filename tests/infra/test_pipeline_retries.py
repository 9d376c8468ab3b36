"""The pipeline's own definition in the local cloud's Step Functions, with functions that follow a script.

A rollout of new code goes through it, because that needs no jobs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from everloop.infra.pipeline_definition import pipeline_definition
from support.running_cloud import RunningCloud, running_cloud
from tests.helpers.declarations import binary_document, declare

pytestmark = pytest.mark.xdist_group("pipeline")

START = datetime(2026, 1, 5, tzinfo=UTC)
DECLARATION = declare(binary_document())
REASONS = [{"code": "error_rate", "sentence": "9 of 10 requests failed"}]
FUNCTION = """
import json, os

SCRIPT = json.loads(os.environ["SCRIPT"])
ROLLOUT = {"rollout_id": "r", "step_index": 0, "wait_until": "2026-01-01T00:00:00Z", "bake_seconds": 600}
calls = []

def handle(event, context):
    action = event["action"]
    if action == "calls":
        return calls
    calls.append({key: event.get(key) for key in ("action", "status", "cause", "reasons", "at")})
    raised = SCRIPT["raises"].get(action, [])
    if raised:
        raise type(raised.pop(0), (Exception,), {})("slow down")
    if action == "open":
        return {"run_id": event["execution"], "kind": "rollout"}
    if action == "check":
        decision = SCRIPT["decision"] if event["phase"] == "canary" else "ok"
        return {"decision": decision, "reasons": SCRIPT["reasons"], "rollout": ROLLOUT}
    return {**ROLLOUT, "reasons": SCRIPT["reasons"]}
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    directory, cache = tmp_path_factory.mktemp("cloud"), tmp_path_factory.mktemp("cache")
    with running_cloud(directory, cache, START) as running:
        yield running


class Pipeline:
    """The machine, and one function that stands for all of its functions."""

    def __init__(self, cloud: RunningCloud, name: str, *, decision: str = "promote", **raises: list[str]) -> None:
        self.cloud, self.name = cloud, name
        script = {"decision": decision, "reasons": REASONS, "raises": raises}
        self.function = cloud.function(name, FUNCTION, Environment={"Variables": {"SCRIPT": json.dumps(script)}})
        text = re.sub(r"\$\{\w+Function\}", self.function, json.dumps(pipeline_definition(DECLARATION)))
        allowed = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": self.function}
        self.machine = cloud.client("stepfunctions").create_state_machine(
            name=name,
            definition=re.sub(r"\$\{\w+\}", "unused", text.replace("${Partition}", "aws")),
            roleArn=cloud.role(f"{name}-machine", "states.amazonaws.com", allowed),
        )["stateMachineArn"]

    def run(self) -> dict[str, Any]:
        """One execution to its end."""
        asked = {"model": "m", "kind": "rollout", "trigger": {}, "version": 1}
        states = self.cloud.client("stepfunctions")
        execution = states.start_execution(stateMachineArn=self.machine, input=json.dumps(asked))["executionArn"]
        now = datetime.fromisoformat(self.cloud.daemon.clock()["now"])
        self.cloud.daemon.advance(now + timedelta(hours=1))
        self.cloud.wait_until_quiet()
        return dict(states.describe_execution(executionArn=execution))

    def calls(self) -> list[dict[str, Any]]:
        """What the function was asked, in order."""
        answer = self.cloud.client("lambda").invoke(FunctionName=self.name, Payload=b'{"action": "calls"}')
        return list(json.loads(answer["Payload"].read()))

    def actions(self) -> list[str]:
        return [call["action"] for call in self.calls()]


def test_an_event_that_is_not_taken_at_once_undoes_no_promotion(cloud: RunningCloud) -> None:
    pipeline = Pipeline(cloud, "promotes", promote=["EventNotAcceptedError", "ServiceBusyError"])
    # WHEN the promotion is throttled twice
    assert pipeline.run()["status"] == "SUCCEEDED"
    # THEN it is asked for until it is through, with the same input
    assert pipeline.actions() == ["open", "start", "shift", "check", *["promote"] * 3, "check", "retire", "close"]
    assert len({call["at"] for call in pipeline.calls() if call["action"] == "promote"}) == 1
    assert pipeline.calls()[-1]["status"] == "succeeded"


def test_a_rollback_is_tried_again_and_closes_the_run_with_the_reasons(cloud: RunningCloud) -> None:
    pipeline = Pipeline(cloud, "rolls-back", decision="rollback", rollback=["ContentionError", "Sandbox.Timedout"])
    assert pipeline.run()["status"] == "SUCCEEDED"
    assert pipeline.actions() == ["open", "start", "shift", "check", *["rollback"] * 3, "close"]
    *_, asked, closed = pipeline.calls()
    assert asked["reasons"] == REASONS
    assert (closed["status"], closed["reasons"]) == ("rolled_back", REASONS)


def test_a_rollback_that_never_passes_fails_the_run(cloud: RunningCloud) -> None:
    pipeline = Pipeline(cloud, "can-not", decision="rollback", rollback=["AliasContendedError"] * 20)
    assert pipeline.run()["status"] == "FAILED"
    assert pipeline.actions() == ["open", "start", "shift", "check", *["rollback"] * 6, "close"]
    assert pipeline.calls()[-1]["status"] == "failed"


def test_what_the_registry_refuses_is_not_tried_again(cloud: RunningCloud) -> None:
    pipeline = Pipeline(cloud, "refuses", promote=["ChampionChangedError"])
    assert pipeline.run()["status"] == "FAILED"
    assert pipeline.actions() == ["open", "start", "shift", "check", "promote", "rollback", "close"]
    *_, rolled_back, closed = pipeline.calls()
    assert "slow down" in rolled_back["reasons"][0]["sentence"]
    assert closed["status"] == "failed"
    assert closed["cause"].startswith("ChampionChangedError: ")
