"""At the limit a request is taken, one beyond it is refused as the service refuses it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.in_process import Client, Cloud

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def code(refused: pytest.ExceptionInfo[ClientError]) -> str:
    return refused.value.response["Error"]["Code"]


@pytest.fixture
def table(cloud: Cloud) -> Client:
    client = cloud.client("dynamodb")
    client.create_table(
        TableName="records",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return client


def item(size: int, key: str = "k") -> dict[str, Any]:
    """An item of ``size`` bytes as DynamoDB counts them; characters of two bytes."""
    room = size - len("pk") - len(key) - len("text")
    return {"pk": {"S": key}, "text": {"S": "é" * (room // 2) + "a" * (room % 2)}}


@pytest.mark.parametrize("way", ["put", "transaction"])
def test_an_item_has_400_kilobytes(table: Client, way: str) -> None:
    def write(size: int) -> None:
        if way == "put":
            table.put_item(TableName="records", Item=item(size))
        else:
            table.transact_write_items(TransactItems=[{"Put": {"TableName": "records", "Item": item(size)}}])

    write(400 * 1024)
    with pytest.raises(ClientError, match="exceeded the maximum allowed size") as refused:
        write(400 * 1024 + 1)
    assert code(refused) == "ValidationException"


def test_a_transaction_has_100_items_and_4_megabytes(table: Client) -> None:
    def write(count: int, size: int, more: int = 0) -> None:
        sizes = [size + (more if i == 0 else 0) for i in range(count)]
        puts = [{"Put": {"TableName": "records", "Item": item(s, f"key-{i:03}")}} for i, s in enumerate(sizes)]
        table.transact_write_items(TransactItems=puts)

    write(100, 40)
    with pytest.raises(ClientError) as refused:
        write(101, 40)
    assert code(refused) == "ValidationException"
    each = 4 * 1024 * 1024 // 16
    write(16, each)
    with pytest.raises(ClientError, match="cannot be larger than 4194304 bytes"):
        write(16, each, 1)


def test_a_query_has_262144_bytes(cloud: Cloud) -> None:
    """Bytes, not characters: an umlaut is two."""
    athena = cloud.client("athena")
    athena.create_work_group(Name="work")

    def ask(size: int) -> None:
        text = "SELECT '" + "ü" * ((size - 9) // 2) + "a" * ((size - 9) % 2) + "'"
        assert len(text.encode()) == size
        athena.start_query_execution(
            QueryString=text, WorkGroup="work", ResultConfiguration={"OutputLocation": "s3://results/"}
        )

    cloud.client("s3").create_bucket(Bucket="results")
    ask(262_144)
    with pytest.raises(ClientError, match="262145 bytes: it may have 262144") as refused:
        ask(262_145)
    assert code(refused) == "InvalidRequestException"


def test_events_of_a_request_have_a_megabyte_together(cloud: Cloud) -> None:
    events = cloud.client("events")

    def put(size: int) -> dict[str, Any]:
        frame = len("app") + len("Said") + len('{"a":""}')
        detail = json.dumps({"a": "x" * (size // 2 - frame)}, separators=(",", ":"))
        entry = {"Source": "app", "DetailType": "Said", "Detail": detail}
        return dict(events.put_events(Entries=[entry] * 2))

    assert put(1_048_576)["FailedEntryCount"] == 0
    with pytest.raises(ClientError, match="over the limit: 1048578 bytes") as refused:
        put(1_048_578)
    assert code(refused) == "ValidationException"


def test_a_key_has_1024_bytes(cloud: Cloud) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="things")
    s3.put_object(Bucket="things", Key="é" * 512, Body=b"")
    for write in (s3.put_object, s3.create_multipart_upload):
        with pytest.raises(ClientError) as refused:
            write(Bucket="things", Key="é" * 512 + "a")
        assert code(refused) == "KeyTooLongError"


def policy(size: int) -> str:
    """A policy of ``size`` characters without its white space."""

    def written(sid: int) -> str:
        statement = {"Sid": "a" * sid, "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=4)

    text = written(size - len("".join(written(0).split())))
    assert len("".join(text.split())) == size
    return text


def test_a_roles_inline_policies_have_10240_characters_together(cloud: Cloud) -> None:
    iam = cloud.client("iam")
    iam.create_role(RoleName="worker", AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.put_role_policy(RoleName="worker", PolicyName="one", PolicyDocument=policy(5120))
    iam.put_role_policy(RoleName="worker", PolicyName="two", PolicyDocument=policy(5120))
    # A policy written anew counts once.
    iam.put_role_policy(RoleName="worker", PolicyName="two", PolicyDocument=policy(5120))
    with pytest.raises(ClientError, match="Maximum policy size of 10240 bytes exceeded for role worker") as refused:
        iam.put_role_policy(RoleName="worker", PolicyName="two", PolicyDocument=policy(5121))
    assert code(refused) == "LimitExceeded"


def test_a_managed_policy_has_6144_characters(cloud: Cloud) -> None:
    iam = cloud.client("iam")
    iam.create_policy(PolicyName="fits", PolicyDocument=policy(6144))
    with pytest.raises(ClientError, match="6144") as refused:
        iam.create_policy(PolicyName="does-not", PolicyDocument=policy(6145))
    assert code(refused) == "LimitExceeded"


def test_a_parameter_has_4096_characters(cloud: Cloud) -> None:
    ssm = cloud.client("ssm")
    ssm.put_parameter(Name="/a", Value="x" * 4096, Type="String")
    with pytest.raises(ClientError, match="4096 characters") as refused:
        ssm.put_parameter(Name="/b", Value="x" * 4097, Type="String")
    assert code(refused) == "ValidationException"


def test_a_notification_has_256_kilobytes(cloud: Cloud) -> None:
    sns = cloud.client("sns")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    sns.publish(TopicArn=topic, Message="é" * 131_072)
    with pytest.raises(ClientError, match="Message too long") as refused:
        sns.publish(TopicArn=topic, Message="é" * 131_072 + "a")
    assert code(refused) == "InvalidParameter"


def test_a_schedule_has_its_limits(cloud: Cloud) -> None:
    scheduler = cloud.client("scheduler")
    role = cloud.role("schedules", "scheduler.amazonaws.com")
    queue = cloud.client("sqs").create_queue(QueueName="q")["QueueUrl"]
    arn = cloud.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]

    def create(name: str, size: int) -> None:
        scheduler.create_schedule(
            Name=name,
            ScheduleExpression="rate(1 day)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": arn, "RoleArn": role, "Input": json.dumps("x" * (size - 2))},
        )

    create("a" * 64, 262_144)
    for name, size in (("a" * 65, 10), ("b", 262_145)):
        with pytest.raises(ClientError) as refused:
            create(name, size)
        assert code(refused) == "ValidationException"


@pytest.mark.parametrize(
    ("name", "value"),
    [("k" * 257, "v"), ("k", "v" * 2501)],
    ids=["a name of 257 characters", "a value of 2501 characters"],
)
def test_hyperparameters_have_the_lengths_of_the_service(cloud: Cloud, name: str, value: str) -> None:
    with pytest.raises(ClientError, match="Member must have length less than or equal to") as refused:
        cloud.client("sagemaker").create_training_job(
            TrainingJobName="job",
            HyperParameters={name: value},
            AlgorithmSpecification={"TrainingImage": "x/sagemaker-scikit-learn:1", "TrainingInputMode": "File"},
            RoleArn="arn:aws:iam::123456789012:role/none",
            OutputDataConfig={"S3OutputPath": "s3://b/"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 60},
        )
    assert code(refused) == "ValidationException"


@pytest.mark.parametrize("length", [64, 65])
def test_a_rules_name_has_64_characters(cloud: Cloud, length: int) -> None:
    put = cloud.client("events").put_rule
    if length == 64:
        put(Name="r" * length, ScheduleExpression="rate(1 day)")
    else:
        with pytest.raises(ClientError, match="length less than or equal to 64"):
            put(Name="r" * length, ScheduleExpression="rate(1 day)")


def test_an_execution_takes_an_input_of_262144_characters(cloud: Cloud) -> None:
    role = cloud.role("machine", "states.amazonaws.com")
    states = cloud.client("stepfunctions")
    definition = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})
    machine = states.create_state_machine(name="m", definition=definition, roleArn=role)["stateMachineArn"]
    states.start_execution(stateMachineArn=machine, input=json.dumps("x" * 262_142))
    with pytest.raises(ClientError, match="length less than or equal to 262144"):
        states.start_execution(stateMachineArn=machine, input=json.dumps("x" * 262_143))
    with pytest.raises(ClientError, match="length less than or equal to 80"):
        states.start_execution(stateMachineArn=machine, name="n" * 81)
