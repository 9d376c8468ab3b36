"""CloudTrail is asked by the name of an event, for some pages; what can't be read or asked is no failure of a look."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from everloop.rollout.call_history import PAGE_EVENTS, PAGES, CallHistory, call_of
from tests.fakes.call_history import FakeCallHistory

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def cloudtrail() -> FakeCallHistory:
    return FakeCallHistory()


def test_the_calls_of_each_name_come_newest_first_with_who_made_them(cloudtrail: FakeCallHistory) -> None:
    for minute in range(PAGE_EVENTS + 1):
        cloudtrail.call("UpdateAlias20150331", f"arn:{minute}", BEGIN + timedelta(minutes=minute), name="live")
    cloudtrail.call("CreateAlias20150331", "arn:ada", BEGIN, error="AccessDenied", routingConfig={"a": 1}, name="mine")
    heard = cloudtrail.history().heard(["UpdateAlias20150331", "CreateAlias20150331", "UpdateAlias20150331"])
    assert cloudtrail.asked == ["CreateAlias20150331", *["UpdateAlias20150331"] * 2]
    assert (len(heard.calls), heard.problem, heard.most) == (PAGE_EVENTS + 2, "", 0)
    refused, newest = heard.calls[:2]
    assert (refused.failed, refused.parameters) == (True, {"name": "mine"})
    assert (newest.who, newest.source, newest.failed) == (f"arn:{PAGE_EVENTS}", "203.0.113.9", False)


def test_it_stops_after_some_pages_and_says_so(cloudtrail: FakeCallHistory) -> None:
    for second in range(PAGES * PAGE_EVENTS + 1):
        cloudtrail.call("UpdateEndpoint", "arn:ada", BEGIN + timedelta(seconds=second))
    heard = cloudtrail.history().heard(["UpdateEndpoint"])
    assert (len(heard.calls), heard.most, len(cloudtrail.asked)) == (PAGES * PAGE_EVENTS, PAGES * PAGE_EVENTS, PAGES)


def test_a_history_that_can_not_be_asked_is_a_sentence(cloudtrail: FakeCallHistory) -> None:
    cloudtrail.failing = "ThrottlingException"
    assert cloudtrail.history().heard(["UpdateEndpoint"]).problem == "ThrottlingException: as told"

    def unreachable(service: str) -> Any:
        raise EndpointConnectionError(endpoint_url=f"https://{service}")

    assert "EndpointConnectionError" in CallHistory(unreachable).heard(["UpdateEndpoint"]).problem


@pytest.mark.parametrize(
    "text", ["", "no JSON", "[]", "null", '{"userIdentity": 3}', "[" * 100_000, '{"requestParameters": null}', None]
)
def test_an_event_that_can_not_be_read_explains_nothing(text: Any) -> None:
    call = call_of({"EventId": "e", "EventName": "UpdateAlias20150331", "EventTime": BEGIN, "CloudTrailEvent": text})
    assert (call.failed, call.who, call.parameters) == (True, "", {})


def test_who_called_is_the_session_or_the_service(cloudtrail: FakeCallHistory) -> None:
    by_service = {"userIdentity": {"type": "AWSService", "invokedBy": "cloudformation.amazonaws.com"}}
    told = {"EventName": "UpdateEndpoint", "CloudTrailEvent": json.dumps(by_service), "Username": "x"}
    assert call_of({**told, "EventTime": BEGIN}).who == "cloudformation.amazonaws.com"
    assert call_of(told).at == datetime.fromtimestamp(0, UTC)
    assert "assumed-role" in cloudtrail.history().own()
