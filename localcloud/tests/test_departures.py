"""Where the local cloud departs from AWS and no other test shows it: the lines of ``docs/local-cloud.md``."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from support.in_process import START, Cloud, allow

QUEUE = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "q"}}


def refused(call: Any, **arguments: Any) -> str:
    """What the error says that a call must end with."""
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return f"{error.value.response['Error']['Code']}: {error.value.response['Error']['Message']}"


def test_tags_of_a_stack_are_stored_and_not_passed_on(cloud: Cloud) -> None:
    client = cloud.client("cloudformation")
    tags = [{"Key": "cost", "Value": "team"}]
    client.create_stack(StackName="S", TemplateBody=json.dumps({"Resources": {"Q": QUEUE}}), Tags=tags)
    cloud.wait_until_quiet()

    assert client.describe_stacks(StackName="S")["Stacks"][0]["Tags"] == tags
    sqs = cloud.client("sqs")
    assert sqs.list_queue_tags(QueueUrl=sqs.get_queue_url(QueueName="q")["QueueUrl"]).get("Tags", {}) == {}


@pytest.mark.parametrize(
    ("action", "arguments"),
    [
        (
            "create_stack",
            {"RollbackConfiguration": {"RollbackTriggers": [{"Arn": "arn:a", "Type": "AWS::CloudWatch::Alarm"}]}},
        ),
        ("create_stack", {"StackPolicyBody": "{}"}),
        ("create_stack", {"DeploymentConfig": {"Mode": "EXPRESS"}}),
        ("create_stack_refactor", {"StackDefinitions": [{"StackName": "S"}]}),
    ],
)
def test_of_cloudformation_these_are_refused(cloud: Cloud, action: str, arguments: dict[str, Any]) -> None:
    given = (
        {"StackName": "S", "TemplateBody": json.dumps({"Resources": {"Q": QUEUE}})} if action == "create_stack" else {}
    )
    assert "local cloud" in refused(getattr(cloud.client("cloudformation"), action), **given, **arguments)


@pytest.mark.parametrize(
    ("service", "action", "arguments"),
    [
        ("apigatewayv2", "create_domain_name", {"DomainName": "example.com"}),
        ("lambda", "create_function_url_config", {"FunctionName": "f", "AuthType": "NONE"}),
        ("lambda", "create_event_source_mapping", {"FunctionName": "f", "EventSourceArn": "arn:aws:sqs:us-east-1:1:q"}),
        ("lambda", "invoke_with_response_stream", {"FunctionName": "f"}),
        ("stepfunctions", "redrive_execution", {"executionArn": "arn:aws:states:us-east-1:1:execution:m:e"}),
        ("sagemaker", "create_inference_component", {"InferenceComponentName": "i", "EndpointName": "e"}),
        ("sagemaker-runtime", "invoke_endpoint_async", {"EndpointName": "e", "InputLocation": "s3://b/k"}),
        ("sagemaker", "start_pipeline_execution", {"PipelineName": "p", "ClientRequestToken": "x" * 32}),
        (
            "sagemaker",
            "create_transform_job",
            {
                "TransformJobName": "t",
                "ModelName": "m",
                "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b"}}},
                "TransformOutput": {"S3OutputPath": "s3://b"},
                "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
            },
        ),
        (
            "sagemaker",
            "create_hyper_parameter_tuning_job",
            {
                "HyperParameterTuningJobName": "t",
                "HyperParameterTuningJobConfig": {
                    "Strategy": "Random",
                    "ResourceLimits": {"MaxParallelTrainingJobs": 1},
                },
            },
        ),
    ],
)
def test_what_is_not_executed_is_refused_by_name(
    cloud: Cloud, service: str, action: str, arguments: dict[str, Any]
) -> None:
    assert "local cloud" in refused(getattr(cloud.client(service), action), **arguments)


def test_an_express_workflow_is_not_created_so_none_is_started_synchronously(cloud: Cloud) -> None:
    said = refused(
        cloud.client("stepfunctions").create_state_machine,
        name="m",
        definition=json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}),
        roleArn=cloud.role("r", "states.amazonaws.com"),
        type="EXPRESS",
    )
    assert "express workflows are not executed" in said


def test_a_session_never_expires(cloud: Cloud) -> None:
    role = cloud.role("r", "lambda.amazonaws.com", allow("sqs:ListQueues"))
    theirs = cloud.role_client("sqs", role, "lambda.amazonaws.com")
    theirs.list_queues()

    cloud.advance(days=40)

    theirs.list_queues()  # AWS: ExpiredToken, after 12 hours at most


def test_the_operator_assumes_a_role_that_is_not_there(cloud: Cloud) -> None:
    """As the CDK does with the bootstrap's roles, which a deployment without it leaves out."""
    absent = f"arn:aws:iam::{cloud.context.account_id}:role/cdk-hnb659fds-deploy-role"
    # AWS: AccessDenied
    assert cloud.client("sts").assume_role(RoleArn=absent, RoleSessionName="cdk")["Credentials"]


