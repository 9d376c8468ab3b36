"""What is kept, where, and for how long: as the services do it, and nothing besides."""

from __future__ import annotations

import gc
import json
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import moto.core.models
import moto.s3.models
import moto.sns.models
import pytest
from botocore.exceptions import ClientError
from moto.dynamodb.models.table import Table
from moto.logs.models import LogEvent

from localcloud.services.s3.stored_key import StoredKey, key_class
from support.in_process import Cloud, allow

DEFINITION = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": {"x": [1]}, "End": True}}})


def count(kind: type) -> int:
    gc.collect()
    return sum(issubclass(type(found), kind) for found in gc.get_objects())


def files(cloud: Cloud, name: str) -> list[Path]:
    return sorted((cloud.context.state_directory / name).iterdir())


class TestModels:
    def test_a_transaction_leaves_no_copy_of_its_table(self, cloud: Cloud) -> None:
        client = cloud.client("dynamodb")
        client.create_table(
            TableName="t",
            KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        before = count(Table)
        for number in range(5):
            client.transact_write_items(TransactItems=[{"Put": {"TableName": "t", "Item": {"k": {"S": str(number)}}}}])
        assert count(Table) == before
        assert client.scan(TableName="t")["Count"] == 5

    def test_a_deleted_object_is_gone(self, cloud: Cloud) -> None:
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket="lake")
        before = count(StoredKey)
        for number in range(5):
            s3.put_object(Bucket="lake", Key=str(number), Body=b"x")
            s3.delete_object(Bucket="lake", Key=str(number))
        assert count(StoredKey) == before


