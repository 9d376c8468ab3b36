"""State machines through the API: what they call, wait for, catch and tell."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError

from support.in_process import START, Cloud, MakeCloud, allow
from support.state_machines import STATES, Definition, Machine, State, chain, put
from support.state_machines import table as table


class TestStarting:
    def test_unnamed_executions_get_a_name_each(self, cloud: Cloud) -> None:
        machine = Machine(cloud, chain(A={"Type": "Succeed"}))
        one, two = machine.run(), machine.run()
        assert one["status"] == two["status"] == "SUCCEEDED"
        assert one["name"] != two["name"]

    def test_the_same_name_and_input_is_the_same_execution_while_it_runs(self, cloud: Cloud) -> None:
        machine = Machine(cloud, chain(A={"Type": "Wait", "Seconds": 60}))
        first = machine.start({"a": 1}, name="one")
        assert machine.start({"a": 1}, name="one") == first
        with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
            machine.start({"a": 2}, name="one")
        cloud.advance(seconds=61)
        with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
            machine.start({"a": 1}, name="one")

    def test_machines_are_updated(self, cloud: Cloud) -> None:
        machine = Machine(cloud, chain(A={"Type": "Pass", "Result": 1}))
        assert machine.run()["output"] == "1"
        changed = json.dumps(chain(A={"Type": "Pass", "Result": 2}))
        machine.states.update_state_machine(stateMachineArn=machine.arn, definition=changed)
        assert machine.run()["output"] == "2"

    def test_logging_and_tracing_are_kept(self, cloud: Cloud) -> None:
        role = cloud.role("m", STATES)
        states = cloud.client("stepfunctions")
        logging = {
            "level": "ERROR",
            "includeExecutionData": True,
            "destinations": [
                {"cloudWatchLogsLogGroup": {"logGroupArn": "arn:aws:logs:us-east-1:123456789012:log-group:x:*"}}
            ],
        }
        arn = states.create_state_machine(
            name="m",
            definition=json.dumps(chain(A={"Type": "Succeed"})),
            roleArn=role,
            loggingConfiguration=logging,
            tracingConfiguration={"enabled": True},
        )["stateMachineArn"]
        shown = states.describe_state_machine(stateMachineArn=arn)
        assert shown["loggingConfiguration"] == logging
        assert shown["tracingConfiguration"] == {"enabled": True}


class TestRefusals:
    @pytest.mark.parametrize(
        ("definition", "named"),
        [
            ({"QueryLanguage": "JSONata", **chain(A={"Type": "Succeed"})}, "JSONata"),
            (chain(A={"Type": "Pass", "Assign": {"x": 1}}), "variables"),
            (chain(A={"Type": "Task", "Resource": "arn:aws:states:::athena:startQueryExecution.sync"}), "athena"),
            (chain(A={"Type": "Task", "Resource": "arn:aws:states:::sagemaker:createEndpoint"}), "createEndpoint"),
            (
                chain(
                    A={
                        "Type": "Map",
                        "ItemBatcher": {"MaxItemsPerBatch": 2},
                        "ItemProcessor": chain(B={"Type": "Pass"}),
                    }
                ),
                "ItemBatcher|batched",
            ),
        ],
    )
    def test_what_would_run_wrongly_is_not_created(self, cloud: Cloud, definition: Definition, named: str) -> None:
        with pytest.raises(ClientError, match=named) as caught:
            Machine(cloud, definition)
        assert caught.value.response["Error"]["Code"] == "InvalidDefinition"


class TestCalls:
    def test_tasks_run_under_the_machines_role(self, cloud: Cloud, table: None) -> None:
        resource = "arn:aws:dynamodb:us-east-1:123456789012:table/records"
        machine = Machine(cloud, chain(A=put()), allow("dynamodb:PutItem", resource))
        assert machine.run({"pk": "1"})["status"] == "SUCCEEDED"
        denied = Machine(cloud, chain(A=put()), allow("dynamodb:GetItem", resource), name="denied")
        failed = denied.run({"pk": "1"})
        assert failed["error"] == "DynamoDB.AccessDeniedException"
        assert "assumed-role/denied-role/states is not authorized to perform: dynamodb:PutItem" in failed["cause"]

    def test_a_role_that_does_not_trust_states_fails_the_task(self, cloud: Cloud, table: None) -> None:
        machine = Machine(cloud, chain(A=put()))
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
            ],
        }
        cloud.client("iam").update_assume_role_policy(
            RoleName="machine-role",
            PolicyDocument=json.dumps(trust),
        )
        assert "trust policy" in machine.run({"pk": "1"})["cause"]

    def test_names_of_parameters_and_answers_are_those_of_the_integration(self, cloud: Cloud, table: None) -> None:
        get = {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:dynamodb:getItem",
            "Parameters": {"TableName": "records", "Key": {"pk": {"S": "1"}}},
            "ResultSelector": {"pk.$": "$.Item.pk.S"},
        }
        nested = {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:sfn:describeStateMachine",
            "Parameters": {"StateMachineArn.$": "$$.StateMachine.Id"},
            "ResultSelector": {"name.$": "$.Name", "created.$": "$.CreationDate"},
        }
        machine = Machine(cloud, chain(A=put("$.pk", ResultPath=None), B=get, C=nested))
        output = json.loads(machine.run({"pk": "1"})["output"])
        assert output == {"name": "machine", "created": "2026-01-05T00:00:00Z"}


class TestTime:
    def test_waits_stand_on_the_local_clock(self, cloud: Cloud, table: None) -> None:
        machine = Machine(
            cloud,
            chain(
                A={"Type": "Wait", "SecondsPath": "$.wait"},
                B={
                    "Type": "Pass",
                    "Parameters": {"entered.$": "$$.State.EnteredTime", "started.$": "$$.Execution.StartTime"},
                },
            ),
        )
        execution = machine.start({"wait": 86400})
        cloud.advance(hours=23)
        assert machine.describe(execution)["status"] == "RUNNING"
        cloud.advance(hours=2)
        described = machine.describe(execution)
        assert json.loads(described["output"]) == {
            "entered": "2026-01-06T00:00:00.000Z",
            "started": "2026-01-05T00:00:00.000Z",
        }
        assert described["startDate"] == START
        assert described["stopDate"] == START + timedelta(days=1)

    def test_waits_until_a_timestamp(self, cloud: Cloud) -> None:
        machine = Machine(cloud, chain(A={"Type": "Wait", "TimestampPath": "$.until"}, B={"Type": "Succeed"}))
        execution = machine.start({"until": "2026-01-05T06:00:00+00:00"})
        cloud.advance(hours=7)
        assert machine.describe(execution)["stopDate"] == START + timedelta(hours=6)

    def test_retries_wait_on_the_local_clock(self, cloud: Cloud) -> None:
        retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 60, "MaxAttempts": 2, "BackoffRate": 2}]
        machine = Machine(cloud, chain(A=put("$.pk", Retry=retry)))
        execution = machine.start({"pk": "1"})
        cloud.advance(seconds=100)
        assert machine.describe(execution)["status"] == "RUNNING"
        cloud.advance(seconds=100)
        described = machine.describe(execution)
        assert described["status"] == "FAILED"
        assert described["stopDate"] == START + timedelta(seconds=180)

    def test_a_wait_can_be_stopped(self, cloud: Cloud) -> None:
        machine = Machine(cloud, chain(A={"Type": "Wait", "Seconds": 60}))
        execution = machine.start()
        machine.states.stop_execution(executionArn=execution, error="E", cause="enough")
        cloud.wait_until_quiet()
        described = machine.describe(execution)
        assert (described["status"], described["error"], described["cause"]) == ("ABORTED", "E", "enough")
        assert cloud.advance(seconds=61) == []

    def test_a_machines_own_timeout_is_on_the_local_clock(self, cloud: Cloud) -> None:
        definition = {**chain(A={"Type": "Wait", "Seconds": 600}), "TimeoutSeconds": 60}
        machine = Machine(cloud, definition)
        execution = machine.start()
        cloud.advance(seconds=61)
        described = machine.describe(execution)
        assert described["status"] == "TIMED_OUT"
        assert described["stopDate"] == START + timedelta(seconds=60)


class TestTaskTokens:
    def machine(self, cloud: Cloud, **more: Any) -> tuple[Machine, str]:
        queue = cloud.client("sqs").create_queue(QueueName="work")["QueueUrl"]
        task = {
            "Type": "Task",
            "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Parameters": {"QueueUrl": queue, "MessageBody": {"token.$": "$$.Task.Token"}},
            **more,
        }
        return Machine(cloud, chain(A=task)), queue

    def token(self, cloud: Cloud, queue: str) -> str:
        message = cloud.client("sqs").receive_message(QueueUrl=queue)["Messages"][0]
        return str(json.loads(message["Body"])["token"])

    def test_a_waiting_execution_is_quiet_and_goes_on_with_the_answer(self, cloud: Cloud) -> None:
        machine, queue = self.machine(cloud)
        execution = machine.start()
        cloud.wait_until_quiet()
        cloud.advance(days=3)
        machine.states.send_task_success(taskToken=self.token(cloud, queue), output='{"ok": true}')
        cloud.wait_until_quiet()
        described = machine.describe(execution)
        assert json.loads(described["output"]) == {"ok": True}
        assert described["stopDate"] == START + timedelta(days=3)

    def test_failures_keep_error_and_cause(self, cloud: Cloud) -> None:
        machine, queue = self.machine(cloud)
        execution = machine.start()
        cloud.wait_until_quiet()
        machine.states.send_task_failure(taskToken=self.token(cloud, queue), error="No", cause="because")
        cloud.wait_until_quiet()
        described = machine.describe(execution)
        assert (described["error"], described["cause"]) == ("No", "because")

    def test_a_timeout_is_measured_on_the_local_clock(self, cloud: Cloud) -> None:
        catch = [{"ErrorEquals": ["States.Timeout"], "Next": "Late"}]
        machine, _queue = self.machine(cloud, TimeoutSeconds=3600, Catch=catch, End=True)
        definition = json.loads(machine.states.describe_state_machine(stateMachineArn=machine.arn)["definition"])
        definition["States"]["Late"] = {"Type": "Pass", "Result": "late", "End": True}
        machine.states.update_state_machine(stateMachineArn=machine.arn, definition=json.dumps(definition))
        execution = machine.start()
        cloud.advance(minutes=59)
        assert machine.describe(execution)["status"] == "RUNNING"
        cloud.advance(minutes=2)
        described = machine.describe(execution)
        assert described["output"] == '"late"'
        assert described["stopDate"] == START + timedelta(hours=1)

    def test_a_heartbeat_that_stays_away_fails_the_task(self, cloud: Cloud) -> None:
        machine, queue = self.machine(cloud, HeartbeatSeconds=60, TimeoutSeconds=3600)
        execution = machine.start()
        cloud.advance(seconds=50)
        machine.states.send_task_heartbeat(taskToken=self.token(cloud, queue))
        cloud.advance(seconds=50)
        assert machine.describe(execution)["status"] == "RUNNING"
        cloud.advance(seconds=50)
        assert machine.describe(execution)["stopDate"] == START + timedelta(seconds=110)


class TestBranches:
    def test_parallel_branches_wait_each_for_themselves(self, cloud: Cloud) -> None:
        branches = [chain(W={"Type": "Wait", "Seconds": s}, P={"Type": "Pass", "Result": s}) for s in (10, 30)]
        machine = Machine(cloud, chain(A={"Type": "Parallel", "Branches": branches}))
        execution = machine.start()
        cloud.advance(seconds=20)
        assert machine.describe(execution)["status"] == "RUNNING"
        cloud.advance(seconds=20)
        described = machine.describe(execution)
        assert described["output"] == "[10, 30]"
        assert described["stopDate"] == START + timedelta(seconds=30)

    def test_a_failing_branch_ends_the_others(self, cloud: Cloud) -> None:
        branches = [
            chain(W={"Type": "Wait", "Seconds": 3600}),
            chain(F={"Type": "Fail", "Error": "No", "Cause": "c"}),
        ]
        catch = [{"ErrorEquals": ["No"], "Next": "B", "ResultPath": "$.caught"}]
        machine = Machine(
            cloud,
            chain(A={"Type": "Parallel", "Branches": branches, "Catch": catch, "End": True}, B={"Type": "Pass"}),
        )
        assert json.loads(machine.run()["output"])["caught"] == {"Error": "No", "Cause": "c"}

    def test_maps_run_their_items(self, cloud: Cloud) -> None:
        item = chain(W={"Type": "Wait", "SecondsPath": "$.s"})
        machine = Machine(cloud, chain(A={"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": item}))
        execution = machine.start({"items": [{"s": 5}, {"s": 15}]})
        cloud.advance(seconds=20)
        described = machine.describe(execution)
        assert json.loads(described["output"]) == [{"s": 5}, {"s": 15}]
        assert described["stopDate"] == START + timedelta(seconds=15)


class TestHistory:
    def test_comes_in_pages_either_way(self, cloud: Cloud) -> None:
        machine = Machine(cloud, chain(A={"Type": "Pass"}, B={"Type": "Wait", "Seconds": 60}, C={"Type": "Pass"}))
        execution = machine.start()
        cloud.advance(seconds=61)
        whole = machine.states.get_execution_history(executionArn=execution)["events"]
        assert [event["type"] for event in whole][:4] == [
            "ExecutionStarted",
            "PassStateEntered",
            "PassStateExited",
            "WaitStateEntered",
        ]
        assert whole[-1]["timestamp"] == START + timedelta(seconds=60)
        pages = machine.states.get_paginator("get_execution_history").paginate(
            executionArn=execution, reverseOrder=True, PaginationConfig={"PageSize": 3}
        )
        backwards = [event["id"] for page in pages for event in page["events"]]
        assert backwards == [event["id"] for event in reversed(whole)]


class TestMetrics:
    def test_ends_are_counted(self, cloud: Cloud) -> None:
        machine = Machine(cloud, chain(A={"Type": "Fail", "Error": "No"}))
        machine.run()
        statistics = cloud.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/States",
            MetricName="ExecutionsFailed",
            Dimensions=[{"Name": "StateMachineArn", "Value": machine.arn}],
            StartTime=START - timedelta(minutes=1),
            EndTime=START + timedelta(minutes=1),
            Period=60,
            Statistics=["Sum"],
        )
        assert [point["Sum"] for point in statistics["Datapoints"]] == [1.0]


def test_executions_also_run_in_real_time(make_cloud: MakeCloud) -> None:
    cloud = make_cloud(start=None)
    machine = Machine(cloud, chain(A={"Type": "Wait", "Seconds": 1}))
    execution = machine.start()
    assert machine.describe(execution)["status"] == "RUNNING"
    give_up = time.monotonic() + 20
    while machine.describe(execution)["status"] == "RUNNING" and time.monotonic() < give_up:
        time.sleep(0.05)
    described = machine.describe(execution)
    assert described["status"] == "SUCCEEDED"
    assert described["stopDate"] - described["startDate"] >= timedelta(seconds=1)


class TestFailingBranches:
    """A branch hands its error on under its name, the language's own errors as well."""

    FAILING: ClassVar[dict[str, State]] = {
        "Mine": {"Type": "Fail", "Error": "Mine", "Cause": "c"},
        "States.Timeout": {
            "Type": "Task",
            "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Parameters": {"QueueUrl.$": "$.queue", "MessageBody.$": "$$.Task.Token"},
            "TimeoutSeconds": 60,
        },
    }

    def caught(self, cloud: Cloud, state: State, error: str) -> dict[str, Any]:
        state |= {"Catch": [{"ErrorEquals": [error], "ResultPath": "$.failed", "Next": "Caught"}], "End": True}
        queue = cloud.client("sqs").create_queue(QueueName="q")["QueueUrl"]
        machine = Machine(cloud, chain(S=state, Caught={"Type": "Succeed"}))
        execution = machine.start({"queue": queue, "items": [{"queue": queue}]})
        cloud.advance(minutes=2)
        return machine.describe(execution)

    @pytest.mark.parametrize("error", FAILING)
    def test_of_a_parallel_state(self, cloud: Cloud, error: str) -> None:
        ended = self.caught(cloud, {"Type": "Parallel", "Branches": [chain(B=dict(self.FAILING[error]))]}, error)
        assert ended["status"] == "SUCCEEDED"
        assert json.loads(ended["output"])["failed"]["Error"] == error

    @pytest.mark.parametrize("error", FAILING)
    def test_of_a_map_state(self, cloud: Cloud, error: str) -> None:
        state = {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": chain(B=dict(self.FAILING[error]))}
        ended = self.caught(cloud, state, error)
        assert ended["status"] == "SUCCEEDED"
        assert json.loads(ended["output"])["failed"]["Error"] == error
