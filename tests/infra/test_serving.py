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


def serving() -> Template:
    stack = Stack(App(), "Model")
    Serving(
        stack,
        "Serving",
        declaration=declare(binary_document()),
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


def test_the_api_may_call_each_function_by_its_routes_and_no_others() -> None:
    allowed = {
        p["SourceArn"]["Fn::Join"][1][-1].partition(":api")[2] for p in properties(serving(), "AWS::Lambda::Permission")
    }
    assert allowed == {
        "/*/POST/models/late_train/predictions",
        "/*/*/models/late_train/{proxy+}",
        "/*/POST/models/late_train/labels",
    }
