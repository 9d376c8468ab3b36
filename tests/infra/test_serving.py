"""The routes of a model: predictions and labels have their own, and all protocols share a greedy one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from aws_cdk import App, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk.assertions import Template

from everloop.infra.platform_reference import Platform
from everloop.infra.serving import Serving
from tests.helpers.declarations import binary_document, declare


def serving(**declared: Any) -> Template:
    stack = Stack(App(), "Model")
    Serving(
        stack,
        "Serving",
        declaration=declare(binary_document(serving=declared)),
        platform=cast(Platform, SimpleNamespace(api_id="api", api_endpoint="https://api.example")),
        predict=lambda_.Function.from_function_name(stack, "Predict", "predict"),
        labels=lambda_.Function.from_function_name(stack, "LabelsFunction", "labels"),
    )
    return Template.from_stack(stack)


def properties(template: Template, kind: str) -> list[dict[str, Any]]:
    return [resource["Properties"] for resource in template.find_resources(kind).values()]


def test_every_protocol_is_reached_by_the_alias_and_signed_for_and_takes_no_integration_of_its_own() -> None:
    template = serving()
    routes = {r["RouteKey"]: r for r in properties(template, "AWS::ApiGatewayV2::Route")}
    assert set(routes) == {
        "POST /models/late_train/predictions",
        "ANY /models/late_train/{proxy+}",
        "POST /models/late_train/labels",
    }
    assert {r["AuthorizationType"] for r in routes.values()} == {"AWS_IAM"}
    integrations = properties(template, "AWS::ApiGatewayV2::Integration")
    assert len(integrations) == 2, "an API has 300 and no more"
    own = routes["POST /models/late_train/predictions"]
    assert routes["ANY /models/late_train/{proxy+}"]["Target"] == own["Target"]


def test_callers_with_a_token_of_the_declared_issuer_are_let_in_where_that_is_declared() -> None:
    jwt = {"issuer": "https://login.example.com", "audience": ["a", "b"], "scopes": ["predict"]}
    template = serving(authorization="jwt", jwt=jwt)
    authorizers = template.find_resources("AWS::ApiGatewayV2::Authorizer")
    assert [found["Properties"] for found in authorizers.values()] == [
        {
            "ApiId": "api",
            "AuthorizerType": "JWT",
            "IdentitySource": ["$request.header.Authorization"],
            "JwtConfiguration": {"Audience": ["a", "b"], "Issuer": "https://login.example.com"},
            "Name": "everloop-late_train-callers",
        }
    ]
    routes = properties(template, "AWS::ApiGatewayV2::Route")
    assert len(routes) == 3
    for route in routes:
        assert (route["AuthorizationType"], route["AuthorizationScopes"]) == ("JWT", ["predict"])
        assert route["AuthorizerId"] == {"Ref": next(iter(authorizers))}
    del jwt["scopes"]
    for route in properties(serving(authorization="jwt", jwt=jwt), "AWS::ApiGatewayV2::Route"):
        assert "AuthorizationScopes" not in route


def test_the_api_may_call_each_function_by_its_routes_and_no_others() -> None:
    allowed = {
        p["SourceArn"]["Fn::Join"][1][-1].partition(":api")[2] for p in properties(serving(), "AWS::Lambda::Permission")
    }
    assert allowed == {
        "/*/POST/models/late_train/predictions",
        "/*/*/models/late_train/{proxy+}",
        "/*/POST/models/late_train/labels",
    }
