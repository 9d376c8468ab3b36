"""Access logs of REST APIs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from localcloud.services.apigateway.caller import Caller
from localcloud.services.apigateway.observing import Exchange
from localcloud.services.apigateway.rest_api.access_log import Details, line, names_the_request, unknown_variables

EXCHANGE = Exchange(
    api_id="api",
    stage="prod",
    request_id="R1",
    method="POST",
    path="/prod/m/a",
    source_ip="127.0.0.1",
    user_agent="curl",
    status=429,
    response_bytes=31,
    latency_ms=2.4,
    integration_ms=None,
    at=datetime(2013, 3, 2, 1, 2, 3, 456000, tzinfo=UTC),
)
DETAILS = Details(
    account_id="123456789012",
    deployment_id="d1",
    extended_request_id="R=",
    resource_id="r1",
    resource_path="/m/{model}",
    domain="127.0.0.1:80",
    trace_id="Root=1-2-3",
    caller=None,
    error=("THROTTLED", "Too Many Requests"),
    integration_status=None,
)


def test_a_line_says_what_became_of_a_request() -> None:
    template = (
        '{"id":"$context.requestId","path":"$context.resourcePath","status":$context.status,'
        '"kind":"$context.error.responseType","why":$context.error.messageString,"at":$context.requestTimeEpoch,'
        '"integration":"$context.integrationLatency","user":"$context.identity.user","x":"$context.extendedRequestId"}'
    )

    assert json.loads(line(template, EXCHANGE, DETAILS)) == {
        "id": "R1",
        "path": "/m/{model}",
        "status": 429,
        "kind": "THROTTLED",
        "why": "Too Many Requests",
        "at": 1362186123456,
        "integration": "-",
        "user": "-",
        "x": "R=",
    }


def test_an_answered_request_has_no_error_and_its_integrations_latency() -> None:
    caller = Caller("AKIA", "123456789012", "AROA:me", "arn:me", "AROA:me")
    details = replace(DETAILS, caller=caller, error=None, integration_status=200)
    exchange = replace(EXCHANGE, status=200, integration_ms=1.6)
    template = (
        "$context.error.responseType $context.integrationLatency $context.integration.status $context.identity.userArn"
    )

    assert line(template, exchange, details) == "- 2 200 arn:me"


@pytest.mark.parametrize(
    ("template", "unknown"),
    [
        ("$context.requestId $context.routeKey", ["$context.routeKey"]),
        ("$context.requestid", ["$context.requestid"]),
        ("$context", ["$context"]),
        ("$context.authorizer.claims.sub $context.identity.sourceIp $context.requestOverride.path.x", []),
        ("$context.authorizer $context.requestId", ["$context.authorizer"]),
    ],
)
def test_variables_that_aws_does_not_have_are_found(template: str, unknown: list[str]) -> None:
    assert list(unknown_variables(template)) == unknown


def test_a_format_names_the_request() -> None:
    assert names_the_request("$context.requestId")
    assert names_the_request('{"a":"$context.extendedRequestId"}')
    assert not names_the_request("$context.requestTime")
