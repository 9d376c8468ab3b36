"""REST APIs as CloudFormation makes them, from templates as the CDK writes them."""

from __future__ import annotations

import copy
import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.services.registry import handlers
from support.in_process import Client, Cloud

CODE = "def handle(event, context):\n    return {'statusCode': 200, 'body': event['resource']}\n"


def ref(name: str) -> dict[str, str]:
    return {"Ref": name}


def of(kind: str, *after: str, **properties: Any) -> dict[str, Any]:
    return {"Type": f"AWS::{kind}", "Properties": properties, "DependsOn": list(after)}


def role(service: str, *managed: str) -> dict[str, Any]:
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
    document = {"Version": "2012-10-17", "Statement": [trust]}
    return of("IAM::Role", AssumeRolePolicyDocument=document, ManagedPolicyArns=list(managed))


def method(resource: Any, name: str = "GET", **more: Any) -> dict[str, Any]:
    uri = "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${F.Arn}/invocations"
    integration = {"Type": "AWS_PROXY", "IntegrationHttpMethod": "POST", "Uri": {"Fn::Sub": uri}}
    given = {"AuthorizationType": "NONE", "Integration": integration, **more}
    return of("ApiGateway::Method", RestApiId=ref("Api"), ResourceId=resource, HttpMethod=name, **given)


def deployment(template: dict[str, Any], name: str) -> None:
    """A deployment after everything that it is made of, and the stage that serves it."""
    resources = template["Resources"]
    parts = [
        key for key, each in resources.items() if each["Type"].endswith(("Method", "::Resource", "GatewayResponse"))
    ]
    resources[name] = of("ApiGateway::Deployment", *parts, RestApiId=ref("Api"))
    resources["Stage"]["Properties"]["DeploymentId"] = ref(name)


def template() -> dict[str, Any]:
    root = {"Fn::GetAtt": ["Api", "RootResourceId"]}
    logs = "arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
    resources = {
        "R": role("lambda.amazonaws.com"),
        "F": of(
            "Lambda::Function",
            Code={"ZipFile": CODE},
            Handler="index.handle",
            Runtime="python3.13",
            Role={"Fn::GetAtt": ["R", "Arn"]},
        ),
        "P": of(
            "Lambda::Permission",
            Action="lambda:InvokeFunction",
            FunctionName={"Fn::GetAtt": ["F", "Arn"]},
            Principal="apigateway.amazonaws.com",
            SourceArn={"Fn::Sub": "arn:aws:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/${Stage}/*/*"},
        ),
        "Writes": role("apigateway.amazonaws.com", logs),
        "Account": of("ApiGateway::Account", "Api", CloudWatchRoleArn={"Fn::GetAtt": ["Writes", "Arn"]}),
        "Log": of("Logs::LogGroup", LogGroupName="/access"),
        "Api": of(
            "ApiGateway::RestApi",
            Name="shop",
            EndpointConfiguration={"Types": ["REGIONAL"]},
            SecurityPolicy="SecurityPolicy_TLS13_1_3_2025_09",
            EndpointAccessMode="STRICT",
        ),
        "Orders": of("ApiGateway::Resource", RestApiId=ref("Api"), ParentId=root, PathPart="orders"),
        "Order": of("ApiGateway::Resource", RestApiId=ref("Api"), ParentId=ref("Orders"), PathPart="{id}"),
        "Get": method(ref("Order")),
        "Any": method(root, "ANY"),
        "Much": of(
            "ApiGateway::GatewayResponse",
            RestApiId=ref("Api"),
            ResponseType="THROTTLED",
            ResponseParameters={"gatewayresponse.header.Retry-After": "'1'"},
        ),
        "Stage": of("ApiGateway::Stage", "Account", RestApiId=ref("Api"), StageName="prod"),
    }
    # The CDK's own output of a RestApi.
    parts = ["https://", ref("Api"), ".execute-api.", ref("AWS::Region"), ".", ref("AWS::URLSuffix"), "/", ref("Stage")]
    made = {"Resources": resources, "Outputs": {"Endpoint": {"Value": {"Fn::Join": ["", [*parts, "/"]]}}}}
    deployment(made, "One")
    return made


class Stack:
    """The stack ``Shop`` and its API."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._client: Client = cloud.client("cloudformation")

    def create(self, template: dict[str, Any]) -> str:
        """The status that it comes to."""
        self._client.create_stack(StackName="Shop", TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"])
        return self._status()

    def update(self, template: dict[str, Any]) -> str:
        """The status that it comes to."""
        self._client.update_stack(StackName="Shop", TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"])
        return self._status()

    def delete(self) -> None:
        """Delete it."""
        self._client.delete_stack(StackName="Shop")
        self._cloud.wait_until_quiet()

    def _status(self) -> str:
        self._cloud.wait_until_quiet()
        return str(self._client.describe_stacks(StackName="Shop")["Stacks"][0]["StackStatus"])

    @property
    def url(self) -> str:
        """The output, which ends with a slash."""
        return str(self._client.describe_stacks(StackName="Shop")["Stacks"][0]["Outputs"][0]["OutputValue"])

    def get(self, path: str) -> tuple[int, str, Any]:
        """Status, body and headers of an answer."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=30) as answer:
                return answer.status, answer.read().decode(), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(), error.headers


