"""A schedule starts a machine that waits, writes, trains, fails, retries and catches, on a moved clock."""

from __future__ import annotations

import io
import json
import tarfile
import time
from datetime import timedelta
from typing import Any

from support.in_process import START, Cloud, allow

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
SCRIPT = """
import os, pathlib, sys
if "--fail" in sys.argv:
    raise RuntimeError("the data is empty")
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.txt").write_text("ok")
"""


def code() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo("train.py")
        info.size = len(SCRIPT)
        tar.addfile(info, io.BytesIO(SCRIPT.encode()))
    return buffer.getvalue()


def train(role: str, suffix: str, hyperparameters: dict[str, str], **more: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
        "Parameters": {
            "TrainingJobName.$": f"States.Format('{suffix}-{{}}', $$.Execution.Name)",
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "RoleArn": role,
            "HyperParameters": {
                "sagemaker_program": "train.py",
                "sagemaker_submit_directory": "s3://lake/code.tar.gz",
                **hyperparameters,
            },
            "OutputDataConfig": {"S3OutputPath": "s3://lake/runs"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        },
        **more,
    }


def test_a_schedule_drives_a_pipeline(cloud: Cloud) -> None:
    cloud.client("s3").create_bucket(Bucket="lake")
    cloud.client("s3").put_object(Bucket="lake", Key="code.tar.gz", Body=code())
    cloud.client("dynamodb").create_table(
        TableName="runs",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    job_role = cloud.role(
        "job", "sagemaker.amazonaws.com", allow(["s3:GetObject", "s3:PutObject"], "arn:aws:s3:::lake/*")
    )
    machine_role = cloud.role(
        "machine",
        "states.amazonaws.com",
        allow("dynamodb:PutItem", "arn:aws:dynamodb:*:*:table/runs"),
        allow(["sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob"], "arn:aws:sagemaker:*:*:training-job/*"),
        allow("iam:PassRole", job_role, Condition={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}),
    )
    put: dict[str, Any] = {
        "Type": "Task",
        "Resource": "arn:aws:states:::dynamodb:putItem",
        "Parameters": {
            "TableName": "runs",
            "Item": {"pk": {"S.$": "$.scheduled"}, "entered": {"S.$": "$$.State.EnteredTime"}},
        },
        "ResultPath": None,
    }
    retry = [{"ErrorEquals": ["DynamoDB.ResourceNotFoundException"], "IntervalSeconds": 60, "MaxAttempts": 1}]
    catch = [{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.failure", "Next": "Retried"}]
    caught_at_last = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.last", "Next": "Done"}]
    missing = {**put, "Parameters": {**put["Parameters"], "TableName": "gone"}, "Retry": retry, "Catch": caught_at_last}
    definition = {
        "StartAt": "Wait",
        "States": {
            "Wait": {"Type": "Wait", "Seconds": 3600, "Next": "Put"},
            "Put": {**put, "Next": "Train"},
            "Train": train(job_role, "good", {}, ResultPath="$.training", Next="TrainBadly"),
            "TrainBadly": train(job_role, "bad", {"fail": "1"}, Catch=catch, End=True),
            "Retried": {**missing, "Next": "Done"},
            "Done": {"Type": "Succeed"},
        },
    }
    states = cloud.client("stepfunctions")
    machine = states.create_state_machine(name="m", definition=json.dumps(definition), roleArn=machine_role)[
        "stateMachineArn"
    ]
    cloud.client("iam").put_role_policy(
        RoleName="machine",
        PolicyName="gone",
        PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [allow("dynamodb:PutItem", "arn:aws:dynamodb:*:*:table/gone")]}
        ),
    )
    cloud.client("scheduler").create_schedule(
        Name="daily",
        ScheduleExpression="cron(0 3 * * ? *)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": machine,
            "RoleArn": cloud.role("starter", "scheduler.amazonaws.com", allow("states:StartExecution", machine)),
            "Input": '{"scheduled": "<aws.scheduler.scheduled-time>"}',
        },
    )

    ran = cloud.advance(hours=23)

    (execution,) = states.list_executions(stateMachineArn=machine)["executions"]
    described = states.describe_execution(executionArn=execution["executionArn"])
    assert described["status"] == "SUCCEEDED", described
    assert described["startDate"] == START + timedelta(hours=3)
    # An hour of waiting and a minute before the retry; jobs take no time of the moved clock.
    assert described["stopDate"] == START + timedelta(hours=4, minutes=1)
    output = json.loads(described["output"])
    assert output["scheduled"] == "2026-01-05T03:00:00Z"
    assert output["training"]["TrainingJobStatus"] == "Completed"
    cause = json.loads(output["failure"]["Cause"])
    assert output["failure"]["Error"] == "States.TaskFailed"
    assert "RuntimeError: the data is empty" in cause["FailureReason"]
    assert output["last"]["Error"] == "DynamoDB.ResourceNotFoundException"
    item = cloud.client("dynamodb").get_item(TableName="runs", Key={"pk": {"S": "2026-01-05T03:00:00Z"}})["Item"]
    assert item["entered"]["S"] == "2026-01-05T04:00:00.000Z"
    assert ran[0] == "schedule daily"


def test_stopping_an_execution_stops_its_job(cloud: Cloud) -> None:
    cloud.client("s3").create_bucket(Bucket="lake")
    slow = SCRIPT + "\nimport time\nprint('started', flush=True)\ntime.sleep(60)\n"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo("train.py")
        info.size = len(slow)
        tar.addfile(info, io.BytesIO(slow.encode()))
    cloud.client("s3").put_object(Bucket="lake", Key="code.tar.gz", Body=buffer.getvalue())
    job_role = cloud.role("job", "sagemaker.amazonaws.com", allow("s3:*"))
    machine_role = cloud.role("machine", "states.amazonaws.com", allow("*"))
    states, sagemaker = cloud.client("stepfunctions"), cloud.client("sagemaker")
    machine = states.create_state_machine(
        name="m",
        definition=json.dumps({"StartAt": "Train", "States": {"Train": train(job_role, "slow", {}, End=True)}}),
        roleArn=machine_role,
    )["stateMachineArn"]
    execution = states.start_execution(stateMachineArn=machine, name="one")["executionArn"]
    deadline = time.monotonic() + 30
    while not any(
        job["TrainingJobStatus"] == "InProgress" for job in sagemaker.list_training_jobs()["TrainingJobSummaries"]
    ):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    states.stop_execution(executionArn=execution, cause="changed my mind")
    cloud.wait_until_quiet()
    assert sagemaker.describe_training_job(TrainingJobName="slow-one")["TrainingJobStatus"] == "Stopped"
    described = states.describe_execution(executionArn=execution)
    assert (described["status"], described["cause"]) == ("ABORTED", "changed my mind")