class TestObjects:
    @pytest.mark.parametrize("size", [0, 1, 257, 100_000])
    def test_an_object_is_what_was_put(self, cloud: Cloud, size: int) -> None:
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket="lake")
        body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        s3.put_object(Bucket="lake", Key="k", Body=body)
        s3.copy_object(Bucket="lake", Key="copy", CopySource={"Bucket": "lake", "Key": "k"})

        assert s3.get_object(Bucket="lake", Key="k")["Body"].read() == body
        assert s3.get_object(Bucket="lake", Key="copy")["Body"].read() == body
        if size > 2:
            part = s3.get_object(Bucket="lake", Key="k", Range="bytes=1-2")["Body"].read()
            assert part == body[1:3]
        assert len(files(cloud, "objects")) == (2 if size else 0)

    def test_a_multipart_upload_is_put_together(self, cloud: Cloud) -> None:
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket="lake")
        upload = s3.create_multipart_upload(Bucket="lake", Key="k")["UploadId"]
        bodies = [b"a" * 5_300_000, b"b" * 10]
        parts = [
            {
                "PartNumber": n,
                "ETag": s3.upload_part(Bucket="lake", Key="k", UploadId=upload, PartNumber=n, Body=body)["ETag"],
            }
            for n, body in enumerate(bodies, 1)
        ]
        s3.complete_multipart_upload(Bucket="lake", Key="k", UploadId=upload, MultipartUpload={"Parts": parts})

        assert s3.get_object(Bucket="lake", Key="k")["Body"].read() == b"".join(bodies)

    def test_a_file_goes_with_its_object_and_stays_with_its_version(self, cloud: Cloud) -> None:
        s3 = cloud.client("s3")
        for bucket in ("plain", "versioned"):
            s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
        for body in (b"1" * 1000, b"2" * 1000):
            first = s3.put_object(Bucket="versioned", Key="k", Body=body)["VersionId"]
            s3.put_object(Bucket="plain", Key="k", Body=body)
        gc.collect()
        assert len(files(cloud, "objects")) == 3  # one of them is the one that was written over
        versions = s3.list_object_versions(Bucket="versioned")["Versions"]
        old = next(version["VersionId"] for version in versions if version["VersionId"] != first)
        assert s3.get_object(Bucket="versioned", Key="k", VersionId=old)["Body"].read() == b"1" * 1000
        s3.delete_object(Bucket="plain", Key="k")
        s3.delete_object(Bucket="versioned", Key="k", VersionId=old)
        gc.collect()
        assert len(files(cloud, "objects")) == 1

    def test_a_small_object_takes_little_memory(self, cloud: Cloud) -> None:
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket="lake")

        def held_after(first: int, last: int) -> int:
            for n in range(first, last):
                key = f"predictions/model=m/date=2026-01-05/part-{n:06}.parquet"
                s3.put_object(Bucket="lake", Key=key, Body=b"x" * 999)
            gc.collect()
            return tracemalloc.get_traced_memory()[0]

        tracemalloc.start()
        once = held_after(0, 50)  # what is kept once, whatever is put
        held = (held_after(50, 200) - once) / 150
        tracemalloc.stop()

        # 330 bytes with the name, and what their tables grow by; 3,600 as moto keeps them.
        assert held < 700

    def test_what_an_object_has_of_its_own_is_told(self, cloud: Cloud) -> None:
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket="lake", ObjectLockEnabledForBucket=True)
        own: dict[str, Any] = {
            "Metadata": {"a": "1"},
            "ContentType": "text/plain",
            "StorageClass": "STANDARD_IA",
            "ServerSideEncryption": "aws:kms",
            "SSEKMSKeyId": "key",
            "WebsiteRedirectLocation": "/there",
            "ObjectLockMode": "GOVERNANCE",
            "ObjectLockRetainUntilDate": datetime(2030, 1, 1, tzinfo=UTC),
            "ObjectLockLegalHoldStatus": "ON",
        }
        s3.put_object(Bucket="lake", Key="usual", Body=b"1")
        s3.put_object(Bucket="lake", Key="own", Body=b"22", **own)
        s3.copy_object(Bucket="lake", Key="copy", CopySource={"Bucket": "lake", "Key": "own"})

        told, usual = s3.head_object(Bucket="lake", Key="own"), s3.head_object(Bucket="lake", Key="usual")
        assert {name: told[name] for name in own} == own
        assert told["VersionId"] != usual["VersionId"]
        assert not set(own) - {"Metadata", "ContentType"} & set(usual)
        assert (usual["Metadata"], usual["ContentLength"], told["ContentLength"]) == ({}, 1, 2)
        assert s3.get_object(Bucket="lake", Key="copy")["Body"].read() == b"22"
        # WHEN it becomes usual again, THEN that is told
        s3.put_object_legal_hold(Bucket="lake", Key="own", LegalHold={"Status": "OFF"})
        held = s3.get_object_legal_hold(Bucket="lake", Key="own")["LegalHold"]["Status"]
        assert held == "OFF"

    def test_whoever_still_reads_a_deleted_object_is_told_so(self, tmp_path: Path) -> None:
        made = key_class(str(tmp_path), "123456789012", moto.s3.models.get_canned_acl("private"))
        key = made("k", b"x" * 1000, "123456789012", "aws", bucket_name="lake")
        assert key.value == b"x" * 1000
        key.dispose()
        with pytest.raises(ValueError, match="deleted"):
            key.value  # noqa: B018
        assert list(tmp_path.iterdir()) == []

    def test_tags_go_with_their_object(self, cloud: Cloud) -> None:
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket="lake")
        backend = moto.s3.models.s3_backends[cloud.context.account_id]["aws"]
        before = len(backend.tagger.tags)
        for number in range(3):
            s3.put_object(Bucket="lake", Key=f"plain-{number}", Body=b"x")
            s3.put_object(Bucket="lake", Key=f"tagged-{number}", Body=b"x", Tagging="a=1")
        assert len(backend.tagger.tags) == before + 3
        assert s3.get_object_tagging(Bucket="lake", Key="plain-1")["TagSet"] == []
        s3.delete_object(Bucket="lake", Key="tagged-0")
        s3.delete_objects(Bucket="lake", Delete={"Objects": [{"Key": "tagged-1"}, {"Key": "plain-1"}]})
        s3.delete_object_tagging(Bucket="lake", Key="tagged-2")
        assert len(backend.tagger.tags) == before
        s3.put_object(Bucket="lake", Key="tagged-2", Body=b"x", Tagging="b=2")
        s3.copy_object(
            Bucket="lake",
            Key="tagged-2",
            CopySource={"Bucket": "lake", "Key": "tagged-2"},
            MetadataDirective="REPLACE",
        )
        assert s3.get_object_tagging(Bucket="lake", Key="tagged-2")["TagSet"] == [{"Key": "b", "Value": "2"}]

    def test_metadata_and_checksums_stay_with_their_version(self, cloud: Cloud) -> None:
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket="lake")
        s3.put_bucket_versioning(Bucket="lake", VersioningConfiguration={"Status": "Enabled"})
        made = [
            s3.put_object(
                Bucket="lake", Key="k", Body=body, Metadata={"Number": body.decode()}, ChecksumAlgorithm="SHA256"
            )
            for body in (b"1", b"22", b"333")
        ]
        s3.copy_object(
            Bucket="lake", Key="copy", CopySource="lake/k", MetadataDirective="REPLACE", Metadata={"own": "x"}
        )
        for put, body in zip(made, (b"1", b"22", b"333"), strict=True):
            got = s3.get_object(Bucket="lake", Key="k", VersionId=put["VersionId"], ChecksumMode="ENABLED")
            assert (got["Metadata"], got["ContentLength"]) == ({"number": body.decode()}, len(body))
            assert (got["ETag"], got["ChecksumSHA256"]) == (put["ETag"], put["ChecksumSHA256"])
        assert s3.head_object(Bucket="lake", Key="copy")["Metadata"] == {"own": "x"}
        listed = s3.list_object_versions(Bucket="lake", Prefix="k")["Versions"]
        assert [v["IsLatest"] for v in listed] == [True, False, False]
        assert {v["VersionId"] for v in listed} == {put["VersionId"] for put in made}
        s3.delete_object(Bucket="lake", Key="k")
        assert "Contents" not in s3.list_objects_v2(Bucket="lake", Prefix="k")
        assert len(s3.list_object_versions(Bucket="lake", Prefix="k")["DeleteMarkers"]) == 1
        assert s3.get_object(Bucket="lake", Key="k", VersionId=made[0]["VersionId"])["Body"].read() == b"1"
        assert len(files(cloud, "objects")) == 4

    def test_objects_expire_by_their_rule_and_no_others(self, cloud: Cloud) -> None:
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket="lake")
        rules: list[dict[str, Any]] = [
            {"ID": "a", "Status": "Enabled", "Filter": {"Prefix": "results/"}, "Expiration": {"Days": 14}},
            {"ID": "b", "Status": "Disabled", "Filter": {"Prefix": "kept/"}, "Expiration": {"Days": 1}},
            {"ID": "c", "Status": "Enabled", "Filter": {"Tag": {"Key": "t", "Value": "1"}}, "Expiration": {"Days": 1}},
        ]
        s3.put_bucket_lifecycle_configuration(Bucket="lake", LifecycleConfiguration={"Rules": rules})
        for key in ("results/old", "kept/old", "old"):
            s3.put_object(Bucket="lake", Key=key, Body=b"x")

        def keys() -> list[str]:
            return [item["Key"] for item in s3.list_objects_v2(Bucket="lake")["Contents"]]

        cloud.advance(days=14)
        assert "results/old" in keys()
        cloud.advance(days=1)
        assert keys() == ["kept/old", "old"]