def test_the_policy_of_a_key_is_not_read(cloud: Cloud) -> None:
    kms = cloud.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    nobody = {"Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*"}
    kms.put_key_policy(
        KeyId=key, PolicyName="default", Policy=json.dumps({"Version": "2012-10-17", "Statement": [nobody]})
    )
    role = cloud.role("r", "lambda.amazonaws.com", allow("kms:Encrypt"))

    # AWS: AccessDeniedException. The role's own policy alone decides.
    assert cloud.role_client("kms", role, "lambda.amazonaws.com").encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    other = cloud.role("other", "lambda.amazonaws.com")
    theirs = cloud.role_client("kms", other, "lambda.amazonaws.com")
    assert "AccessDenied" in refused(theirs.encrypt, KeyId=key, Plaintext=b"x")


def test_a_browsers_form_upload_is_refused(cloud: Cloud) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="uploads")
    post = s3.generate_presigned_post("uploads", "k")
    boundary = "x"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in post["fields"].items()
    ]
    file = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nbody\r\n--{boundary}--\r\n'
    )
    place = urlsplit(post["url"])
    connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=30)
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Host": place.netloc}
    connection.request("POST", place.path or "/", "".join(parts) + file, headers)
    status = connection.getresponse().status
    connection.close()

    assert status == 403
    assert s3.list_objects_v2(Bucket="uploads").get("Contents", []) == []


def test_a_flexible_window_fires_at_its_start(cloud: Cloud) -> None:
    sqs = cloud.client("sqs")
    url = sqs.create_queue(QueueName="inbox")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    role = cloud.role("sends", "scheduler.amazonaws.com", allow("sqs:SendMessage", arn))
    cloud.client("scheduler").create_schedule(
        Name="late",
        ScheduleExpression="at(2026-01-05T10:00:00)",
        FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 60},
        Target={"Arn": arn, "RoleArn": role, "Input": '"due"'},
    )

    cloud.advance(hours=10, minutes=1)

    assert cloud.context.clock.now() > START
    assert len(sqs.receive_message(QueueUrl=url).get("Messages", [])) == 1


@pytest.mark.parametrize(("protocol", "endpoint"), [("email", "a@example.com"), ("sms", "+12065550100")])
def test_nobody_is_sent_a_letter(cloud: Cloud, protocol: str, endpoint: str) -> None:
    sns = cloud.client("sns")
    topic = sns.create_topic(Name="t")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol=protocol, Endpoint=endpoint)

    sns.publish(TopicArn=topic, Message="hello")
    cloud.wait_until_quiet()

    delivered = cloud.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SNS",
        MetricName="NumberOfNotificationsDelivered",
        Dimensions=[{"Name": "TopicName", "Value": "t"}],
        StartTime=START,
        EndTime=cloud.context.clock.now().replace(hour=23),
        Period=86_400,
        Statistics=["Sum"],
    )["Datapoints"]
    assert delivered == []
