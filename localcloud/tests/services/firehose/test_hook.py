"""Delivery streams through their API: buffered, converted and delivered under the stream's role."""

from __future__ import annotations

import io
import json
from datetime import datetime
from typing import Any

import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from support.in_process import Client, Cloud

ACCOUNT = "123456789012"
COLUMNS = [
    {"Name": "prediction_id", "Type": "string"},
    {"Name": "version", "Type": "int"},
    {"Name": "time", "Type": "timestamp"},
    {"Name": "probability", "Type": "double"},
]


@pytest.fixture
def lake(cloud: Cloud) -> Cloud:
    """A cloud with Firehose, a bucket, a table, and a role that may deliver."""
    cloud.client("s3").create_bucket(Bucket="lake")
    glue = cloud.client("glue")
    glue.create_database(DatabaseInput={"Name": "everloop"})
    glue.create_table(
        DatabaseName="everloop",
        TableInput={
            "Name": "predictions",
            "StorageDescriptor": {"Columns": COLUMNS, "Location": "s3://lake/predictions/"},
        },
    )
    cloud.role(
        "delivery",
        "firehose.amazonaws.com",
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::lake/*"},
        {"Effect": "Allow", "Action": "glue:GetTableVersions", "Resource": "*"},
    )
    return cloud


def destination(**changes: Any) -> dict[str, Any]:
    role = f"arn:aws:iam::{ACCOUNT}:role/delivery"
    configuration = {
        "RoleARN": role,
        "BucketARN": "arn:aws:s3:::lake",
        "Prefix": "predictions/date=!{timestamp:yyyy-MM-dd}/",
        "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/!{timestamp:yyyy}/",
        "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 60},
        "DataFormatConversionConfiguration": {
            "Enabled": True,
            "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
            "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {"Compression": "SNAPPY"}}},
            "SchemaConfiguration": {
                "RoleARN": role,
                "DatabaseName": "everloop",
                "TableName": "predictions",
                "Region": "us-east-1",
            },
        },
    }
    return configuration | changes


def create(cloud: Cloud, **changes: Any) -> Client:
    client = cloud.client("firehose")
    client.create_delivery_stream(
        DeliveryStreamName="predictions", ExtendedS3DestinationConfiguration=destination(**changes)
    )
    return client


def record(index: int = 0, **changes: Any) -> dict[str, bytes]:
    value = {
        "prediction_id": f"p-{index}",
        "version": 7,
        "time": "2026-01-05 00:00:00.123",
        "probability": 0.25,
    }
    return {"Data": (json.dumps(value | changes) + "\n").encode()}


def put(client: Client, *records: dict[str, bytes]) -> dict[str, Any]:
    return dict(client.put_record_batch(DeliveryStreamName="predictions", Records=list(records)))


def keys(cloud: Cloud) -> list[str]:
    listed = cloud.client("s3").list_objects_v2(Bucket="lake").get("Contents", [])
    return [item["Key"] for item in listed]


def body(cloud: Cloud, key: str) -> bytes:
    return bytes(cloud.client("s3").get_object(Bucket="lake", Key=key)["Body"].read())


def test_records_wait_for_the_interval_then_arrive_as_parquet(lake: Cloud) -> None:
    client = create(lake)
    answer = put(client, record(0), record(1, probability=None))
    assert answer["FailedPutCount"] == 0
    assert len(answer["RequestResponses"]) == 2
    lake.advance(seconds=59)
    assert keys(lake) == []

    ran = lake.advance(seconds=1)

    assert ran == ["firehose predictions"]
    (key,) = keys(lake)
    assert key.startswith("predictions/date=2026-01-05/predictions-1-2026-01-05-00-00-00-")
    assert key.endswith(".parquet")
    file = pq.ParquetFile(io.BytesIO(body(lake, key)))
    assert file.metadata.row_group(0).column(0).compression == "SNAPPY"
    assert file.read().to_pylist() == [
        {
            "prediction_id": f"p-{index}",
            "version": 7,
            "time": datetime(2026, 1, 5, 0, 0, 0, 123000),
            "probability": probability,
        }
        for index, probability in enumerate([0.25, None])
    ]


def test_the_interval_starts_with_the_first_record_of_a_buffer(lake: Cloud) -> None:
    client = create(lake)
    lake.advance(seconds=1000)
    put(client, record())
    lake.advance(seconds=30)
    put(client, record())
    lake.advance(seconds=30)
    assert len(keys(lake)) == 1
    assert lake.advance(seconds=1000) == []


def test_a_full_buffer_does_not_wait(lake: Cloud) -> None:
    client = create(lake, DataFormatConversionConfiguration={"Enabled": False}, BufferingHints={"SizeInMBs": 1})
    for _ in range(2):
        client.put_record(DeliveryStreamName="predictions", Record={"Data": b"x" * 600_000})
    lake.wait_until_quiet()
    (key,) = keys(lake)
    assert body(lake, key) == b"x" * 1_200_000


def test_records_that_do_not_convert_go_to_the_error_prefix(lake: Cloud) -> None:
    client = create(lake)
    put(client, record(0), {"Data": b"{not json"}, record(1, version="seven"), record(2, version="8"))
    lake.advance(seconds=60)
    good, bad = sorted(keys(lake), reverse=True)
    assert [row["version"] for row in pq.read_table(io.BytesIO(body(lake, good))).to_pylist()] == [7, 8]
    assert bad.startswith("errors/format-conversion-failed/2026/")
    failures = [json.loads(line) for line in body(lake, bad).splitlines()]
    assert [failure["lastErrorCode"] for failure in failures] == ["DataFormatConversion.MalformedData"] * 2


def test_the_stream_can_only_do_what_its_role_allows(lake: Cloud) -> None:
    client = create(lake)
    put(client, record())
    lake.client("iam").delete_role_policy(RoleName="delivery", PolicyName="inline")
    lake.advance(seconds=60)
    assert keys(lake) == []

    # Nothing is lost: it is tried again.
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    lake.client("iam").put_role_policy(RoleName="delivery", PolicyName="new", PolicyDocument=json.dumps(policy))
    lake.advance(seconds=60)
    assert len(keys(lake)) == 1


def test_a_failure_is_told_to_the_streams_log(lake: Cloud) -> None:
    logs = lake.client("logs")
    logs.create_log_group(logGroupName="firehose")
    logs.create_log_stream(logGroupName="firehose", logStreamName="delivery")
    options = {"Enabled": True, "LogGroupName": "firehose", "LogStreamName": "delivery"}
    client = create(lake, CloudWatchLoggingOptions=options)
    put(client, record())
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["logs:PutLogEvents", "glue:*"], "Resource": "*"}],
    }
    lake.client("iam").put_role_policy(RoleName="delivery", PolicyName="inline", PolicyDocument=json.dumps(policy))
    lake.advance(seconds=60)
    (event,) = logs.get_log_events(logGroupName="firehose", logStreamName="delivery")["events"]
    assert json.loads(event["message"])["errorCode"] == "S3.AccessDenied"


def test_a_role_that_firehose_may_not_assume_is_refused(lake: Cloud) -> None:
    other = lake.role("other", "lambda.amazonaws.com")
    with pytest.raises(ClientError, match=r"can't assume this role"):
        create(lake, RoleARN=other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 60}}, "64 to 128"),
        ({"DynamicPartitioningConfiguration": {"Enabled": True}}, "DynamicPartitioning"),
        ({"ProcessingConfiguration": {"Enabled": True, "Processors": []}}, "ProcessingConfiguration"),
        ({"Prefix": "x/!{partitionKeyFromQuery:a}/"}, "not supported in prefix"),
        ({"Prefix": "x/!{timestamp:yyyy-ww}/"}, "'ww' is not supported"),
        ({"CompressionFormat": "GZIP"}, "must be UNCOMPRESSED"),
    ],
)
def test_what_would_be_left_out_is_refused(lake: Cloud, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        create(lake, **change)


@pytest.mark.parametrize(
    "records",
    [
        [{"Data": b"x"}] * 501,
        [{"Data": b"x" * (1000 * 1024 + 1)}],
        [{"Data": b"x" * 900_000}] * 5,
    ],
    ids=["too many", "too large", "too large together"],
)
def test_the_limits_of_a_batch(lake: Cloud, records: list[dict[str, bytes]]) -> None:
    client = create(lake)
    with pytest.raises(ClientError, match="InvalidArgumentException"):
        put(client, *records)


def test_deleting_a_stream_delivers_first(lake: Cloud) -> None:
    client = create(lake)
    put(client, record())
    client.delete_delivery_stream(DeliveryStreamName="predictions")
    assert len(keys(lake)) == 1


def test_closing_the_cloud_delivers_first(lake: Cloud) -> None:
    from localcloud.services.firehose import hook as firehose

    client = create(lake)
    put(client, record())
    firehose.close()
    assert len(keys(lake)) == 1


def test_an_update_applies_to_what_is_delivered_next(lake: Cloud) -> None:
    client = create(lake)
    put(client, record())
    described = client.describe_delivery_stream(DeliveryStreamName="predictions")["DeliveryStreamDescription"]
    client.update_destination(
        DeliveryStreamName="predictions",
        CurrentDeliveryStreamVersionId=described["VersionId"],
        DestinationId=described["Destinations"][0]["DestinationId"],
        ExtendedS3DestinationUpdate={"Prefix": "other/!{timestamp:yyyy}/"},
    )
    lake.advance(seconds=60)
    (key,) = keys(lake)
    assert key.startswith("other/2026/predictions-2-")
    assert key.endswith(".parquet")


def test_putting_needs_permission(lake: Cloud) -> None:
    create(lake)
    role = lake.role(
        "writer",
        "lambda.amazonaws.com",
        {
            "Effect": "Allow",
            "Action": "firehose:PutRecordBatch",
            "Resource": f"arn:aws:firehose:us-east-1:{ACCOUNT}:deliverystream/predictions",
        },
    )
    client = lake.role_client("firehose", role, "lambda.amazonaws.com")
    assert put(client, record())["FailedPutCount"] == 0
    with pytest.raises(ClientError, match="AccessDenied"):
        client.put_record(DeliveryStreamName="predictions", Record=record())


def test_an_unknown_stream(lake: Cloud) -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        put(lake.client("firehose"), record())
