"""Functions at the end of rules, schedules and tasks, in a local cloud of its own process on a moved clock."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.core.credentials import ACCOUNT_ID, REGION
from support.running_cloud import RunningCloud, running_cloud

pytestmark = pytest.mark.xdist_group("targets")  # one cloud for all of them

START = datetime(2026, 1, 5, tzinfo=UTC)
HERE = f"{REGION}:{ACCOUNT_ID}"
KEEP = """
import boto3, json, os
def handle(event, context):
    boto3.client("sqs").send_message(QueueUrl=os.environ["QUEUE"], MessageBody=json.dumps(event))
    return {"kept": True}
"""
FAIL = """
class TooFewRowsError(Exception):
    pass
def handle(event, context):
    raise TooFewRowsError(f"{event['rows']} rows")
"""


def allow(actions: str | list[str], resources: str | list[str] = "*") -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    directory, cache = tmp_path_factory.mktemp("cloud"), tmp_path_factory.mktemp("cache")
    with running_cloud(directory, cache, START) as running:
        yield running


def keeper(cloud: RunningCloud, name: str) -> str:
    """A function that puts what it gets on the queue of its name."""
    url = cloud.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    role = cloud.role(
        f"{name}-function", "lambda.amazonaws.com", allow("sqs:SendMessage", f"arn:aws:sqs:{HERE}:{name}")
    )
    return cloud.function(name, KEEP, role=role, Environment={"Variables": {"QUEUE": url}})


def advance(cloud: RunningCloud, **delta: float) -> None:
    now = datetime.fromisoformat(cloud.daemon.clock()["now"])
    cloud.daemon.advance(now + timedelta(**delta))


def kept(cloud: RunningCloud, name: str) -> list[Any]:
    cloud.wait_until_quiet()
    sqs = cloud.client("sqs")
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"]) for message in messages]


def test_a_rule_reaches_a_function_that_lets_events_in(cloud: RunningCloud) -> None:
    open_one, closed_one = keeper(cloud, "open"), keeper(cloud, "closed")
    events = cloud.client("events")
    events.create_event_bus(Name="app")
    rule = events.put_rule(Name="r", EventBusName="app", EventPattern='{"source": ["app"]}')["RuleArn"]
    cloud.client("lambda").add_permission(
        FunctionName="open",
        StatementId="events",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule,
    )
    targets = [{"Id": str(i), "Arn": arn, "InputPath": "$.detail"} for i, arn in enumerate((open_one, closed_one))]
    events.put_targets(Rule="r", EventBusName="app", Targets=targets)

    events.put_events(Entries=[{"Source": "app", "DetailType": "Went", "Detail": '{"n": 1}', "EventBusName": "app"}])

    assert kept(cloud, "open") == [{"n": 1}]
    assert kept(cloud, "closed") == []


def test_a_schedule_reaches_a_function_with_its_time(cloud: RunningCloud) -> None:
    arn = keeper(cloud, "monitor")
    role = cloud.role("monitor-schedule", "scheduler.amazonaws.com", allow("lambda:InvokeFunction", arn))
    cloud.client("scheduler").create_schedule(
        Name="monitor",
        ScheduleExpression="cron(0 2 * * ? *)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": arn, "RoleArn": role, "Input": '{"scheduled_time": "<aws.scheduler.scheduled-time>"}'},
    )
    advance(cloud, days=2)
    assert kept(cloud, "monitor") == [
        {"scheduled_time": "2026-01-05T02:00:00Z"},
        {"scheduled_time": "2026-01-06T02:00:00Z"},
    ]


def test_a_machine_catches_what_a_function_raises(cloud: RunningCloud) -> None:
    arn = cloud.function("fails", FAIL)
    role = cloud.role("fails-machine", "states.amazonaws.com", allow("lambda:InvokeFunction", arn))
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": arn, "Payload": {"rows.$": "$.rows"}},
        "Retry": [{"ErrorEquals": ["TooFewRowsError"], "IntervalSeconds": 30, "MaxAttempts": 1}],
        "Catch": [{"ErrorEquals": ["TooFewRowsError"], "ResultPath": "$.failure", "Next": "Done"}],
        "End": True,
    }
    states = cloud.client("stepfunctions")
    machine = states.create_state_machine(
        name="fails",
        definition=json.dumps({"StartAt": "Call", "States": {"Call": task, "Done": {"Type": "Succeed"}}}),
        roleArn=role,
    )["stateMachineArn"]
    execution = states.start_execution(stateMachineArn=machine, input='{"rows": 3}')["executionArn"]
    advance(cloud, minutes=1)
    cloud.wait_until_quiet()
    described = states.describe_execution(executionArn=execution)
    failure = json.loads(described["output"])["failure"]
    assert failure["Error"] == "TooFewRowsError"
    cause = json.loads(failure["Cause"])
    assert (cause["errorMessage"], cause["errorType"]) == ("3 rows", "TooFewRowsError")
    assert described["stopDate"] - described["startDate"] == timedelta(seconds=30)


def test_a_machine_gets_what_a_function_returns_under_its_own_role(cloud: RunningCloud) -> None:
    arn = keeper(cloud, "returns")
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": arn, "Payload": {"execution.$": "$$.Execution.Name"}},
        "ResultSelector": {"kept.$": "$.Payload.kept"},
        "End": True,
    }
    states = cloud.client("stepfunctions")
    outcomes = []
    for name, statement in (("good", allow("lambda:InvokeFunction", arn)), ("bad", allow("lambda:GetFunction", arn))):
        role = cloud.role(f"returns-{name}", "states.amazonaws.com", statement)
        machine = states.create_state_machine(
            name=f"returns-{name}",
            definition=json.dumps({"StartAt": "Call", "States": {"Call": task}}),
            roleArn=role,
        )["stateMachineArn"]
        execution = states.start_execution(stateMachineArn=machine, name=name)["executionArn"]
        cloud.wait_until_quiet()
        outcomes.append(states.describe_execution(executionArn=execution))
    assert json.loads(outcomes[0]["output"]) == {"kept": True}
    assert outcomes[1]["error"] == "Lambda.AccessDeniedException"
    assert kept(cloud, "returns") == [{"execution": "good"}]


def test_a_bucket_reaches_a_function_that_lets_s3_in(cloud: RunningCloud) -> None:
    function = keeper(cloud, "uploads")
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="uploads")
    rules = [{"Name": "prefix", "Value": "in/"}, {"Name": "suffix", "Value": ".csv"}]
    destination = {
        "Id": "mine",
        "LambdaFunctionArn": function,
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": rules}},
    }
    configuration = {"LambdaFunctionConfigurations": [destination]}
    with pytest.raises(ClientError, match=r"InvalidArgument.*does not allow it"):
        s3.put_bucket_notification_configuration(Bucket="uploads", NotificationConfiguration=configuration)
    assert "LambdaFunctionConfigurations" not in s3.get_bucket_notification_configuration(Bucket="uploads")
    cloud.client("lambda").add_permission(
        FunctionName="uploads",
        StatementId="s3",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
        SourceArn="arn:aws:s3:::uploads",
        SourceAccount=ACCOUNT_ID,
    )
    s3.put_bucket_notification_configuration(Bucket="uploads", NotificationConfiguration=configuration)
    for key in ("in/a b.csv", "in/a.txt", "out/a.csv"):
        s3.put_object(Bucket="uploads", Key=key, Body=b"abc")
    s3.delete_object(Bucket="uploads", Key="in/a b.csv")

    (event,) = kept(cloud, "uploads")
    (record,) = event["Records"]
    assert (record["eventName"], record["s3"]["bucket"]["name"]) == ("ObjectCreated:Put", "uploads")
    assert (record["s3"]["object"]["key"], record["s3"]["object"]["size"]) == ("in/a+b.csv", 3)
    assert record["s3"]["configurationId"] == "mine"
    assert datetime.fromisoformat(record["eventTime"]).year == START.year