class TestMessages:
    def test_a_receipt_is_known_for_two_weeks_after_its_message_is_deleted(self, cloud: Cloud) -> None:
        sqs = cloud.client("sqs")
        url = sqs.create_queue(QueueName="q")["QueueUrl"]

        def delete_one() -> str:
            sqs.send_message(QueueUrl=url, MessageBody="x")
            receipt = str(sqs.receive_message(QueueUrl=url)["Messages"][0]["ReceiptHandle"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=receipt)
            return receipt

        first = delete_one()
        cloud.advance(days=14)
        delete_one()
        sqs.delete_message(QueueUrl=url, ReceiptHandle=first)
        cloud.advance(days=1)
        delete_one()
        with pytest.raises(ClientError, match="ReceiptHandleIsInvalid"):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=first)

    def test_a_topic_keeps_the_certificates_of_its_newest_messages(self, cloud: Cloud) -> None:
        sns, sqs = cloud.client("sns"), cloud.client("sqs")
        topic = sns.create_topic(Name="t")["TopicArn"]
        url = sqs.create_queue(QueueName="q")["QueueUrl"]
        queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
        for number in range(120):
            sns.publish(TopicArn=topic, Message=str(number))
        backend = moto.sns.models.sns_backends[moto.core.models.DEFAULT_ACCOUNT_ID][cloud.context.region]
        assert len(backend._message_public_keys) == 100
        assert len(backend.topics[topic].sent_notifications) == 0


