"""Notifications of buckets: to queues, topics and EventBridge, where their policies let S3 in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.in_process import Cloud

HERE = "us-east-1:123456789012"


@pytest.fixture
def bucket(cloud: Cloud) -> str:
    cloud.client("s3").create_bucket(Bucket="bucket")
    return "bucket"


def queue(cloud: Cloud, name: str, service: str | None, source: str = "*") -> str:
    """A queue that lets a service in, for resources like ``source``; its URL."""
    url = str(cloud.client("sqs").create_queue(QueueName=name)["QueueUrl"])
    if service is not None:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "sqs:SendMessage",
            "Resource": f"arn:aws:sqs:{HERE}:{name}",
            "Condition": {"ArnLike": {"aws:SourceArn": source}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        cloud.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return url


def received(cloud: Cloud, url: str) -> list[Any]:
    cloud.wait_until_quiet()
    messages = cloud.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"]) for message in messages]


def configure(cloud: Cloud, bucket: str, **configuration: Any) -> None:
    s3 = cloud.client("s3")
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)


def of_queue(name: str, *events: str) -> dict[str, Any]:
    return {"QueueArn": f"arn:aws:sqs:{HERE}:{name}", "Events": list(events)}


def test_a_queue_is_told_that_it_will_be_told_and_then_of_every_object(cloud: Cloud, bucket: str) -> None:
    url = queue(cloud, "q", "s3.amazonaws.com", "arn:aws:s3:::bucket")
    configure(cloud, bucket, QueueConfigurations=[of_queue("q", "s3:ObjectCreated:*", "s3:ObjectRemoved:*")])
    s3 = cloud.client("s3")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.copy_object(Bucket=bucket, Key="copy", CopySource="bucket/k")
    s3.delete_object(Bucket=bucket, Key="k")
    told = received(cloud, url)

    assert [event["Event"] for event in told if "Event" in event] == ["s3:TestEvent"]
    names = sorted(event["Records"][0]["eventName"] for event in told if "Records" in event)
    assert names == ["ObjectCreated:Copy", "ObjectCreated:Put", "ObjectRemoved:Delete"]


@pytest.mark.parametrize(
    ("service", "source"), [(None, "*"), ("sns.amazonaws.com", "*"), ("s3.amazonaws.com", "arn:aws:s3:::other")]
)
def test_a_queue_that_does_not_let_the_bucket_in_is_no_destination(
    cloud: Cloud, bucket: str, service: str | None, source: str
) -> None:
    url = queue(cloud, "q", service, source)
    with pytest.raises(ClientError, match=r"InvalidArgument.*Unable to validate .*q: .*not authorized"):
        configure(cloud, bucket, QueueConfigurations=[of_queue("q", "s3:ObjectCreated:*")])
    cloud.client("s3").put_object(Bucket=bucket, Key="k", Body=b"x")

    assert received(cloud, url) == []


def test_a_destination_that_is_not_there_is_none(cloud: Cloud, bucket: str) -> None:
    with pytest.raises(ClientError, match=r"InvalidArgument.*nobody"):
        configure(cloud, bucket, QueueConfigurations=[of_queue("nobody", "s3:ObjectCreated:*")])


def test_event_bridge_gets_events_of_buckets_that_say_so(cloud: Cloud, bucket: str) -> None:
    url = queue(cloud, "q", "events.amazonaws.com")
    events = cloud.client("events")
    pattern = {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": {"bucket": {"name": ["bucket"]}}}
    events.put_rule(Name="r", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="r", Targets=[{"Id": "q", "Arn": f"arn:aws:sqs:{HERE}:q"}])
    s3 = cloud.client("s3")
    s3.put_object(Bucket=bucket, Key="before", Body=b"x")
    configure(cloud, bucket, EventBridgeConfiguration={})
    s3.put_object(Bucket=bucket, Key="after", Body=b"xyz")
    s3.delete_object(Bucket=bucket, Key="after")

    (event,) = received(cloud, url)
    assert event["detail"]["object"] | {"sequencer": ""} == {
        "key": "after",
        "size": 3,
        "etag": "d16fb36f0911f878998c136191af705e",
        "sequencer": "",
    }
    assert event["detail"]["reason"] == "PutObject"