@pytest.fixture
def stack(cloud: Cloud) -> Stack:
    return Stack(cloud)


def test_a_stack_answers_at_the_address_that_it_puts_out(stack: Stack, cloud: Cloud) -> None:
    assert stack.create(template()) == "CREATE_COMPLETE"

    assert stack.url.startswith("http://127.0.0.1:")
    assert stack.get("orders/1")[:2] == (200, "/orders/{id}")
    assert stack.get("")[:2] == (200, "/")
    assert stack.get("orders")[0] == 403

    url = stack.url
    stack.delete()
    assert cloud.client("apigateway").get_rest_apis()["items"] == []
    assert cloud.client("apigateway").get_account().get("cloudwatchRoleArn") in (None, "")
    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(url, timeout=30)


def test_an_update_is_served_by_its_new_deployment(stack: Stack, cloud: Cloud) -> None:
    first = template()
    stack.create(first)

    # A method that is changed without a deployment is not served as changed.
    second = copy.deepcopy(first)
    second["Resources"]["Get"] = method(ref("Order"), AuthorizationType="AWS_IAM", ApiKeyRequired="false")
    second["Resources"]["One"]["DependsOn"] = first["Resources"]["One"]["DependsOn"]
    assert stack.update(second) == "UPDATE_COMPLETE"
    assert stack.get("orders/1")[0] == 200

    third = copy.deepcopy(second)
    del third["Resources"]["One"]
    third["Resources"]["Items"] = of(
        "ApiGateway::Resource", RestApiId=ref("Api"), ParentId=ref("Order"), PathPart="items"
    )
    third["Resources"]["List"] = method(ref("Items"))
    deployment(third, "Two")
    assert stack.update(third) == "UPDATE_COMPLETE"
    assert stack.get("orders/1")[0] == 403
    assert stack.get("orders/1/items")[:2] == (200, "/orders/{id}/items")
    (api,) = cloud.client("apigateway").get_rest_apis()["items"]
    assert len(cloud.client("apigateway").get_deployments(restApiId=api["id"])["items"]) == 1

    # What fails is taken back, and what was served is served.
    fourth = copy.deepcopy(third)
    fourth["Resources"]["Account"]["Properties"]["CloudWatchRoleArn"] = {"Fn::GetAtt": ["R", "Arn"]}
    fourth["Resources"]["Any"]["Properties"]["AuthorizationType"] = "AWS_IAM"
    assert stack.update(fourth) == "UPDATE_ROLLBACK_COMPLETE"
    assert stack.get("")[0] == 200
    assert stack.get("orders/1/items")[0] == 200


def test_settings_of_a_stage_come_and_go(stack: Stack, cloud: Cloud) -> None:
    first = template()
    first["Resources"]["Stage"]["Properties"] |= {
        "Variables": {"a": "1", "b": "2"},
        "Tags": [{"Key": "k", "Value": "v"}],
        "MethodSettings": [
            {"ResourcePath": "/*", "HttpMethod": "*", "ThrottlingRateLimit": 100, "ThrottlingBurstLimit": 50},
            {
                "ResourcePath": "/~1orders~1{id}",
                "HttpMethod": "GET",
                "ThrottlingRateLimit": 0.001,
                "ThrottlingBurstLimit": 1,
                "MetricsEnabled": True,
                "LoggingLevel": "OFF",
            },
        ],
        "AccessLogSetting": {
            "DestinationArn": {"Fn::GetAtt": ["Log", "Arn"]},
            "Format": "$context.requestId $context.status",
        },
    }
    assert stack.create(first) == "CREATE_COMPLETE"
    statuses = [stack.get("orders/1")[0] for _ in range(2)]
    assert (statuses, stack.get("orders/1")[2]["Retry-After"]) == ([200, 429], "1")
    assert stack.get("")[0] == 200
    events = cloud.client("logs").filter_log_events(logGroupName="/access")["events"]
    assert [event["message"].split()[1] for event in events] == ["200", "429", "429", "200"]

    second = copy.deepcopy(first)
    properties = second["Resources"]["Stage"]["Properties"]
    properties["MethodSettings"] = properties["MethodSettings"][:1]
    properties["Variables"] = {"b": "3"}
    properties["Description"] = "changed"
    properties["Tags"] = [{"Key": "l", "Value": "w"}]
    del properties["AccessLogSetting"]
    second["Resources"]["Much"]["Properties"]["StatusCode"] = "420"
    second["Resources"]["Api"]["Properties"] |= {
        "Name": "store",
        "BinaryMediaTypes": ["a/b"],
        "Tags": [{"Key": "m", "Value": "x"}],
    }
    assert stack.update(second) == "UPDATE_COMPLETE"
    assert [stack.get("orders/1")[0] for _ in range(3)] == [200, 200, 200]
    client = cloud.client("apigateway")
    (api,) = client.get_rest_apis()["items"]
    assert (api["name"], api["binaryMediaTypes"], api["tags"]) == ("store", ["a/b"], {"m": "x"})
    found = client.get_stage(restApiId=api["id"], stageName="prod")
    assert (found["variables"], found["description"], found["tags"]) == ({"b": "3"}, "changed", {"l": "w"})
    assert list(found["methodSettings"]) == ["*/*"]
    assert found.get("accessLogSettings") is None
    response = client.get_gateway_response(restApiId=api["id"], responseType="THROTTLED")
    assert response["statusCode"] == "420"


