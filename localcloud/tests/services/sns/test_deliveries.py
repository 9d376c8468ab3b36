"""What is published: whole, in order where that is promised, and only to whoever lets the topic in."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.in_process import START, Cloud

HERE = "us-east-1:123456789012"


def topic(cloud: Cloud, name: str = "t", **attributes: str) -> str:
    return str(cloud.client("sns").create_topic(Name=name, Attributes=attributes)["TopicArn"])


def queue(cloud: Cloud, name: str = "q", source: str | None = "*", **attributes: str) -> str:
    """A queue that lets topics like ``source`` in (None: nobody); its URL."""
    sqs = cloud.client("sqs")
    url = str(sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])
    if source is not None:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": f"arn:aws:sqs:{HERE}:{name}",
            "Condition": {"ArnLike": {"aws:SourceArn": source}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return url


def subscribe(cloud: Cloud, arn: str, name: str = "q", **attributes: str) -> str:
    answer = cloud.client("sns").subscribe(
        TopicArn=arn, Protocol="sqs", Endpoint=f"arn:aws:sqs:{HERE}:{name}", Attributes=attributes
    )
    return str(answer["SubscriptionArn"])


def received(cloud: Cloud, url: str) -> list[Any]:
    cloud.wait_until_quiet()
    asked = {"QueueUrl": url, "MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"]}
    return list(cloud.client("sqs").receive_message(**asked).get("Messages", []))


@pytest.mark.parametrize("source", [None, f"arn:aws:sns:{HERE}:other"])
def test_a_queue_that_does_not_let_the_topic_in_gets_nothing_and_the_dead_letter_queue_does(
    cloud: Cloud, source: str | None
) -> None:
    arn, url, dead = topic(cloud), queue(cloud, source=source), queue(cloud, "dead")
    redrive = json.dumps({"deadLetterTargetArn": f"arn:aws:sqs:{HERE}:dead"})
    subscribe(cloud, arn, RedrivePolicy=redrive)
    cloud.client("sns").publish(TopicArn=arn, Message="m")

    assert received(cloud, url) == []
    (buried,) = received(cloud, dead)
    assert json.loads(buried["Body"])["Message"] == "m"


def test_a_notification_says_where_it_is_from_and_what_it_carries(cloud: Cloud) -> None:
    arn, url = topic(cloud), queue(cloud)
    subscription = subscribe(cloud, arn)
    attributes = {"k": {"DataType": "String", "StringValue": "v"}, "n": {"DataType": "Number", "StringValue": "1.5"}}
    answer = cloud.client("sns").publish(TopicArn=arn, Message="m", Subject="s", MessageAttributes=attributes)
    (message,) = received(cloud, url)
    told = json.loads(message["Body"])

    assert (told["Message"], told["Subject"], told["TopicArn"]) == ("m", "s", arn)
    assert told["MessageId"] == answer["MessageId"]
    assert told["MessageAttributes"] == {"k": {"Type": "String", "Value": "v"}, "n": {"Type": "Number", "Value": "1.5"}}
    assert told["UnsubscribeURL"].endswith(subscription)


@pytest.mark.parametrize(("raw", "is_raw"), [("true", True), ("false", False)])
def test_raw_delivery_is_what_the_attribute_says(cloud: Cloud, raw: str, is_raw: bool) -> None:
    arn, url = topic(cloud), queue(cloud)
    subscribe(cloud, arn, RawMessageDelivery=raw)
    attributes = {"k": {"DataType": "String", "StringValue": "v"}, "b": {"DataType": "Binary", "BinaryValue": b"\x00"}}
    cloud.client("sns").publish(TopicArn=arn, Message="m", MessageAttributes=attributes)
    (message,) = received(cloud, url)

    if is_raw:
        assert message["Body"] == "m"
        assert message["MessageAttributes"]["k"] == attributes["k"]
        assert message["MessageAttributes"]["b"]["BinaryValue"] == b"\x00"
    else:
        assert json.loads(message["Body"])["Message"] == "m"
        assert "MessageAttributes" not in message


def test_a_fifo_topics_messages_arrive_once_and_in_order(cloud: Cloud) -> None:
    arn = topic(cloud, "t.fifo", FifoTopic="true", ContentBasedDeduplication="true")
    url = queue(cloud, "q.fifo", FifoQueue="true")
    subscribe(cloud, arn, "q.fifo", RawMessageDelivery="true")
    for number in (0, 1, 2, 2, 3, 4, 5, 6):
        cloud.client("sns").publish(TopicArn=arn, Message=str(number), MessageGroupId="g")

    assert [message["Body"] for message in received(cloud, url)] == list("0123456")


@pytest.mark.parametrize("protocol", ["http", "https", "firehose", "application"])
def test_a_subscriber_that_would_get_nothing_is_refused(cloud: Cloud, protocol: str) -> None:
    with pytest.raises(ClientError, match=f"InvalidParameter.*nothing by {protocol}: subscribe a queue"):
        cloud.client("sns").subscribe(TopicArn=topic(cloud), Protocol=protocol, Endpoint="https://example.com")


def test_deliveries_are_counted(cloud: Cloud) -> None:
    arn = topic(cloud)
    queue(cloud)
    queue(cloud, "shut", source=None)
    subscribe(cloud, arn)
    subscribe(cloud, arn, "shut")
    cloud.client("sns").publish(TopicArn=arn, Message="m")
    cloud.wait_until_quiet()
    sums = {}
    for metric in ("NumberOfNotificationsDelivered", "NumberOfNotificationsFailed"):
        (point,) = cloud.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SNS",
            MetricName=metric,
            Dimensions=[{"Name": "TopicName", "Value": "t"}],
            StartTime=START,
            EndTime=START + timedelta(minutes=5),
            Period=300,
            Statistics=["Sum"],
        )["Datapoints"]
        sums[metric] = point["Sum"]

    assert sums == {"NumberOfNotificationsDelivered": 1, "NumberOfNotificationsFailed": 1}
