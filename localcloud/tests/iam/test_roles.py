"""Trust policies with conditions on the resource that a service acts for, as the CDK writes them by default."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.iam.roles import RoleNotAssumableError, check_trust
from support.in_process import Cloud, allow

HERE = "us-east-1:123456789012"


def guarded_role(
    cloud: Cloud, service: str, source: str, *statements: dict[str, Any], account: str | None = None
) -> str:
    """A role that ``service`` may assume for resources like ``source`` only."""
    arn = cloud.role("guarded", service, *statements)
    condition = {
        "ArnLike": {"aws:SourceArn": source},
        "StringEquals": {"aws:SourceAccount": account or cloud.context.account_id},
    }
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    document = {"Version": "2012-10-17", "Statement": [{**statement, "Condition": condition}]}
    cloud.client("iam").update_assume_role_policy(RoleName="guarded", PolicyDocument=json.dumps(document))
    return arn


def run(cloud: Cloud, role: str) -> dict[str, Any]:
    """Publish from a state machine under a role; its execution."""
    client = cloud.client("stepfunctions")
    topic = cloud.client("sns").create_topic(Name="t")["TopicArn"]
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sns:publish",
        "Parameters": {"TopicArn": topic, "Message": "m"},
        "End": True,
    }
    branches = {"Type": "Parallel", "Branches": [{"StartAt": "T", "States": {"T": task}}], "End": True}
    machine = client.create_state_machine(
        name="machine", definition=json.dumps({"StartAt": "P", "States": {"P": branches}}), roleArn=role
    )["stateMachineArn"]
    execution = client.start_execution(stateMachineArn=machine)["executionArn"]
    cloud.wait_until_quiet()
    return dict(client.describe_execution(executionArn=execution))


def test_a_state_machine_assumes_its_role_in_its_own_name(cloud: Cloud) -> None:
    role = guarded_role(cloud, "states.amazonaws.com", f"arn:aws:states:{HERE}:stateMachine:*", allow("sns:Publish"))
    assert run(cloud, role)["status"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("source", "account"),
    [(f"arn:aws:states:{HERE}:stateMachine:other", None), (f"arn:aws:states:{HERE}:stateMachine:*", "210987654321")],
)
def test_a_role_for_others_is_not_assumed(cloud: Cloud, source: str, account: str | None) -> None:
    role = guarded_role(cloud, "states.amazonaws.com", source, allow("sns:Publish"), account=account)
    ended = run(cloud, role)
    assert ended["status"] == "FAILED"
    assert "can't assume this role" in ended["cause"]


def test_a_schedule_assumes_its_role_in_the_name_of_its_group(cloud: Cloud) -> None:
    role = guarded_role(
        cloud, "scheduler.amazonaws.com", f"arn:aws:scheduler:{HERE}:schedule-group/mine", allow("sqs:SendMessage")
    )
    url = cloud.client("sqs").create_queue(QueueName="q")["QueueUrl"]
    scheduler = cloud.client("scheduler")
    scheduler.create_schedule_group(Name="mine")
    schedule = {
        "Name": "s",
        "ScheduleExpression": "rate(1 minute)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {"Arn": f"arn:aws:sqs:{HERE}:q", "RoleArn": role, "Input": "now"},
    }
    with pytest.raises(ClientError, match="must allow AWS EventBridge Scheduler to assume the role"):
        scheduler.create_schedule(**schedule)

    scheduler.create_schedule(**schedule, GroupName="mine")
    cloud.advance(minutes=1)

    assert cloud.client("sqs").receive_message(QueueUrl=url)["Messages"][0]["Body"] == "now"


def test_a_rule_assumes_its_targets_role_in_its_own_name(cloud: Cloud) -> None:
    role = guarded_role(cloud, "events.amazonaws.com", f"arn:aws:events:{HERE}:rule/mine", allow("sqs:SendMessage"))
    url = cloud.client("sqs").create_queue(QueueName="q")["QueueUrl"]
    events = cloud.client("events")
    for name in ("mine", "other"):
        events.put_rule(Name=name, ScheduleExpression="rate(1 minute)")
        events.put_targets(
            Rule=name, Targets=[{"Id": "q", "Arn": f"arn:aws:sqs:{HERE}:q", "RoleArn": role, "Input": f'"{name}"'}]
        )
    cloud.advance(minutes=1)
    received = cloud.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]

    assert [message["Body"] for message in received] == ["mine"]


def test_a_service_that_names_no_resource_is_kept_out(cloud: Cloud) -> None:
    """Lambda assumes a function's role without ``aws:SourceArn``."""
    role = guarded_role(cloud, "lambda.amazonaws.com", "*")
    with pytest.raises(RoleNotAssumableError):
        check_trust(cloud.context, role, "lambda.amazonaws.com")
