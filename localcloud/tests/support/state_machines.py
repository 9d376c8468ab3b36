"""State machines in Amazon States Language, and what tests do with one again and again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.in_process import Cloud, Statement, allow

STATES = "states.amazonaws.com"

State = dict[str, Any]
"""A state, as it is written in a definition."""

Definition = dict[str, Any]
"""A machine, or a branch of one: where it starts, and its states by name."""


@pytest.fixture
def table(cloud: Cloud) -> None:
    """A table for what tasks put."""
    cloud.client("dynamodb").create_table(
        TableName="records",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def chain(**states: State) -> Definition:
    """States in the order given, each leading to the next unless it says otherwise."""
    names = list(states)
    for name, following in zip(names, [*names[1:], None], strict=True):
        state = states[name]
        if state["Type"] in ("Succeed", "Fail", "Choice") or "Next" in state or "End" in state:
            continue
        state.update({"Next": following} if following else {"End": True})
    return {"StartAt": names[0], "States": states}


def put(pk: str = "$.pk", **more: Any) -> State:
    """A task that puts an item with the key at this path."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::dynamodb:putItem",
        "Parameters": {"TableName": "records", "Item": {"pk": {"S.$": pk}}},
        **more,
    }


class Machine:
    """A machine of a cloud, with a role of its own."""

    def __init__(self, cloud: Cloud, definition: Definition, *statements: Statement, name: str = "machine") -> None:
        self.cloud = cloud
        self.states = cloud.client("stepfunctions")
        self.role = cloud.role(f"{name}-role", STATES, *(statements or (allow("*"),)))
        made = self.states.create_state_machine(name=name, definition=json.dumps(definition), roleArn=self.role)
        self.arn: str = made["stateMachineArn"]

    def start(self, document: object = None, **more: Any) -> str:
        """Start an execution; its ARN."""
        started = self.states.start_execution(stateMachineArn=self.arn, input=json.dumps(document or {}), **more)
        return str(started["executionArn"])

    def describe(self, execution: str) -> dict[str, Any]:
        """What the API says of an execution."""
        return dict(self.states.describe_execution(executionArn=execution))

    def run(self, document: object = None, **more: Any) -> dict[str, Any]:
        """Start an execution, and describe it once all is quiet."""
        execution = self.start(document, **more)
        self.cloud.wait_until_quiet()
        return self.describe(execution)
