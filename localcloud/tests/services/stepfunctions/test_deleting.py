"""A state machine whose executions run is not gone at once, and neither is its stack."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.in_process import Client, Cloud
from support.refusals import refused
from support.state_machines import Definition, Machine, State, chain, put
from support.state_machines import table as table

HOUR = 3600


def two_waits() -> Definition:
    return chain(
        First={"Type": "Wait", "Seconds": HOUR},
        Second={"Type": "Wait", "Seconds": HOUR, "Comment": "an execution of a deleted machine never comes here"},
    )


def waiting(cloud: Cloud, definition: Definition | None = None, **more: Any) -> tuple[Machine, str]:
    machine = Machine(cloud, definition or two_waits(), **more)
    execution = machine.start(name="one")
    cloud.wait_until_quiet()
    return machine, execution


def is_gone(machine: Machine) -> bool:
    try:
        machine.states.describe_state_machine(stateMachineArn=machine.arn)
    except ClientError as error:
        return error.response["Error"]["Code"] == "StateMachineDoesNotExist"
    return False


def test_without_executions_it_is_gone_and_deleting_it_again_is_fine(cloud: Cloud) -> None:
    machine = Machine(cloud, two_waits())
    for _ in range(2):
        machine.states.delete_state_machine(stateMachineArn=machine.arn)
        assert is_gone(machine)


def test_while_one_waits_it_is_deleting_and_takes_nothing_new(cloud: Cloud) -> None:
    machine, execution = waiting(cloud)
    machine.states.delete_state_machine(stateMachineArn=machine.arn)
    assert machine.states.describe_state_machine(stateMachineArn=machine.arn)["status"] == "DELETING"
    assert machine.describe(execution)["status"] == "RUNNING"
    definition = json.dumps(two_waits())
    for call in (
        lambda: machine.states.start_execution(stateMachineArn=machine.arn),
        lambda: machine.states.update_state_machine(stateMachineArn=machine.arn, definition=definition),
        lambda: machine.states.create_state_machine(name="machine", definition=definition, roleArn=machine.role),
    ):
        assert refused(call) == {
            "Code": "StateMachineDeleting",
            "Message": f"State Machine is being deleted: '{machine.arn}'",
        }
    # AND its end can't be called off
    machine.states.delete_state_machine(stateMachineArn=machine.arn)
    assert [m["name"] for m in machine.states.list_state_machines()["stateMachines"]] == ["machine"]


def test_it_is_gone_once_its_executions_are_stopped_and_its_name_is_free(cloud: Cloud) -> None:
    machine, execution = waiting(cloud)
    machine.states.delete_state_machine(stateMachineArn=machine.arn)
    machine.states.stop_execution(executionArn=execution)
    cloud.wait_until_quiet()
    assert is_gone(machine)
    definition = json.dumps(two_waits())
    machine.states.create_state_machine(name="machine", definition=definition, roleArn=machine.role)
    assert machine.states.describe_state_machine(stateMachineArn=machine.arn)["status"] == "ACTIVE"
    assert refused(lambda: machine.describe(execution))["Code"] == "ExecutionDoesNotExist"


@pytest.mark.parametrize(
    "after",
    [
        {"Type": "Wait", "Seconds": HOUR},
        {"Type": "Parallel", "Branches": [two_waits()], "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Never"}]},
    ],
    ids=lambda state: state["Type"],
)
def test_an_execution_fails_at_its_next_transition_and_the_machine_goes(
    cloud: Cloud, table: None, after: State
) -> None:
    definition = chain(First={"Type": "Wait", "Seconds": HOUR}, Then=after, Never=put())
    machine, execution = waiting(cloud, definition)
    machine.states.delete_state_machine(stateMachineArn=machine.arn)
    cloud.advance(seconds=HOUR - 1)
    assert not is_gone(machine)
    events = machine.states.get_execution_history(executionArn=execution)["events"]
    assert [event["type"] for event in events] == ["ExecutionStarted", "WaitStateEntered"]
    cloud.advance(seconds=2)
    assert is_gone(machine)
    assert cloud.client("dynamodb").scan(TableName="records")["Count"] == 0


def test_what_failed_says_why_while_another_execution_holds_the_machine(cloud: Cloud) -> None:
    machine, first = waiting(cloud)
    cloud.advance(seconds=HOUR / 2)
    machine.start(name="two")
    cloud.wait_until_quiet()
    machine.states.delete_state_machine(stateMachineArn=machine.arn)
    cloud.advance(seconds=HOUR / 2 + 1)
    told = machine.describe(first)
    assert (told["status"], told["error"]) == ("FAILED", "States.Runtime")
    assert told["cause"] == "State machine machine has been deleted."
    events = machine.states.get_execution_history(executionArn=first)["events"]
    assert [event["type"] for event in events][-2:] == ["WaitStateExited", "ExecutionFailed"]
    cloud.advance(seconds=HOUR / 2)
    assert is_gone(machine)


def test_a_branch_under_way_ends_with_it(cloud: Cloud, table: None) -> None:
    """A transition within a branch counts, and no Catch of the state around it goes on."""
    inner = chain(A={"Type": "Wait", "Seconds": 60}, B=put())
    outer = {
        "Type": "Parallel",
        "Branches": [inner, chain(C={"Type": "Wait", "Seconds": HOUR})],
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Never"}],
    }
    machine, _ = waiting(cloud, chain(Both=outer, Never=put()))
    machine.states.delete_state_machine(stateMachineArn=machine.arn)
    cloud.advance(seconds=61)
    assert is_gone(machine)
    assert cloud.client("dynamodb").scan(TableName="records")["Count"] == 0


def template(definition: Definition) -> str:
    trust = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]}}
    machine = {
        "StateMachineName": "machine",
        "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
        "DefinitionString": json.dumps(definition),
    }
    resources = {
        "Role": {"Type": "AWS::IAM::Role", "Properties": role},
        "Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": machine},
    }
    return json.dumps({"Resources": resources})


class TestOfAStack:
    def deployed(self, cloud: Cloud, definition: Definition) -> tuple[Client, Client, str]:
        """Its clients, and an execution that waits while it is being deleted."""
        formation, states = cloud.client("cloudformation"), cloud.client("stepfunctions")
        formation.create_stack(StackName="stack", TemplateBody=template(definition), Capabilities=["CAPABILITY_IAM"])
        cloud.wait_until_quiet()
        arn = formation.describe_stack_resource(StackName="stack", LogicalResourceId="Machine")
        arn = arn["StackResourceDetail"]["PhysicalResourceId"]
        execution = states.start_execution(stateMachineArn=arn)["executionArn"]
        cloud.wait_until_quiet()
        formation.delete_stack(StackName="stack")
        return formation, states, execution

    def status(self, formation: Client) -> str:
        try:
            (found,) = formation.describe_stacks(StackName="stack")["Stacks"]
        except ClientError:
            return "gone"
        return str(found["StackStatus"])

    def until(self, formation: Client, *wanted: str) -> str:
        deadline = time.monotonic() + 30
        while (found := self.status(formation)) not in wanted:
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
        return found

    def test_its_deletion_goes_on_until_the_execution_is_stopped(self, cloud: Cloud) -> None:
        formation, states, execution = self.deployed(cloud, two_waits())
        cloud.advance(seconds=HOUR - 60)
        assert self.status(formation) == "DELETE_IN_PROGRESS"
        states.stop_execution(executionArn=execution)
        assert self.until(formation, "gone", "DELETE_FAILED") == "gone"

    def test_it_fails_after_two_hours_and_can_be_deleted_again(self, cloud: Cloud) -> None:
        definition = chain(First={"Type": "Wait", "Seconds": 3 * HOUR})
        formation, states, execution = self.deployed(cloud, definition)
        cloud.advance(seconds=2 * HOUR + 1)
        assert self.until(formation, "gone", "DELETE_FAILED") == "DELETE_FAILED"
        events = formation.describe_stack_events(StackName="stack")["StackEvents"]
        assert any("stays DELETING while executions run" in event.get("ResourceStatusReason", "") for event in events)
        states.stop_execution(executionArn=execution)
        cloud.wait_until_quiet()
        formation.delete_stack(StackName="stack")
        assert self.until(formation, "gone") == "gone"
