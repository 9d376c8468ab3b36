"""Who changed what is recorded as it was decided on, and found by LookupEvents as AWS finds it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.core.settings import Settings, SettingsError
from localcloud.services.cloudtrail.hook import delay_of
from support.in_process import START, Cloud, MakeCloud, allow
from support.lambdas import zipped

TRAIL = allow("cloudtrail:LookupEvents")


@pytest.fixture
def cloud(make_cloud: MakeCloud) -> Cloud:
    return make_cloud()


def function(cloud: Cloud, name: str = "f") -> Any:
    """A function with a secret, and a version of it; the operator's client."""
    role, client = cloud.role(f"{name}-role", "lambda.amazonaws.com"), cloud.client("lambda")
    client.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="h.h",
        Role=role,
        Code={"ZipFile": zipped({"h.py": "def h(event, context): return 1"})},
        Environment={"Variables": {"SECRET": "hush"}},
    )
    client.publish_version(FunctionName=name)
    return client


def found(cloud: Cloud, name: str | None = None, **given: Any) -> list[dict[str, Any]]:
    """The events of a name, newest first, with the record of each read."""
    attributes = [{"AttributeKey": "EventName", "AttributeValue": name}] if name else []
    events = cloud.client("cloudtrail").lookup_events(LookupAttributes=attributes, **given)["Events"]
    return [{**event, "CloudTrailEvent": json.loads(event["CloudTrailEvent"])} for event in events]


def test_who_moved_an_alias_is_the_session_that_signed(cloud: Cloud) -> None:
    # GIVEN an alias that somebody moves with a role, at ten past
    client = function(cloud)
    client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    role = cloud.role("ada", "lambda.amazonaws.com", allow("lambda:UpdateAlias"))
    cloud.advance(minutes=10)
    mover = cloud.role_client("lambda", role, "lambda.amazonaws.com")
    routing = {"AdditionalVersionWeights": {"1": 0.25}}
    mover.update_alias(FunctionName="f", Name="live", FunctionVersion="$LATEST", Description="mine")
    with pytest.raises(ClientError):
        mover.update_alias(FunctionName="gone", Name="live", FunctionVersion="1", RoutingConfig=routing)
    # WHEN it is looked up
    failed, moved = found(cloud, "UpdateAlias20150331")
    # THEN it says who, when and what, and of the other call that it failed
    record = moved["CloudTrailEvent"]
    identity = record["userIdentity"]
    assert identity["type"] == "AssumedRole"
    assert identity["arn"].startswith("arn:aws:sts::")
    assert identity["arn"].endswith("assumed-role/ada/test")
    assert identity["sessionContext"]["sessionIssuer"]["arn"] == role
    assert moved["Username"] == "test"
    assert moved["EventId"] == record["eventID"]
    assert moved["EventTime"] == START + timedelta(minutes=10)
    assert record["eventTime"] == "2026-01-05T00:10:00Z"
    assert record["requestParameters"] == {
        "functionName": "f",
        "name": "live",
        "functionVersion": "$LATEST",
        "description": "mine",
    }
    assert "errorCode" not in record
    assert failed["CloudTrailEvent"]["errorCode"] == "ResourceNotFoundException"
    assert failed["CloudTrailEvent"]["requestParameters"]["routingConfig"] == {"additionalVersionWeights": {"1": 0.25}}
    # AND the operator made the alias, by the name that STS has for it
    (made,) = found(cloud, "CreateAlias20150331")
    assert made["CloudTrailEvent"]["userIdentity"]["arn"] == cloud.client("sts").get_caller_identity()["Arn"]


def test_a_denied_change_is_recorded_with_who_tried(cloud: Cloud) -> None:
    function(cloud)
    client = cloud.role_client("lambda", cloud.role("eve", "lambda.amazonaws.com"), "lambda.amazonaws.com")
    with pytest.raises(ClientError):
        client.publish_version(FunctionName="f")
    denied, _ = found(cloud, "PublishVersion20150331")
    assert denied["CloudTrailEvent"]["errorCode"] == "AccessDeniedException"
    assert "eve/test is not authorized" in denied["CloudTrailEvent"]["errorMessage"]


def test_code_and_variables_are_not_kept_and_reads_and_invocations_not_recorded(cloud: Cloud) -> None:
    client = function(cloud)
    client.get_function(FunctionName="f")
    client.list_aliases(FunctionName="f")
    events = found(cloud)
    assert [event["EventName"] for event in events] == ["PublishVersion20150331", "CreateFunction20150331"]
    asked = events[1]["CloudTrailEvent"]["requestParameters"]
    assert set(asked) == {"functionName", "runtime", "handler", "role", "code"}
    assert asked["code"] == {}
    assert "hush" not in json.dumps(events, default=str)


