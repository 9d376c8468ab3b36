"""The metrics of queues, and alarms on them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.in_process import START, Cloud

VISIBLE = "ApproximateNumberOfMessagesVisible"


def queue(cloud: Cloud, name: str = "q") -> str:
    return str(cloud.client("sqs").create_queue(QueueName=name)["QueueUrl"])


def statistic(cloud: Cloud, metric: str, statistic: str, minutes: int = 60) -> list[float]:
    """Values of a metric of the queue, minute by minute."""
    found = cloud.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SQS",
        MetricName=metric,
        Dimensions=[{"Name": "QueueName", "Value": "q"}],
        StartTime=START,
        EndTime=START + timedelta(minutes=minutes),
        Period=60,
        Statistics=[statistic],
    )["Datapoints"]
    return [point[statistic] for point in sorted(found, key=lambda point: point["Timestamp"])]


def alarm(cloud: Cloud, **changed: Any) -> None:
    settings = {
        "AlarmName": "dead",
        "Namespace": "AWS/SQS",
        "MetricName": VISIBLE,
        "Dimensions": [{"Name": "QueueName", "Value": "q"}],
        "Statistic": "Maximum",
        "Period": 300,
        "EvaluationPeriods": 1,
        "Threshold": 0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }
    cloud.client("cloudwatch").put_metric_alarm(**{**settings, **changed})


def state(cloud: Cloud) -> str:
    (found,) = cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]
    return str(found["StateValue"])


def test_what_is_sent_received_and_deleted_is_counted(cloud: Cloud) -> None:
    url, sqs = queue(cloud), cloud.client("sqs")
    for body in ("a", "bc"):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    (message,) = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1)["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])  # again, without effect

    assert statistic(cloud, "NumberOfMessagesSent", "Sum") == [2]
    assert statistic(cloud, "SentMessageSize", "Sum") == [3]
    assert statistic(cloud, "NumberOfMessagesReceived", "Sum") == [1]
    assert statistic(cloud, "NumberOfMessagesDeleted", "Sum") == [1]
    assert statistic(cloud, VISIBLE, "Maximum") == [2]
    assert statistic(cloud, "ApproximateNumberOfMessagesNotVisible", "Maximum") == [1]


def test_an_alarm_on_a_queue_goes_off_and_stays_while_something_is_there(cloud: Cloud) -> None:
    url, sqs = queue(cloud), cloud.client("sqs")
    alarm(cloud)
    cloud.advance(minutes=6)
    assert state(cloud) == "OK"
    sqs.send_message(QueueUrl=url, MessageBody="a")
    for _ in range(4):
        cloud.advance(minutes=30)
        assert state(cloud) == "ALARM"
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    cloud.advance(minutes=11)

    assert state(cloud) == "OK"


def test_an_empty_queue_is_told_of_for_a_while(cloud: Cloud) -> None:
    url, sqs = queue(cloud), cloud.client("sqs")
    sqs.send_message(QueueUrl=url, MessageBody="a")
    sqs.purge_queue(QueueUrl=url)
    cloud.advance(minutes=30)

    assert statistic(cloud, VISIBLE, "Maximum") == [1] + [0] * 15


def test_a_deleted_queue_is_told_of_no_more(cloud: Cloud) -> None:
    url, sqs = queue(cloud), cloud.client("sqs")
    sqs.send_message(QueueUrl=url, MessageBody="a")
    sqs.delete_queue(QueueUrl=url)

    assert cloud.advance(hours=2) == ["metrics of queue q"]


def test_an_alarm_on_a_metric_that_nothing_puts_is_refused_by_name(cloud: Cloud) -> None:
    with pytest.raises(ClientError, match=r"nothing here emits the metric Age of AWS/SQS: AWS/SQS has Approximate"):
        alarm(cloud, MetricName="Age")
    with pytest.raises(ClientError, match=r"nothing here emits metrics of AWS/EC2"):
        alarm(cloud, Namespace="AWS/EC2")
    alarm(cloud, Namespace="Mine", MetricName="of my own")


def test_what_is_published_is_counted(cloud: Cloud) -> None:
    topic = cloud.client("sns").create_topic(Name="t")["TopicArn"]
    cloud.client("sns").publish(TopicArn=topic, Message="grün")
    found = {
        metric["MetricName"]: metric["Dimensions"]
        for metric in cloud.client("cloudwatch").list_metrics(Namespace="AWS/SNS")["Metrics"]
    }
    names = [{"Name": "TopicName", "Value": "t"}]
    assert found == {"NumberOfMessagesPublished": names, "PublishSize": names}