class TestExecutions:
    def machine(self, cloud: Cloud) -> str:
        role = cloud.role("m", "states.amazonaws.com", allow("*"))
        made = cloud.client("stepfunctions").create_state_machine(name="m", definition=DEFINITION, roleArn=role)
        return str(made["stateMachineArn"])

    def test_an_execution_that_ended_tells_all_that_it_told(self, cloud: Cloud) -> None:
        client, machine = cloud.client("stepfunctions"), self.machine(cloud)
        execution = client.start_execution(stateMachineArn=machine, name="e", input='{"a": 1}')["executionArn"]
        cloud.wait_until_quiet()

        described = client.describe_execution(executionArn=execution)
        events = client.get_execution_history(executionArn=execution)["events"]
        assert (described["status"], json.loads(described["output"])) == ("SUCCEEDED", {"x": [1]})
        assert [e["type"] for e in events] == [
            "ExecutionStarted",
            "PassStateEntered",
            "PassStateExited",
            "ExecutionSucceeded",
        ]
        assert json.loads(events[0]["executionStartedEventDetails"]["input"]) == {"a": 1}
        assert [e["id"] for e in events] == [1, 2, 3, 4]
        assert client.stop_execution(executionArn=execution)["stopDate"] == described["stopDate"]
        assert client.describe_execution(executionArn=execution)["status"] == "SUCCEEDED"
        assert len(files(cloud, "executions")) == 1

    def test_an_execution_is_forgotten_after_90_days(self, cloud: Cloud) -> None:
        client, machine = cloud.client("stepfunctions"), self.machine(cloud)

        def start(name: str) -> str:
            arn = client.start_execution(stateMachineArn=machine, name=name)["executionArn"]
            cloud.wait_until_quiet()
            return str(arn)

        first = start("first")
        cloud.advance(days=89)
        start("second")
        assert client.describe_execution(executionArn=first)
        cloud.advance(days=2)
        start("third")
        listed = client.list_executions(stateMachineArn=machine)["executions"]
        assert [found["name"] for found in listed] == ["third", "second"]
        with pytest.raises(ClientError, match="ExecutionDoesNotExist"):
            client.describe_execution(executionArn=first)
        assert len(files(cloud, "executions")) == 2
        start("first")  # a name may be used again after that time


class TestLogs:
    def test_events_and_streams_are_kept_as_long_as_their_group_says(self, cloud: Cloud) -> None:
        logs = cloud.client("logs")
        for group in ("kept", "short"):
            logs.create_log_group(logGroupName=group)
        logs.put_retention_policy(logGroupName="short", retentionInDays=5)

        def put(name: str) -> None:
            now = int(cloud.context.clock.now().timestamp() * 1000)
            for group in ("kept", "short"):
                logs.create_log_stream(logGroupName=group, logStreamName=name)
                events = [{"timestamp": now, "message": f"{name} {n}"} for n in range(300)]
                logs.put_log_events(logGroupName=group, logStreamName=name, logEvents=events)

        def streams(group: str) -> list[str]:
            return [s["logStreamName"] for s in logs.describe_log_streams(logGroupName=group)["logStreams"]]

        put("one")
        cloud.advance(days=4)
        put("two")
        assert streams("short") == ["one", "two"]
        found = logs.filter_log_events(logGroupName="short", filterPattern="one")["events"]
        assert len(found) == 300
        cloud.advance(days=2)
        put("three")
        assert streams("short") == ["three", "two"]
        assert streams("kept") == ["one", "three", "two"]
        page = logs.get_log_events(logGroupName="kept", logStreamName="one", startFromHead=True, limit=2)["events"]
        assert [event["message"] for event in page] == ["one 0", "one 1"]
        first = logs.describe_log_streams(logGroupName="kept", logStreamNamePrefix="one")["logStreams"][0]
        assert first["firstEventTimestamp"] == first["lastEventTimestamp"] == page[0]["timestamp"]

    def test_only_the_newest_stream_of_a_group_is_in_memory(self, cloud: Cloud) -> None:
        logs = cloud.client("logs")
        logs.create_log_group(logGroupName="jobs")
        gc.collect()
        for name in range(20):
            now = int(cloud.context.clock.now().timestamp() * 1000)
            logs.create_log_stream(logGroupName="jobs", logStreamName=f"{name:02}")
            events = [{"timestamp": now, "message": f"{name} {n}"} for n in range(100)]
            logs.put_log_events(logGroupName="jobs", logStreamName=f"{name:02}", logEvents=events)
            cloud.advance(days=1)

        assert count(LogEvent) <= 100
        assert len(logs.filter_log_events(logGroupName="jobs", logStreamNames=["03"])["events"]) == 100
