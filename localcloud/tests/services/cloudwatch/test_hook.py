"""CloudWatch over boto3, on a moved clock."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.running_cloud import RunningCloud, running_cloud

pytestmark = pytest.mark.xdist_group("cloudwatch")  # one cloud for all of them

START = datetime(2013, 3, 4, tzinfo=UTC)
SPAN = {"StartTime": START - timedelta(days=1), "EndTime": START + timedelta(days=2)}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud"), tmp_path_factory.mktemp("cache"), START) as running:
        yield running


@pytest.fixture(scope="module")
def aws(cloud: RunningCloud) -> Any:
    return cloud.client("cloudwatch")


def now(cloud: RunningCloud) -> datetime:
    return datetime.fromisoformat(cloud.daemon.clock()["now"])


def test_data_arrives_at_the_local_time_and_comes_back(cloud: RunningCloud, aws: Any) -> None:
    dimensions = [{"Name": "d", "Value": "x"}]
    aws.put_metric_data(
        Namespace="N",
        MetricData=[
            {"MetricName": "m", "Dimensions": dimensions, "Value": 1.0, "Unit": "Count"},
            {"MetricName": "m", "Dimensions": dimensions, "Values": [2.0, 3.0], "Counts": [10.0, 1.0]},
            {
                "MetricName": "m",
                "Dimensions": dimensions,
                "StatisticValues": {"SampleCount": 2, "Sum": 8, "Minimum": 3, "Maximum": 5},
            },
            {"MetricName": "m", "Value": 1000.0},
        ],
    )

    (point,) = aws.get_metric_statistics(
        Namespace="N",
        MetricName="m",
        Dimensions=dimensions,
        Period=300,
        Statistics=["Sum", "SampleCount", "Minimum", "Maximum", "Average"],
        **SPAN,
    )["Datapoints"]
    (percentiles,) = aws.get_metric_statistics(
        Namespace="N",
        MetricName="m",
        Dimensions=dimensions,
        Period=300,
        ExtendedStatistics=["p50", "p99", "PR(:3)"],
        **SPAN,
    )["Datapoints"]

    assert point["Timestamp"] == START
    assert (point["Sum"], point["SampleCount"], point["Minimum"], point["Maximum"]) == (32.0, 14.0, 1.0, 5.0)
    assert point["Unit"] == "Count"
    assert percentiles["ExtendedStatistics"] == {
        "p50": 2.0,
        "p99": 4.0,
        "PR(:3)": pytest.approx(100 * 12 / 14),
    }


def test_metric_data_by_query(aws: Any) -> None:
    for minute in (0, 1, 10):
        aws.put_metric_data(
            Namespace="Q",
            MetricData=[{"MetricName": "q", "Value": 2.0, "Timestamp": START - timedelta(minutes=minute)}],
        )
    stat = {"Metric": {"Namespace": "Q", "MetricName": "q"}, "Period": 300, "Stat": "Sum"}

    (result,) = aws.get_metric_data(
        MetricDataQueries=[{"Id": "a", "MetricStat": stat}], ScanBy="TimestampAscending", **SPAN
    )["MetricDataResults"]

    assert result["Values"] == [2.0, 2.0, 2.0]
    assert result["Timestamps"] == [START - timedelta(minutes=10), START - timedelta(minutes=5), START]


def test_invocations_and_embedded_metrics_are_counted_at_the_local_time(cloud: RunningCloud, aws: Any) -> None:
    # GIVEN a function that embeds a metric with a real timestamp, behind an alias
    line = {
        "_aws": {
            "Timestamp": 1_900_000_000_000,
            "CloudWatchMetrics": [{"Namespace": "App", "Dimensions": [["model"]], "Metrics": [{"Name": "Served"}]}],
        },
        "model": "m",
        "Served": 7,
    }
    cloud.function("f", f"def handle(event, context):\n    print('''{json.dumps(line)}''')\n", Publish=True)
    functions = cloud.client("lambda")
    functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")

    # WHEN it is invoked
    functions.invoke(FunctionName="f", Qualifier="live")

    # THEN both its own metrics and its log's are there, under the dimensions that AWS publishes
    resource = [{"Name": "FunctionName", "Value": "f"}, {"Name": "Resource", "Value": "f:live"}]
    executed = [*resource, {"Name": "ExecutedVersion", "Value": "1"}]
    for namespace, metric, dimensions, value in (
        ("AWS/Lambda", "Invocations", resource[:1], 1.0),
        ("AWS/Lambda", "Invocations", resource, 1.0),
        ("AWS/Lambda", "Errors", executed, 0.0),
        ("App", "Served", [{"Name": "model", "Value": "m"}], 7.0),
    ):
        points = aws.get_metric_statistics(
            Namespace=namespace, MetricName=metric, Dimensions=dimensions, Period=60, Statistics=["Sum"], **SPAN
        )["Datapoints"]
        assert [point["Sum"] for point in points] == [value], metric
        assert points[0]["Timestamp"] == now(cloud).replace(second=0)


def test_an_alarm_notifies_its_topic_when_the_clock_moves(cloud: RunningCloud, aws: Any) -> None:
    # GIVEN an alarm on a metric, and a queue on its topic
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    topic = sns.create_topic(Name="alarms")["TopicArn"]
    queue = sqs.create_queue(QueueName="alarms")["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    lets_in = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{**lets_in, "Resource": queue_arn}]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
    aws.put_metric_alarm(
        AlarmName="too-many",
        Namespace="A",
        MetricName="errors",
        Statistic="Sum",
        Period=300,
        EvaluationPeriods=2,
        DatapointsToAlarm=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
        AlarmActions=[topic],
        OKActions=[topic],
    )

    # WHEN an error happens, and then none
    aws.put_metric_data(Namespace="A", MetricData=[{"MetricName": "errors", "Value": 1.0}])
    ran = cloud.daemon.advance(now(cloud) + timedelta(days=1))["ran"]

    # THEN the topic heard of both changes, after a few judgements only
    cloud.wait_until_quiet()
    messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    heard = [json.loads(json.loads(message["Body"])["Message"]) for message in messages]
    assert [(entry["OldStateValue"], entry["NewStateValue"]) for entry in heard] == [
        ("INSUFFICIENT_DATA", "ALARM"),
        ("ALARM", "OK"),
    ]
    assert heard[0]["Trigger"]["MetricName"] == "errors"
    assert sum(label.startswith("alarm ") for label in ran) < 5
    (alarm,) = aws.describe_alarms(AlarmNames=["too-many"])["MetricAlarms"]
    assert (alarm["StateValue"], alarm["DatapointsToAlarm"]) == ("OK", 1)
    assert len(aws.describe_alarm_history(AlarmName="too-many")["AlarmHistoryItems"]) == 2


def test_alarms_are_listed_set_and_deleted(aws: Any) -> None:
    aws.put_metric_alarm(
        AlarmName="one",
        Namespace="A",
        MetricName="x",
        ExtendedStatistic="p99",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="LessThanThreshold",
    )

    aws.set_alarm_state(AlarmName="one", StateValue="ALARM", StateReason="a test")

    assert [alarm["AlarmName"] for alarm in aws.describe_alarms(StateValue="ALARM")["MetricAlarms"]] == ["one"]
    assert (
        aws.describe_alarms_for_metric(Namespace="A", MetricName="x")["MetricAlarms"][0]["ExtendedStatistic"] == "p99"
    )
    aws.delete_alarms(AlarmNames=["one"])
    assert aws.describe_alarms(AlarmNames=["one"])["MetricAlarms"] == []


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("get_metric_data", {"MetricDataQueries": [{"Id": "a", "Expression": "m1 / m2"}], **SPAN}),
        ("put_composite_alarm", {"AlarmName": "c", "AlarmRule": "ALARM(one)"}),
        ("put_anomaly_detector", {"Namespace": "N", "MetricName": "m", "Stat": "Average"}),
        (
            "put_metric_alarm",
            {
                "AlarmName": "math",
                "EvaluationPeriods": 1,
                "Threshold": 1.0,
                "ComparisonOperator": "GreaterThanThreshold",
                "Metrics": [{"Id": "a", "Expression": "m1 / m2"}],
            },
        ),
    ],
)
def test_what_is_not_executed_is_refused(aws: Any, operation: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="not executed by the local cloud"):
        getattr(aws, operation)(**parameters)


def test_times_far_from_the_local_clock_are_refused(aws: Any) -> None:
    with pytest.raises(ClientError, match="two weeks"):
        aws.put_metric_data(
            Namespace="N", MetricData=[{"MetricName": "m", "Value": 1.0, "Timestamp": START - timedelta(days=30)}]
        )


def test_a_role_without_permission_is_denied(cloud: RunningCloud) -> None:
    caller = cloud.client("cloudwatch", **cloud.session(cloud.role("nothing", "ec2.amazonaws.com")))

    with pytest.raises(ClientError) as caught:
        caller.put_metric_data(Namespace="N", MetricData=[{"MetricName": "m", "Value": 1.0}])

    assert "AccessDenied" in caught.value.response["Error"]["Code"]
