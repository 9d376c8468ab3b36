"""Payload format 2.0, both ways."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from localcloud.core.http_server import HttpRequest
from localcloud.services.apigateway.caller import Caller
from localcloud.services.apigateway.http_api.payload import Arrival, BadResultError, event_of, response_of

ARRIVAL = Arrival(
    route_key="POST /m/{model}",
    path_parameters={"model": "a b"},
    path="/m/a%20b",
    stage="$default",
    stage_variables={},
    api_id="api",
    account_id="123456789012",
    request_id="R=",
    at=datetime(2013, 3, 2, 1, 2, 3, 456000, tzinfo=UTC),
    domain="127.0.0.1:80",
    caller=None,
)


def event(body: bytes = b"", target: str = "/m/a%20b", *, arrival: Arrival = ARRIVAL, **headers: str) -> dict[str, Any]:
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return event_of(HttpRequest("POST", target, (*pairs, ("X-Many", "1"), ("X-MANY", "2")), body), arrival)


def test_the_event_of_a_request() -> None:
    made = event(b'{"a":1}', "/m/a%20b?x=1&y=&x=2", Content_Type="application/json", Cookie="a=1; b=2")

    assert made["version"] == "2.0"
    assert made["routeKey"] == "POST /m/{model}"
    assert made["rawPath"] == "/m/a b"
    assert made["rawQueryString"] == "x=1&y=&x=2"
    assert made["queryStringParameters"] == {"x": "1,2", "y": ""}
    assert made["pathParameters"] == {"model": "a b"}
    assert made["headers"]["content-type"] == "application/json"
    assert made["headers"]["x-many"] == "1,2"
    assert made["cookies"] == ["a=1", "b=2"]
    assert "cookie" not in made["headers"]
    assert (made["body"], made["isBase64Encoded"]) == ('{"a":1}', False)
    context = made["requestContext"]
    assert context["http"]["method"] == "POST"
    assert (context["requestId"], context["stage"], context["accountId"]) == ("R=", "$default", "123456789012")
    assert context["timeEpoch"] == 1362186123456
    assert context["time"] == "02/Mar/2013:01:02:03 +0000"
    assert "authorizer" not in context


def test_a_signed_caller_is_in_the_authorizer() -> None:
    from dataclasses import replace

    caller = Caller("KEY", "123456789012", "id:session", "arn:x", "id:session")

    made = event(arrival=replace(ARRIVAL, caller=caller))

    assert made["requestContext"]["authorizer"]["iam"]["userArn"] == "arn:x"
    assert "body" not in made


@pytest.mark.parametrize(
    ("body", "headers", "is_base64"),
    [
        (b"{}", {"Content_Type": "application/json; charset=utf-8"}, False),
        (b"a=1", {"Content_Type": "application/x-www-form-urlencoded"}, True),
        (b"x", {"Content_Type": "application/problem+json"}, False),
        (b"\xff\xfe", {"Content_Type": "text/plain"}, True),
        (b"{}", {"Content_Type": "application/json", "Content_Encoding": "gzip"}, True),
        (b"{}", {}, False),
    ],
)
def test_what_is_no_text_comes_in_base64(body: bytes, headers: dict[str, str], is_base64: bool) -> None:
    made = event(body, arrival=ARRIVAL, **headers)

    assert made["isBase64Encoded"] is is_base64
    assert (base64.b64decode(made["body"]) if is_base64 else made["body"].encode()) == body


def test_a_result_with_a_status_is_the_response() -> None:
    answer = response_of(
        json.dumps(
            {"statusCode": "202", "headers": {"X-A": 1, "X-B": True}, "cookies": ["a=1", "b=2"], "body": "é"}
        ).encode()
    )

    assert (answer.status, answer.body) == (202, "é".encode())
    assert list(answer.headers) == [
        ("X-A", "1"),
        ("X-B", "true"),
        ("Content-Type", "text/plain;charset=UTF-8"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
    ]


def test_a_base64_body_is_decoded() -> None:
    body = base64.b64encode(b"\x00\xff").decode()

    assert (
        response_of(json.dumps({"statusCode": 200, "isBase64Encoded": True, "body": body}).encode()).body == b"\x00\xff"
    )


@pytest.mark.parametrize(("payload", "body"), [(b'{"a": 1}', b'{"a": 1}'), (b'"text"', b"text"), (b"[1]", b"[1]")])
def test_a_result_without_a_status_is_a_json_body(payload: bytes, body: bytes) -> None:
    answer = response_of(payload)

    assert (answer.status, answer.body, list(answer.headers)) == (200, body, [("Content-Type", "application/json")])


@pytest.mark.parametrize(
    "result",
    [
        {"statusCode": "many"},
        {"statusCode": 99},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "body": "*", "isBase64Encoded": True},
        {"statusCode": 200, "headers": ["x"]},
        {"statusCode": 200, "headers": {"x": "a\r\nSet-Cookie: b"}},
        {"statusCode": 200, "headers": {"x\r\nSet-Cookie": "b"}},
        {"statusCode": 200, "headers": {"é": "b"}},
        {"statusCode": 200, "cookies": ["a=1\r\nX-Other: b"]},
    ],
)
def test_what_is_no_response_is_refused(result: dict[str, Any]) -> None:
    with pytest.raises(BadResultError):
        response_of(json.dumps(result).encode())
