"""The Lambda API over boto3, against a local cloud in its own process."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.core.credentials import REGION
from support.in_process import Client
from support.running_cloud import RunningCloud, running_cloud

pytestmark = pytest.mark.xdist_group("lambda")  # one cloud for all of them

ECHO = (
    "def handle(event, context):\n    print('seen')\n    return {'event': event, 'version': context.function_version}\n"
)


SETTINGS = """
[[lambda.managed_layers]]
arn = ":111122223333:layer:Packaging"
pins = "pins.txt"
parameters = { "/aws/service/packaging/1/layer-arn" = "arn:aws:lambda:{region}:111122223333:layer:Packaging:1" }
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    settings = tmp_path_factory.mktemp("settings") / "localcloud.toml"
    settings.write_text(SETTINGS)
    (settings.parent / "pins.txt").write_text(f"packaging=={version('packaging')}\n")
    state, cache = tmp_path_factory.mktemp("cloud"), tmp_path_factory.mktemp("cache")
    with running_cloud(state, cache, settings=settings) as running:
        yield running


@pytest.fixture(scope="module")
def aws(cloud: RunningCloud) -> Client:
    return cloud.client("lambda")


def refused(call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return str(caught.value.response["Error"]["Code"])


def test_a_function_from_s3_is_created_published_and_invoked_by_alias(cloud: RunningCloud, aws: Client) -> None:
    # GIVEN a package in S3
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("handler.py", ECHO)
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="code")
    s3.put_object(Bucket="code", Key="f.zip", Body=content.getvalue())

    # WHEN it becomes a function, a version and an alias
    created = aws.create_function(
        FunctionName="from-s3",
        Runtime="python3.13",
        Handler="handler.handle",
        Role=cloud.role("from-s3"),
        Code={"S3Bucket": "code", "S3Key": "f.zip"},
    )
    version = aws.publish_version(FunctionName="from-s3", CodeSha256=created["CodeSha256"])["Version"]
    alias = aws.create_alias(FunctionName="from-s3", Name="live", FunctionVersion=version)
    answer = aws.invoke(FunctionName=alias["AliasArn"], Payload=b'{"a": 1}', LogType="Tail")

    # THEN the alias leads to the version
    assert created["State"] == "Active"
    assert json.loads(answer["Payload"].read()) == {"event": {"a": 1}, "version": "1"}
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "1")
    assert "FunctionError" not in answer
    log = base64.b64decode(answer["LogResult"]).decode().splitlines()
    assert log[0].startswith("START RequestId")
    assert log[1] == "seen"


def test_qualifiers_are_honoured_when_reading(cloud: RunningCloud, aws: Client) -> None:
    cloud.function("read", ECHO, Environment={"Variables": {"N": "one"}})
    aws.publish_version(FunctionName="read", Description="first")
    aws.update_function_configuration(FunctionName="read", Environment={"Variables": {"N": "two"}})

    first = aws.get_function_configuration(FunctionName="read", Qualifier="1")
    latest = aws.get_function(FunctionName="read")["Configuration"]

    assert (first["Version"], first["Environment"]["Variables"]["N"], first["Description"]) == ("1", "one", "first")
    assert first["FunctionArn"].endswith(":read:1")
    assert (latest["Version"], latest["Environment"]["Variables"]["N"]) == ("$LATEST", "two")
    assert [v["Version"] for v in aws.list_versions_by_function(FunctionName="read")["Versions"]] == ["$LATEST", "1"]
    assert aws.get_waiter("function_updated_v2").wait(FunctionName="read") is None


def test_a_failing_function_says_unhandled(cloud: RunningCloud, aws: Client) -> None:
    cloud.function("failing", "def handle(event, context):\n    raise ValueError('no')\n")

    answer = aws.invoke(FunctionName="failing")

    assert answer["FunctionError"] == "Unhandled"
    assert json.loads(answer["Payload"].read())["errorType"] == "ValueError"


def test_the_three_ways_to_invoke(cloud: RunningCloud, aws: Client) -> None:
    cloud.function("ways", ECHO)

    assert aws.invoke(FunctionName="ways", InvocationType="DryRun")["StatusCode"] == 204
    assert aws.invoke(FunctionName="ways", InvocationType="Event", Payload=b"{}")["StatusCode"] == 202
    assert aws.invoke(FunctionName="ways")["StatusCode"] == 200


def test_the_functions_log_is_in_cloudwatch(cloud: RunningCloud, aws: Client) -> None:
    cloud.function("logging", ECHO)
    aws.invoke(FunctionName="logging")

    logs = cloud.client("logs")
    events = logs.filter_log_events(logGroupName="/aws/lambda/logging", filterPattern="seen")["events"]

    assert [event["message"] for event in events] == ["seen"]
    assert "[$LATEST]" in events[0]["logStreamName"]


