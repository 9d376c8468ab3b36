"""What a REST API answers by itself."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from localcloud.core.http_server import HttpResponse
from localcloud.services.apigateway.rest_api.gateway_responses import (
    GatewayResponse,
    RefusedError,
    answer,
    gateway_response,
    problem_of,
)

THROTTLED = RefusedError("THROTTLED", 429, "TooManyRequestsException", "Too Many Requests")
FAILED = RefusedError("INTEGRATION_FAILURE", 500, "InternalServerErrorException", "Internal server error")


def answered(refused: RefusedError, **responses: GatewayResponse) -> HttpResponse:
    def of_request(place: str, name: str) -> str | None:
        return f"{place} {name}" if name != "nothing" else None

    return answer(refused, responses, {"requestId": "R1", "stage": "prod"}, of_request)


def test_without_a_gateway_response_it_is_the_error_itself() -> None:
    found = answered(THROTTLED)

    assert (found.status, json.loads(found.body)) == (429, {"message": "Too Many Requests"})
    assert dict(found.headers)["x-amzn-ErrorType"] == "TooManyRequestsException"


def test_a_type_has_status_and_headers_of_its_own() -> None:
    own = GatewayResponse(420, {"Retry-After": "'1'", "X-Request": "context.requestId"})
    found = answered(THROTTLED, THROTTLED=own, DEFAULT_4XX=GatewayResponse(400))

    assert (found.status, json.loads(found.body)) == (420, {"message": "Too Many Requests"})
    headers = dict(found.headers)
    assert (headers["Retry-After"], headers["X-Request"]) == ("1", "R1")


def test_a_type_without_is_answered_as_the_default_of_its_status() -> None:
    defaults = {"DEFAULT_4XX": GatewayResponse(None, {"A": "'4'"}), "DEFAULT_5XX": GatewayResponse(503, {"A": "'5'"})}

    assert dict(answered(THROTTLED, **defaults).headers)["A"] == "4"
    assert answered(THROTTLED, **defaults).status == 429
    assert dict(answered(FAILED, **defaults).headers)["A"] == "5"
    assert answered(FAILED, **defaults).status == 503


def test_headers_come_from_the_request_where_it_has_them() -> None:
    own = GatewayResponse(
        headers={
            "X-Header": "method.request.header.X-Me",
            "X-Path": "method.request.path.model",
            "X-None": "method.request.querystring.nothing",
            "content-type": "'text/plain'",
        }
    )
    headers = dict(answered(THROTTLED, THROTTLED=own).headers)

    assert (headers["X-Header"], headers["X-Path"]) == ("header X-Me", "path model")
    assert "X-None" not in headers
    assert (headers["content-type"], "Content-Type" in headers) == ("text/plain", False)


def test_a_line_break_of_the_request_makes_no_header() -> None:
    own = GatewayResponse(headers={"X-Path": "method.request.path.model", "X-Other": "'1'"})

    found = answer(THROTTLED, {"THROTTLED": own}, {}, lambda place, name: "a\r\nSet-Cookie: x=1")

    assert dict(found.headers).keys() == {"Content-Type", "x-amzn-ErrorType", "X-Other"}


def test_a_template_is_the_body_with_its_variables_filled_in() -> None:
    text = '{"error": $context.error.messageString, "kind": "$context.error.responseType", "at": "$context.stage"}'

    body = json.loads(answered(THROTTLED, THROTTLED=GatewayResponse(template=text)).body)

    assert body == {"error": "Too Many Requests", "kind": "THROTTLED", "at": "prod"}


@pytest.mark.parametrize(
    ("kind", "parameters", "templates", "problem"),
    [
        ("TOO_MUCH", {}, {}, "responseType is 'TOO_MUCH'"),
        ("THROTTLED", {"gatewayresponse.body": "'1'"}, {}, "names no header"),
        ("THROTTLED", {"gatewayresponse.header.A": "'1\n2'"}, {}, "must be a static value in single quotes"),
        ("THROTTLED", {"gatewayresponse.header.A": "1"}, {}, "must be a static value in single quotes"),
        ("THROTTLED", {"gatewayresponse.header.A": "method.request.body.x"}, {}, "must be a static value"),
        ("THROTTLED", {"gatewayresponse.header.A": "stageVariables.x"}, {}, "must be a static value"),
        ("THROTTLED", {"gatewayresponse.header.A": "context.authorizer.x"}, {}, "must be a static value"),
        ("THROTTLED", {}, {"text/xml": "<a/>"}, "write a template for application/json alone"),
        ("THROTTLED", {}, {"application/json": "#set($a = 1)"}, "has #set"),
        ("THROTTLED", {}, {"application/json": "$input.json('$')"}, r"refers to \$input"),
        ("THROTTLED", {}, {"application/json": "$context.authorizer.x"}, r"refers to \$context.authorizer.x"),
    ],
)
def test_what_is_not_executed_is_named(
    kind: str, parameters: dict[str, Any], templates: dict[str, Any], problem: str
) -> None:
    found = problem_of(kind, parameters, templates)

    assert found is not None
    assert re.search(problem, " ".join(found))


def test_what_is_executed_has_no_problem() -> None:
    parameters = {
        "gatewayresponse.header.Retry-After": "'1'",
        "gatewayresponse.header.X-A": "method.request.header.X-A",
        "gatewayresponse.header.X-B": "context.requestId",
    }
    templates = {"application/json": '{"message": $context.error.messageString}'}

    assert problem_of("DEFAULT_5XX", parameters, templates) is None
    made = gateway_response("503", parameters, templates)
    assert (made.status, made.headers["Retry-After"], made.template) == (503, "'1'", templates["application/json"])