def test_a_stage_does_not_log_without_the_accounts_role(stack: Stack, cloud: Cloud) -> None:
    wrong = template()
    del wrong["Resources"]["Account"]
    stage = wrong["Resources"]["Stage"]
    stage["DependsOn"] = []
    stage["Properties"]["AccessLogSetting"] = {
        "DestinationArn": {"Fn::GetAtt": ["Log", "Arn"]},
        "Format": "$context.requestId",
    }
    assert stack.create(wrong) == "ROLLBACK_COMPLETE"

    events = cloud.client("cloudformation").describe_stack_events(StackName="Shop")["StackEvents"]
    reasons = " ".join(event.get("ResourceStatusReason", "") for event in events)
    assert "CloudWatch Logs role ARN must be set in account settings to enable logging" in reasons
    assert cloud.client("apigateway").get_rest_apis()["items"] == []


def test_what_limits_callers_by_a_plan_is_refused_with_what_to_do(stack: Stack) -> None:
    wrong = template()
    wrong["Resources"]["Plan"] = of("ApiGateway::UsagePlan", Throttle={"RateLimit": 1})
    with pytest.raises(ClientError, match=r"UsagePlan.*limit requests by the MethodSettings of the stage"):
        stack.create(wrong)


@pytest.mark.parametrize(
    ("kind", "properties", "sentence"),
    [
        ("RestApi", {"Name": "a", "Body": {}}, "property Body is not supported: describe the API by resources"),
        ("RestApi", {}, "property Name is missing"),
        ("RestApi", {"Name": "a", "Policy": {}}, "allow execute-api:Invoke in the policies of the callers' roles"),
        ("RestApi", {"Name": "a", "EndpointConfiguration": {"Types": ["PRIVATE"]}}, "has PRIVATE"),
        ("Method", {"AuthorizationType": "CUSTOM"}, "property AuthorizationType is CUSTOM"),
        ("Method", {"AuthorizerId": "a"}, "property AuthorizerId is not supported"),
        ("Method", {"ApiKeyRequired": "true"}, "property ApiKeyRequired is true"),
        ("Method", {"Integration": {"Type": "AWS"}}, "property Integration.Type is AWS: it must be AWS_PROXY"),
        ("Method", {"Integration": {"Type": "AWS_PROXY", "Uri": "arn:x"}}, "property Integration.Uri is 'arn:x'"),
        (
            "Method",
            {"Integration": {"Type": "MOCK", "IntegrationResponses": [{"ResponseTemplates": {"a/b": "x"}}]}},
            "property Integration.IntegrationResponses[0].ResponseTemplates is not executed",
        ),
        ("Method", {"Integration": {"Type": "AWS_PROXY", "Credentials": "r"}}, "Integration.Credentials is not"),
        ("GatewayResponse", {"ResponseType": "MUCH"}, "property ResponseType is 'MUCH'"),
        ("Deployment", {"StageName": "prod"}, "declare the stage as a resource of its own"),
        ("Stage", {"CanarySetting": {}}, "property CanarySetting is not supported"),
        ("Stage", {"CacheClusterEnabled": "true"}, "property CacheClusterEnabled must be false"),
        (
            "Stage",
            {"MethodSettings": [{"LoggingLevel": "INFO"}]},
            "property MethodSettings[0].LoggingLevel must be OFF",
        ),
        ("Stage", {"MethodSettings": [{"DataTraceEnabled": True}]}, "MethodSettings[0].DataTraceEnabled must be false"),
        (
            "Stage",
            {"MethodSettings": [{"ResourcePath": "/a", "HttpMethod": "*"}]},
            "property MethodSettings[0] must be for one method, or for all",
        ),
        (
            "Stage",
            {"AccessLogSetting": {"Format": "$context.routeKey"}},
            "is refused: Access log format contains unknown variables: $context.routeKey",
        ),
    ],
)
def test_what_is_not_executed_is_refused_by_name(kind: str, properties: dict[str, Any], sentence: str) -> None:
    found = [str(problem) for problem in handlers()[f"AWS::ApiGateway::{kind}"].problems(properties)]

    assert any(sentence in problem for problem in found), found