def test_what_of_sagemaker_is_made_by_hand_is_recorded(cloud: Cloud) -> None:
    client = cloud.client("sagemaker")
    with pytest.raises(ClientError):
        client.create_endpoint(EndpointName="mine", EndpointConfigName="none")
    client.list_endpoints()
    (made,) = found(cloud)
    assert made["EventSource"] == "sagemaker.amazonaws.com"
    asked = made["CloudTrailEvent"]["requestParameters"]
    assert asked == {"endpointName": "mine", "endpointConfigName": "none"}


def test_look_ups_are_paged_and_bounded_in_time(cloud: Cloud) -> None:
    client = function(cloud)
    for minute in range(3):
        cloud.advance(minutes=1)
        client.create_alias(FunctionName="f", Name=f"a{minute}", FunctionVersion="1")
    pages = cloud.client("cloudtrail").get_paginator("lookup_events")
    names = [
        json.loads(event["CloudTrailEvent"])["requestParameters"]["name"]
        for page in pages.paginate(
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateAlias20150331"}],
            PaginationConfig={"PageSize": 2},
        )
        for event in page["Events"]
    ]
    assert names == ["a2", "a1", "a0"]
    record = found(cloud, "CreateAlias20150331")[0]["CloudTrailEvent"]
    assert (record["sourceIPAddress"], record["responseElements"]) == ("127.0.0.1", None)
    assert len(found(cloud, "CreateAlias20150331", StartTime=START + timedelta(minutes=2))) == 2
    assert len(found(cloud, "CreateAlias20150331", EndTime=START + timedelta(minutes=1))) == 1


def test_an_event_is_found_as_late_as_the_settings_say(make_cloud: MakeCloud) -> None:
    cloud = make_cloud(settings=Settings(tables={"cloudtrail": {"delay_minutes": 5}}))
    function(cloud)
    assert found(cloud) == []
    cloud.advance(minutes=5)
    assert len(found(cloud)) == 2


@pytest.mark.parametrize("table", [{"delay_minutes": -1}, {"delay_minutes": True}, {"delay": 1}])
def test_settings_that_mean_nothing_are_refused(table: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="cloudtrail"):
        delay_of(Settings(Path("t"), {"cloudtrail": table}))


def by(key: str, value: str) -> dict[str, Any]:
    return {"LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}]}


REFUSED: list[tuple[dict[str, Any], str]] = [
    (by("EventName", "GetBucketLocation"), "InvalidLookupAttributesException"),
    (by("EventName", "UpdateAlias"), "InvalidLookupAttributesException"),
    (by("EventSource", "s3.amazonaws.com"), "InvalidLookupAttributesException"),
    (by("ReadOnly", "true"), "InvalidLookupAttributesException"),
    (by("ResourceName", "f"), "InvalidLookupAttributesException"),
    ({"LookupAttributes": by("ReadOnly", "false")["LookupAttributes"] * 2}, "InvalidLookupAttributesException"),
    ({"EventCategory": "insight"}, "InvalidEventCategoryException"),
    ({"MaxResults": 51}, "InvalidMaxResultsException"),
    ({"NextToken": "1"}, "InvalidNextTokenException"),
    ({"StartTime": datetime(2026, 2, 1, tzinfo=UTC), "EndTime": START}, "InvalidTimeRangeException"),
]


def test_what_finds_nothing_here_or_anywhere_is_refused(cloud: Cloud) -> None:
    client = cloud.client("cloudtrail")
    for asked, code in REFUSED:
        with pytest.raises(ClientError) as caught:
            client.lookup_events(**asked)
        assert caught.value.response["Error"]["Code"] == code, asked


def test_trails_are_refused_and_look_ups_need_the_permission(cloud: Cloud) -> None:
    with pytest.raises(ClientError, match="LookupEvents"):
        cloud.client("cloudtrail").create_trail(Name="t", S3BucketName="b")
    may, may_not = (
        cloud.role_client("cloudtrail", cloud.role(name, "lambda.amazonaws.com", *of), "lambda.amazonaws.com")
        for name, of in {"may": [TRAIL], "may-not": []}.items()
    )
    assert may.lookup_events()["Events"] == []
    with pytest.raises(ClientError) as caught:
        may_not.lookup_events()
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
