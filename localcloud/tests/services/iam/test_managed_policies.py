"""AWS managed policies: there when they are named, evaluated, and not kept when they are only listed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.in_process import Cloud

BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
READ_ONLY = "arn:aws:iam::aws:policy/AmazonSNSReadOnlyAccess"


def kept(cloud: Cloud) -> set[str]:
    from moto.iam.models import iam_backends

    return set(iam_backends[cloud.context.account_id]["aws"].managed_policies)


def test_what_a_managed_policy_allows_is_allowed_and_nothing_else(cloud: Cloud) -> None:
    role = cloud.role("reader", "lambda.amazonaws.com")
    sns = cloud.role_client("sns", role, "lambda.amazonaws.com")
    with pytest.raises(ClientError, match="AuthorizationError"):
        sns.list_topics()

    cloud.client("iam").attach_role_policy(RoleName="reader", PolicyArn=READ_ONLY)

    assert sns.list_topics()["Topics"] == []
    with pytest.raises(ClientError, match="AuthorizationError"):
        sns.create_topic(Name="mine")
    cloud.client("iam").detach_role_policy(RoleName="reader", PolicyArn=READ_ONLY)
    with pytest.raises(ClientError, match="AuthorizationError"):
        sns.list_topics()


def test_a_managed_policy_can_be_read(cloud: Cloud) -> None:
    iam = cloud.client("iam")
    policy = iam.get_policy(PolicyArn=BASIC)["Policy"]
    version = iam.get_policy_version(PolicyArn=BASIC, VersionId=policy["DefaultVersionId"])["PolicyVersion"]

    assert policy["PolicyName"] == "AWSLambdaBasicExecutionRole"
    assert "logs:PutLogEvents" in json.dumps(version["Document"])


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:iam::aws:policy/AWSLambdaBasicExecutionRole",  # it has a path
        "arn:aws:iam::aws:policy/service-role/NoSuchPolicy",
        "arn:aws:iam::aws:policy/",
    ],
)
def test_what_aws_does_not_have_is_not_attachable(cloud: Cloud, arn: str) -> None:
    cloud.role("r", "lambda.amazonaws.com")
    with pytest.raises(ClientError, match="NoSuchEntity"):
        cloud.client("iam").attach_role_policy(RoleName="r", PolicyArn=arn)
    with pytest.raises(ClientError, match="NoSuchEntity"):
        cloud.client("iam").put_role_permissions_boundary(RoleName="r", PermissionsBoundary=arn)
    assert kept(cloud) == set()


def test_a_managed_policy_bounds_a_role(cloud: Cloud) -> None:
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    role = cloud.role("bounded", "lambda.amazonaws.com", everything)
    cloud.client("iam").put_role_permissions_boundary(RoleName="bounded", PermissionsBoundary=READ_ONLY)
    sns = cloud.role_client("sns", role, "lambda.amazonaws.com")

    assert sns.list_topics()["Topics"] == []
    with pytest.raises(ClientError, match="boundary"):
        sns.create_topic(Name="mine")


def test_all_are_listed_and_only_those_named_are_kept(cloud: Cloud) -> None:
    iam = cloud.client("iam")
    cloud.role("r", "lambda.amazonaws.com")
    iam.attach_role_policy(RoleName="r", PolicyArn=BASIC)

    pages = iam.get_paginator("list_policies").paginate(Scope="AWS", PaginationConfig={"PageSize": 1000})
    listed: list[dict[str, Any]] = [policy for page in pages for policy in page["Policies"]]

    assert len({policy["Arn"] for policy in listed}) == len(listed) > 1000
    assert [policy["AttachmentCount"] for policy in listed if policy["Arn"] == BASIC] == [1]
    assert iam.list_policies(Scope="Local")["Policies"] == []
    assert kept(cloud) == {BASIC}
