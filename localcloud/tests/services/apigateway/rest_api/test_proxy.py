"""Format 1.0, both ways."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from localcloud.core.http_server import HttpRequest, HttpResponse
from localcloud.services.apigateway.caller import Caller
from localcloud.services.apigateway.rest_api.proxy import (
    Arrival,
    BadEncodingError,
    BadResultError,
    event_of,
    is_binary,
    response_of,
)

ARRIVAL = Arrival(
    resource_id="r1",
    resource_path="/m/{model}",
    path="/m/a%20b",
    path_parameters={"model": "a b"},
    stage="prod",
    stage_variables={},
    deployment_id="d1",
    api_id="api",
    account_id="123456789012",
    request_id="id",
    extended_request_id="R=",
    trace_id="Root=1-2-3",
    at=datetime(2013, 3, 2, 1, 2, 3, 456000, tzinfo=UTC),
    domain="127.0.0.1:80",
)
BINARY = ("application/octet-stream", "image/*")


def event(
    body: bytes = b"",
    query: str = "",
    *headers: tuple[str, str],
    arrival: Arrival = ARRIVAL,
    binary: tuple[str, ...] = (),
) -> dict[str, Any]:
    request = HttpRequest("POST", f"/prod/m/a%20b{query}", (("Host", "127.0.0.1:80"), *headers), body)
    return event_of(request, arrival, binary)


def test_an_event_has_what_a_request_has() -> None:
    found = event(b'{"a": 1}', "", ("Content-Type", "application/json"), ("User-Agent", "curl"))

    assert (found["resource"], found["path"], found["httpMethod"]) == ("/m/{model}", "/m/a%20b", "POST")
    assert (found["pathParameters"], found["body"], found["isBase64Encoded"]) == ({"model": "a b"}, '{"a": 1}', False)
    context = found["requestContext"]
    assert (context["path"], context["stage"]) == ("/prod/m/a%20b", "prod")
    assert (context["requestTimeEpoch"], context["requestTime"]) == (1362186123456, "02/Mar/2013:01:02:03 +0000")
    assert (context["requestId"], context["extendedRequestId"], context["deploymentId"]) == ("id", "R=", "d1")
    identity = context["identity"]
    assert (identity["sourceIp"], identity["userAgent"], identity["userArn"]) == ("127.0.0.1", "curl", None)


def test_what_a_request_has_not_is_null() -> None:
    found = event()

    assert found["body"] is found["queryStringParameters"] is found["multiValueQueryStringParameters"] is None
    assert found["stageVariables"] is None


def test_headers_keep_their_spelling_and_each_of_their_values() -> None:
    found = event(b"x", "?a=1&a=2&b=", ("X-Two", "1"), ("X-Two", "2"), ("Content-Length", "1"), ("CONNECTION", "x"))

    assert (found["headers"]["X-Two"], found["multiValueHeaders"]["X-Two"]) == ("2", ["1", "2"])
    assert {"Content-Length", "CONNECTION"}.isdisjoint(found["headers"])
    assert found["headers"]["X-Amzn-Trace-Id"] == "Root=1-2-3"
    assert found["headers"]["X-Forwarded-For"] == "127.0.0.1"
    assert found["queryStringParameters"] == {"a": "2", "b": ""}
    assert found["multiValueQueryStringParameters"] == {"a": ["1", "2"], "b": [""]}


def test_a_binary_body_is_base64_and_any_other_is_text() -> None:
    octets = ("Content-Type", "application/octet-stream; v=1")
    found = event(b"\xff", "", octets, binary=BINARY)
    assert (found["body"], found["isBase64Encoded"]) == (base64.b64encode(b"\xff").decode(), True)
    # AWS reads what is not named as binary as UTF-8, and spoils what is none.
    found = event(b"\xff", "", octets)
    assert (found["body"], found["isBase64Encoded"]) == ("\ufffd", False)
    assert event(b"{}", "", binary=BINARY)["body"] == "{}"
    assert event(b"{}", "", binary=("*/*",))["isBase64Encoded"]


def test_who_signed_is_in_the_identity() -> None:
    caller = Caller("AKIA", "123456789012", "AROA:me", "arn:aws:sts::123456789012:assumed-role/r/me", "AROA:me")
    identity = event(arrival=replace(ARRIVAL, caller=caller))["requestContext"]["identity"]

    assert (identity["accessKey"], identity["caller"], identity["user"]) == ("AKIA", "AROA:me", "AROA:me")
    assert (identity["accountId"], identity["userArn"]) == (caller.account_id, caller.user_arn)


@pytest.mark.parametrize(
    ("media_type", "known", "binary"),
    [
        ("image/png", ("image/*",), True),
        ("IMAGE/PNG;q=0.5", ("image/png",), True),
        ("image/png", ("image/jpeg",), False),
        ("*/*", ("image/png",), False),
        ("", ("image/png",), False),
        (None, ("*/*",), True),
        ("image/png", (), False),
    ],
)
def test_a_media_type_is_binary_where_the_api_says_so(
    media_type: str | None, known: tuple[str, ...], binary: bool
) -> None:
    assert is_binary(media_type, known) is binary


def response(result: Any, accept: str | None = None, binary: tuple[str, ...] = ()) -> HttpResponse:
    return response_of(json.dumps(result).encode(), accept, binary)


def test_a_result_becomes_a_response() -> None:
    found = response({"statusCode": "201", "headers": {"X-Own": True, "A": "1"}, "body": "ü"})

    assert (found.status, found.body) == (201, "ü".encode())
    assert dict(found.headers) == {"X-Own": "true", "A": "1", "Content-Type": "application/json"}
    assert (response({}).status, response({}).body) == (200, b"")


def test_several_values_of_a_header_are_several_headers() -> None:
    found = response(
        {"multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"], "X": ["1"]}, "headers": {"X": "1", "content-type": "a/b"}}
    )

    assert found.headers == (("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X", "1"), ("content-type", "a/b"))


def test_headers_that_are_the_gateways_own_get_another_name() -> None:
    found = response({"headers": {"Date": "today", "WWW-Authenticate": "Basic", "Retry-After": "1"}})

    assert dict(found.headers) == {
        "x-amzn-Remapped-Date": "today",
        "x-amzn-Remapped-WWW-Authenticate": "Basic",
        "Retry-After": "1",
        "Content-Type": "application/json",
    }


def test_base64_is_decoded_for_who_accepts_binary() -> None:
    text = base64.b64encode(b"\x00\xff").decode()
    given = {"body": text, "isBase64Encoded": True}

    assert response(given, "image/png, text/html", BINARY).body == b"\x00\xff"
    assert response(given, None, ("*/*",)).body == b"\x00\xff"
    # The first media type decides, and one that is not the API's leaves the text as it is.
    for accept, binary in (("text/html, image/png", BINARY), (None, BINARY), ("*/*", BINARY), ("image/png", ())):
        assert response(given, accept, binary).body == text.encode()
    with pytest.raises(BadEncodingError):
        response({"body": "!", "isBase64Encoded": True}, None, ("*/*",))


@pytest.mark.parametrize(
    "result",
    [
        None,
        [],
        "text",
        {"statusCode": "many"},
        {"statusCode": 600},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "cookies": []},
        {"headers": {"A": 1}},
        {"headers": ["a"]},
        {"headers": {"A B": "1"}},
        {"headers": {"A": "1\r\nB: 2"}},
        {"multiValueHeaders": {"A": "1"}},
    ],
)
def test_what_is_no_response_is_refused(result: Any) -> None:
    with pytest.raises(BadResultError):
        response(result)


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(BadResultError, match="no JSON"):
        response_of(b"no json", None, ())