def test_a_function_acts_as_its_role_and_no_more(cloud: RunningCloud, aws: Client) -> None:
    # GIVEN a function whose role may write to one bucket
    for bucket in ("mine", "other"):
        cloud.client("s3").create_bucket(Bucket=bucket)
    allow = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::mine/*"}
    role = cloud.role("writer", "lambda.amazonaws.com", allow)
    source = (
        "import boto3\n"
        "def handle(event, context):\n"
        "    boto3.client('s3').put_object(Bucket=event, Key='k', Body=b'x')\n"
        "    return boto3.client('sts').get_caller_identity()['Arn']\n"
    )
    cloud.function("writer", source, role=role)

    # WHEN it writes to that bucket and to another
    allowed = aws.invoke(FunctionName="writer", Payload=b'"mine"')
    denied = aws.invoke(FunctionName="writer", Payload=b'"other"')

    # THEN only the first works
    assert json.loads(allowed["Payload"].read()) == "arn:aws:sts::123456789012:assumed-role/writer/writer"
    assert "AccessDenied" in json.loads(denied["Payload"].read())["errorMessage"]


def test_invoking_needs_a_permission(cloud: RunningCloud, aws: Client) -> None:
    arn = cloud.function("guarded", ECHO)
    aws.publish_version(FunctionName="guarded")
    aws.create_alias(FunctionName="guarded", Name="live", FunctionVersion="1")
    allow = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": f"{arn}:live"}
    caller = cloud.client("lambda", **cloud.session(cloud.role("caller", "ec2.amazonaws.com", allow)))

    assert caller.invoke(FunctionName="guarded", Qualifier="live")["StatusCode"] == 200
    assert refused(caller.invoke, FunctionName="guarded") == "AccessDeniedException"


def test_errors_have_the_codes_of_lambda(cloud: RunningCloud, aws: Client) -> None:
    cloud.function("codes", ECHO)

    assert refused(aws.invoke, FunctionName="nowhere") == "ResourceNotFoundException"
    assert refused(aws.get_alias, FunctionName="codes", Name="live") == "ResourceNotFoundException"
    assert refused(aws.invoke, FunctionName="codes", Payload=b"{") == "InvalidRequestContentException"
    assert refused(aws.publish_version, FunctionName="codes", CodeSha256="x") == "InvalidParameterValueException"
    assert refused(aws.publish_version, FunctionName="codes", RevisionId="x") == "PreconditionFailedException"
    assert (
        refused(aws.invoke, FunctionName="codes", Payload=b'"' + b"x" * 6_300_000 + b'"') == "RequestTooLargeException"
    )
    aws.put_function_concurrency(FunctionName="codes", ReservedConcurrentExecutions=0)
    assert refused(aws.invoke, FunctionName="codes") == "TooManyRequestsException"
    assert refused(aws.create_function_url_config, FunctionName="codes", AuthType="NONE") == "UnknownOperationException"


def test_a_role_that_lambda_can_not_assume_is_refused(cloud: RunningCloud, aws: Client) -> None:
    role = cloud.role("not-for-lambda", "states.amazonaws.com")

    with pytest.raises(ClientError, match="cannot be assumed by Lambda"):
        cloud.function("unassumable", ECHO, role=role)


def test_permissions_and_policies(cloud: RunningCloud, aws: Client) -> None:
    cloud.function("allowed", ECHO, Publish=True)
    aws.add_permission(
        FunctionName="allowed",
        Qualifier="1",
        StatementId="s",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
    )

    policy = json.loads(aws.get_policy(FunctionName="allowed", Qualifier="1")["Policy"])

    assert policy["Statement"][0]["Principal"] == {"Service": "events.amazonaws.com"}
    assert refused(aws.get_policy, FunctionName="allowed") == "ResourceNotFoundException"
    aws.remove_permission(FunctionName="allowed", Qualifier="1", StatementId="s")
    assert refused(aws.get_policy, FunctionName="allowed", Qualifier="1") == "ResourceNotFoundException"


def test_layers_and_asynchronous_configuration_and_tags(cloud: RunningCloud, aws: Client) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("python/from_layer.py", "VALUE = 5\n")
    layer = aws.publish_layer_version(LayerName="own", Content={"ZipFile": content.getvalue()})
    source = "import from_layer\ndef handle(event, context):\n    return from_layer.VALUE\n"
    cloud.function("layered", source, Layers=[layer["LayerVersionArn"]], Tags={"a": "1"})

    assert aws.invoke(FunctionName="layered")["Payload"].read() == b"5"
    assert aws.get_layer_version_by_arn(Arn=layer["LayerVersionArn"])["Version"] == 1
    aws.put_function_event_invoke_config(FunctionName="layered", MaximumRetryAttempts=1)
    assert aws.get_function_event_invoke_config(FunctionName="layered")["MaximumRetryAttempts"] == 1
    assert aws.get_function(FunctionName="layered")["Tags"] == {"a": "1"}


def test_a_managed_layer_is_found_by_its_public_parameter_and_stands_for_its_pins(
    cloud: RunningCloud, aws: Client
) -> None:
    name = "/aws/service/packaging/1/layer-arn"
    arn = cloud.client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
    cloud.function(
        "uses-it", "def handle(event, context):\n    import packaging\n    return packaging.__version__\n", Layers=[arn]
    )

    assert arn == f"arn:aws:lambda:{REGION}:111122223333:layer:Packaging:1"
    assert json.loads(aws.invoke(FunctionName="uses-it")["Payload"].read()) == version("packaging")


def test_a_topic_invokes_a_function(cloud: RunningCloud, aws: Client) -> None:
    # GIVEN a function that subscribes to a topic and writes what it gets
    cloud.client("s3").create_bucket(Bucket="from-sns")
    allow = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}
    source = (
        "import boto3\n"
        "def handle(event, context):\n"
        "    body = event['Records'][0]['Sns']['Message']\n"
        "    boto3.client('s3').put_object(Bucket='from-sns', Key='got', Body=body.encode())\n"
    )
    arn = cloud.function("subscriber", source, role=cloud.role("subscriber", "lambda.amazonaws.com", allow))
    sns = cloud.client("sns")
    topic = sns.create_topic(Name="t")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn)
    aws.add_permission(
        FunctionName=arn,
        StatementId="topic",
        Action="lambda:InvokeFunction",
        Principal="sns.amazonaws.com",
        SourceArn=topic,
    )

    # WHEN something is published
    sns.publish(TopicArn=topic, Message="hello")
    cloud.wait_until_quiet()

    # THEN the function got it
    assert cloud.client("s3").get_object(Bucket="from-sns", Key="got")["Body"].read() == b"hello"
