"""The REST API of a model that declares one: who is let in, how much, and what it answers by itself."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import boto3
import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_lambda as lambda_
from aws_cdk.assertions import Template

from everloop.cost.free import COSTLY_SETTINGS, FREE
from everloop.cost.parts import USES
from everloop.infra.application import new_app
from everloop.infra.platform_reference import Platform
from everloop.infra.regions import deployable_regions
from everloop.infra.serving import Serving
from everloop.serving.response import RETRY_AFTER_SECONDS
from tests.helpers.declarations import binary_document, declare

RATE = {"requests_per_second": 2.5, "burst": 7}
LABELS = "/models/late_train/labels"


def stack_of(app: App, **declared: Any) -> Stack:
    stack = Stack(app, "Model")
    Serving(
        stack,
        "Serving",
        declaration=declare(binary_document(serving={"api": "rest", **declared})),
        platform=cast(Platform, SimpleNamespace(api_id="api", api_endpoint="https://api.example")),
        predict=lambda_.Function.from_function_name(stack, "Predict", "predict"),
        labels=lambda_.Function.from_function_name(stack, "LabelsFunction", "labels"),
    )
    return stack


@cache
def template(**declared: Any) -> Template:
    return Template.from_stack(stack_of(App(), **declared))


def limited() -> Template:
    return Template.from_stack(stack_of(App(), rate=RATE))


def properties(found: Template, kind: str) -> list[dict[str, Any]]:
    return [resource["Properties"] for resource in found.find_resources(kind).values()]


def paths(found: Template) -> dict[str, str]:
    """The whole path of each resource, by its logical id."""
    resources = {name: r["Properties"] for name, r in found.find_resources("AWS::ApiGateway::Resource").items()}

    def path(name: str) -> str:
        parent = resources[name]["ParentId"]
        return (path(parent["Ref"]) if "Ref" in parent else "") + f"/{resources[name]['PathPart']}"

    return {name: path(name) for name in resources}


def methods(found: Template) -> dict[str, dict[str, Any]]:
    """What each method and path leads to."""
    at = paths(found)
    return {f"{m['HttpMethod']} {at[m['ResourceId']['Ref']]}": m for m in properties(found, "AWS::ApiGateway::Method")}


def test_one_method_takes_all_that_ask_the_model_and_labels_have_their_own() -> None:
    found = methods(template())
    assert set(found) == {"ANY /models/late_train/{proxy+}", f"POST {LABELS}"}
    for method in found.values():
        assert method["AuthorizationType"] == "AWS_IAM"
        assert method["Integration"]["Type"] == "AWS_PROXY"
        # The longest that API Gateway waits.
        assert method["Integration"]["TimeoutInMillis"] == 29_000
        assert "/invocations" in method["Integration"]["Uri"]["Fn::Join"][1][-1]
    uri = found["ANY /models/late_train/{proxy+}"]["Integration"]["Uri"]["Fn::Join"][1]
    assert {"Ref": "PredictAliasLive"} in uri, "what rollouts move"


def test_a_public_model_is_one_here_too() -> None:
    assert {m["AuthorizationType"] for m in methods(template(authorization="none")).values()} == {"NONE"}


def test_callers_by_an_outdated_tls_are_refused() -> None:
    (api,) = properties(template(), "AWS::ApiGateway::RestApi")
    policies = {policy.value for policy in apigateway.SecurityPolicy}
    taken = boto3.client("apigateway", region_name="us-east-1").meta.service_model.shape_for("SecurityPolicy").enum
    assert api["SecurityPolicy"] in taken
    assert api["SecurityPolicy"].removeprefix("SecurityPolicy_") in policies
    assert api["SecurityPolicy"] not in ("TLS_1_0", "SecurityPolicy_TLS12_2018_EDGE")
    # Such a policy is refused without a mode.
    assert api["EndpointAccessMode"] == "STRICT"


def test_nothing_of_it_is_in_an_http_api() -> None:
    kinds = {resource["Type"] for resource in template().to_json()["Resources"].values()}
    assert not [kind for kind in kinds if kind.startswith("AWS::ApiGatewayV2")]


def test_the_api_may_call_each_function_by_its_routes_and_no_others() -> None:
    (api,) = template().find_resources("AWS::ApiGateway::RestApi")
    found = [p["SourceArn"]["Fn::Join"][1] for p in properties(template(), "AWS::Lambda::Permission")]
    assert {(json.dumps(parts[-2]), parts[-1]) for parts in found} == {
        (json.dumps({"Ref": api}), "/live/*/models/late_train/*"),
        (json.dumps({"Ref": api}), f"/live/POST{LABELS}"),
    }


@pytest.mark.parametrize(("declared", "limit"), [({}, (1000, 2000)), ({"rate": RATE}, (2.5, 7))])
def test_the_declared_rate_is_kept_or_the_usual_limit(declared: dict[str, Any], limit: tuple[float, int]) -> None:
    found = Template.from_stack(stack_of(App(), **declared))
    (stage,) = properties(found, "AWS::ApiGateway::Stage")
    assert [
        (s["ResourcePath"], s["HttpMethod"], s["ThrottlingRateLimit"], s["ThrottlingBurstLimit"])
        for s in stage["MethodSettings"]
    ] == [("/*", "*", *limit), ("/~1models~1late_train~1labels", "POST", 1000, 2000)]


def test_every_body_comes_as_its_bytes() -> None:
    (api,) = properties(template(), "AWS::ApiGateway::RestApi")
    assert api["BinaryMediaTypes"] == ["*/*"]
    assert api["EndpointConfiguration"] == {"Types": ["REGIONAL"]}


def test_what_api_gateway_answers_by_itself_says_when_to_come_back() -> None:
    found = {r["ResponseType"]: r for r in properties(template(), "AWS::ApiGateway::GatewayResponse")}
    assert {kind: r.get("StatusCode") for kind, r in found.items()} == {
        "THROTTLED": None,
        "INTEGRATION_FAILURE": "503",
        "DEFAULT_5XX": None,
    }
    for kind, response in found.items():
        # As the function says it itself, in a literal's quotes.
        assert response["ResponseParameters"] == {"gatewayresponse.header.Retry-After": f"'{RETRY_AFTER_SECONDS}'"}
        # AND the body is one of the product's, once API Gateway has put in its own message, which is JSON.
        body = response["ResponseTemplates"]["application/json"].replace("$context.error.messageString", '"why"')
        error = json.loads(body)["error"]
        assert set(error) == {"code", "message", "field", "index"}
        assert error["code"] == ("overloaded" if kind == "THROTTLED" else "unavailable")
        assert error["message"]


def test_requests_are_logged_and_nothing_about_a_person_is() -> None:
    (stage,) = properties(template(), "AWS::ApiGateway::Stage")
    (group,) = template().find_resources("AWS::Logs::LogGroup").items()
    assert group[1]["Properties"]["LogGroupName"] == "/aws/vendedlogs/everloop/api/late_train/rest"
    assert stage["AccessLogSetting"]["DestinationArn"] == {"Fn::GetAtt": [group[0], "Arn"]}
    logged = json.loads(stage["AccessLogSetting"]["Format"])
    assert {"requestId", "route", "status", "latency", "integrationError", "refusal"} <= set(logged)
    personal = ("identity", "authorizer", "$context.path", "Host", "domain", "$context.requestId")
    assert not [field for field in logged.values() if any(word in field for word in personal)]


def test_what_lets_api_gateway_log_outlives_the_stack() -> None:
    """It is the account's: a REST API of another stack logs by it too."""
    resources = template().to_json()["Resources"]
    (role,) = (name for name, r in resources.items() if r["Type"] == "AWS::IAM::Role")
    (account,) = (name for name, r in resources.items() if r["Type"] == "AWS::ApiGateway::Account")
    for name in (role, account):
        assert (resources[name]["DeletionPolicy"], resources[name]["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert "RoleName" not in resources[role]["Properties"], "the next deployment makes another"
    assert resources[account]["Properties"] == {"CloudWatchRoleArn": {"Fn::GetAtt": [role, "Arn"]}}
    (stage,) = (r for r in resources.values() if r["Type"] == "AWS::ApiGateway::Stage")
    assert account in stage["DependsOn"], "a stage that logs is refused before"


def deployment(found: Template) -> tuple[str, list[str]]:
    ((name, resource),) = found.find_resources("AWS::ApiGateway::Deployment").items()
    return name, resource["DependsOn"]


def test_a_deployment_has_all_that_was_declared_and_a_new_name_once_that_changes() -> None:
    name, after = deployment(template())
    kinds = ("AWS::ApiGateway::Method", "AWS::ApiGateway::GatewayResponse")
    assert set(after) == {each for kind in kinds for each in template().find_resources(kind)}
    assert deployment(Template.from_stack(stack_of(App())))[0] == name
    assert deployment(limited())[0] == name, "limits are the stage's, which needs no deployment for them"
    assert deployment(template(authorization="none"))[0] != name


def test_the_address_is_told_with_the_stage() -> None:
    stack = stack_of(App())
    (serving,) = (child for child in stack.node.children if child.node.id == "Serving")
    assert isinstance(serving, Serving)
    (api,) = Template.from_stack(stack).find_resources("AWS::ApiGateway::RestApi")
    parts = stack.resolve(serving.predictions_url)["Fn::Join"][1]
    region, suffix = {"Ref": "AWS::Region"}, {"Ref": "AWS::URLSuffix"}
    at = ["https://", {"Ref": api}, ".execute-api.", region, ".", suffix]
    assert parts == [*at, "/live/models/late_train/predictions"]
    assert stack.resolve(serving.labels_url)["Fn::Join"][1] == [*at, f"/live{LABELS}"]
    assert serving.own_endpoint is not None


@pytest.mark.parametrize("declared", [{"rate": RATE}, {"authorization": "none"}])
def test_no_finding_of_the_security_checks_and_the_linter_is_unexplained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declared: dict[str, Any]
) -> None:
    import cdk_nag
    from cfnlint.api import lint
    from cfnlint.core import get_rules
    from cfnlint.template import Template as Linted

    app = new_app(output=tmp_path / "out", validated=False)
    stack_of(app, **declared)
    assembly = app.synth()
    for pack in ("AwsSolutionsChecks", "ServerlessChecks"):
        report = getattr(cdk_nag, pack)(app).validate_scope(app)
        assert [f"{v.rule_name} at {v.violating_resources[0].construct_path}" for v in report.violations or []] == []
    monkeypatch.setattr(Linted, "get_valid_getatts", cache(Linted.get_valid_getatts))
    text = json.dumps(assembly.get_stack_by_name("Model").template)
    rules = get_rules([], ["W3005"], ["I", "W", "E"], {}, False)
    assert [f"{m.rule.id} {m.message}" for m in lint(text, rules, list(deployable_regions()))] == []


def test_what_each_part_of_it_costs_is_known() -> None:
    types = {resource["Type"] for resource in template().to_json()["Resources"].values()}
    assert types - {*USES, *FREE} == set()
    assert "MethodSettings.MetricsEnabled" in COSTLY_SETTINGS["AWS::ApiGateway::Stage"]
