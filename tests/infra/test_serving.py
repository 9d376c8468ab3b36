"""The routes of a model: predictions and labels have their own, and all protocols share a greedy one.

A model with a rate has an API of its own, where predictions come by the greedy route too.
"""

from __future__ import annotations

import json
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


RATE = {"requests_per_second": 2.5, "burst": 7}


def test_a_rate_is_kept_by_an_api_of_the_models_own() -> None:
    template = serving(rate=RATE)
    ((name, api),) = template.find_resources("AWS::ApiGatewayV2::Api").items()
    assert api["Properties"]["Name"] == "everloop-late_train"
    (stage,) = template.find_resources("AWS::ApiGatewayV2::Stage").values()
    given, labels = stage["Properties"], "POST /models/late_train/labels"
    assert (given["ApiId"], given["StageName"], given["AutoDeploy"]) == ({"Ref": name}, "$default", True)
    assert given["DefaultRouteSettings"] == {"ThrottlingRateLimit": 2.5, "ThrottlingBurstLimit": 7}
    # Predictions take nothing from labels, which have as much as in the API that models share.
    assert given["RouteSettings"] == {labels: {"ThrottlingRateLimit": 1000, "ThrottlingBurstLimit": 2000}}
    routes = template.find_resources("AWS::ApiGatewayV2::Route")
    # One route, and so one limit, for all that asks the model.
    assert {r["Properties"]["RouteKey"] for r in routes.values()} == {labels, "ANY /models/late_train/{proxy+}"}
    (of_labels,) = (n for n, r in routes.items() if r["Properties"]["RouteKey"] == labels)
    assert of_labels in stage["DependsOn"], "settings of a route that is not there are refused"
    # Callers are let in as ever, and every request is logged.
    assert {r["Properties"]["AuthorizationType"] for r in routes.values()} == {"AWS_IAM"}
    (group,) = template.find_resources("AWS::Logs::LogGroup").items()
    assert group[1]["Properties"]["LogGroupName"] == "/aws/vendedlogs/everloop/api/late_train"
    assert given["AccessLogSettings"]["DestinationArn"] == {"Fn::GetAtt": [group[0], "Arn"]}
    logged = json.loads(given["AccessLogSettings"]["Format"])
    assert {"requestId", "route", "status", "latency", "integrationError"} <= set(logged)
    personal = ("identity", "authorizer", "path", "Host", "domain")
    assert not [field for field in logged.values() if any(word in field for word in personal)]


def test_all_of_a_model_with_a_rate_is_in_its_own_api() -> None:
    jwt = {"issuer": "https://login.example.com", "audience": ["a"]}
    template = serving(rate=RATE, authorization="jwt", jwt=jwt)
    (name,) = template.find_resources("AWS::ApiGatewayV2::Api")
    for kind in ("Authorizer", "Integration", "Route", "Stage"):
        found = properties(template, f"AWS::ApiGatewayV2::{kind}")
        assert {json.dumps(each["ApiId"]) for each in found} == {json.dumps({"Ref": name})}
    permissions = properties(template, "AWS::Lambda::Permission")
    assert len(permissions) == 2
    assert all({"Ref": name} in p["SourceArn"]["Fn::Join"][1] for p in permissions)


def test_without_a_rate_there_is_no_api_in_the_models_stack() -> None:
    template = serving()
    assert not template.find_resources("AWS::ApiGatewayV2::Api")
    assert not template.find_resources("AWS::ApiGatewayV2::Stage")
    assert {each["ApiId"] for each in properties(template, "AWS::ApiGatewayV2::Route")} == {"api"}


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
