"""Which statement allowed what, as the file of the cloud says it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.iam import usage
from localcloud.iam.usage import BY_RESOURCE, FILE
from support.in_process import Client, Cloud, Statement, allow

LAMBDA = "lambda.amazonaws.com"


def entries(cloud: Cloud, kind: str = "allowed") -> list[dict[str, Any]]:
    return list(json.loads((cloud.context.state_directory / FILE).read_text(encoding="utf-8"))[kind])


def by_action(cloud: Cloud) -> dict[str, list[Any]]:
    return {entry["action"]: [json.loads(s) for s in entry["statements"]] for entry in entries(cloud)}


def as_role(cloud: Cloud, *statements: Statement) -> Client:
    return cloud.role_client("s3", cloud.role("reader", LAMBDA, *statements), LAMBDA)


@pytest.fixture
def bucket(cloud: Cloud) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="lake")
    s3.put_object(Bucket="lake", Key="in/a", Body=b"x")


def test_the_statement_that_allowed_a_call_is_named_with_the_first_call(cloud: Cloud, bucket: None) -> None:
    reading, listing = allow("s3:GetObject", "arn:aws:s3:::lake/*"), allow("s3:ListBucket", "arn:aws:s3:::lake")
    s3 = as_role(cloud, reading, listing, allow("s3:PutObject", "arn:aws:s3:::lake/out/*"))
    for _ in range(3):
        s3.get_object(Bucket="lake", Key="in/a")
    with pytest.raises(ClientError):
        s3.put_object(Bucket="lake", Key="in/b", Body=b"")
    (entry,) = entries(cloud)
    assert entry["role"].endswith(":role/reader")
    assert (entry["action"], entry["resource"], entry["session"]) == ("s3:GetObject", "arn:aws:s3:::lake/in/a", "test")
    assert [json.loads(s) for s in entry["statements"]] == [reading]
    (refused,) = entries(cloud, "denied")
    assert (refused["action"], refused["resource"]) == ("s3:PutObject", "arn:aws:s3:::lake/in/b")
    usage.usage_of(cloud.context).write()
    assert [entry["calls"] for entry in entries(cloud)] == [3]


def test_a_second_refusal_of_a_kind_is_counted_though_the_file_is_not_written_for_it(
    cloud: Cloud, bucket: None
) -> None:
    s3 = as_role(cloud, allow("s3:ListBucket", "arn:aws:s3:::lake"))
    for _ in range(2):
        with pytest.raises(ClientError):
            s3.get_object(Bucket="lake", Key="in/a")
    assert [entry["calls"] for entry in entries(cloud, "denied")] == [1]
    assert [entry["calls"] for entry in usage.usage_of(cloud.context).counts()["denied"]] == [2]


def test_every_statement_that_would_do_is_named(cloud: Cloud, bucket: None) -> None:
    both = [allow("s3:GetObject", "arn:aws:s3:::lake/*"), allow(["s3:GetObject", "s3:ListBucket"])]
    as_role(cloud, *both).get_object(Bucket="lake", Key="in/a")
    assert by_action(cloud) == {"s3:GetObject": both}


def test_what_a_resources_policy_allows_needs_no_statement_of_the_role(cloud: Cloud, bucket: None) -> None:
    policy = {"Statement": [allow("s3:GetObject", "arn:aws:s3:::lake/*", Principal="*")]}
    cloud.client("s3").put_bucket_policy(Bucket="lake", Policy=json.dumps(policy))
    reader = as_role(cloud, allow("s3:ListBucket", "arn:aws:s3:::lake"))
    reader.get_object(Bucket="lake", Key="in/a")
    (entry,) = entries(cloud)
    assert entry["statements"] == [BY_RESOURCE]


def test_the_operators_calls_are_nobodys(cloud: Cloud, bucket: None) -> None:
    assert not (cloud.context.state_directory / FILE).exists()
