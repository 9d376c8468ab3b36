"""What of REST APIs is executed, and what is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.services.apigateway.rest_api.executed import (
    UNSUPPORTED,
    NotExecutedError,
    check_executed,
    mock_headers,
    mock_status,
)

URI = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:1:function:f/invocations"
PREFLIGHT = {"application/json": "{ statusCode: 204 }"}


def patch(path: str, value: str) -> dict[str, Any]:
    return {"patchOperations": [{"op": "replace", "path": path, "value": value}]}


@pytest.mark.parametrize(
    ("action", "parameters", "message"),
    [
        ("CreateRestApi", {"endpointConfiguration": {"types": ["PRIVATE"]}}, "PRIVATE: APIs here are REGIONAL"),
        ("CreateRestApi", {"policy": "{}"}, "policy is not executed: allow execute-api:Invoke"),
        ("CreateRestApi", {"minimumCompressionSize": 1}, "minimumCompressionSize"),
        ("CreateRestApi", {"disableExecuteApiEndpoint": True}, "disableExecuteApiEndpoint"),
        ("CreateRestApi", {"cloneFrom": "abc"}, "cloneFrom"),
        ("UpdateRestApi", patch("/policy", "{}"), "/policy is not executed"),
        ("UpdateRestApi", patch("/minimumCompressionSize", "1"), "is not executed: what can change are name"),
        ("UpdateRestApi", patch("/endpointConfiguration/types/0", "PRIVATE"), "has PRIVATE"),
        ("PutMethod", {"authorizationType": "CUSTOM"}, "authorizationType is CUSTOM: it must be NONE or AWS_IAM"),
        ("PutMethod", {"authorizationType": "COGNITO_USER_POOLS"}, "it must be NONE or AWS_IAM"),
        ("PutMethod", {"authorizationType": "NONE", "apiKeyRequired": True}, "API keys are not executed"),
        ("PutMethod", {"authorizationType": "NONE", "requestValidatorId": "v"}, "check requests in the function"),
        ("PutMethod", {"authorizationType": "NONE", "httpMethod": "post"}, "httpMethod is post"),
        ("PutIntegration", {"type": "HTTP", "uri": "https://example.org"}, "it must be AWS_PROXY with a function"),
        ("PutIntegration", {"type": "AWS", "uri": URI}, "it must be AWS_PROXY with a function"),
        ("PutIntegration", {"type": "AWS_PROXY", "uri": "arn:aws:lambda:us-east-1:1:function:f"}, "uri is"),
        ("PutIntegration", {"type": "AWS_PROXY", "uri": URI.replace("function:f", "function:${stage}")}, "uri is"),
        ("PutIntegration", {"type": "AWS_PROXY", "uri": URI, "httpMethod": "GET"}, "functions are invoked with POST"),
        ("PutIntegration", {"type": "AWS_PROXY", "uri": URI, "credentials": "arn:r"}, "credentials is not executed"),
        ("PutIntegration", {"type": "AWS_PROXY", "uri": URI, "timeoutInMillis": 29_001}, "between 50 and 29000"),
        ("PutIntegration", {"type": "AWS_PROXY", "uri": URI, "requestTemplates": {"a": "b"}}, "requestTemplates"),
        ("PutIntegration", {"type": "AWS_PROXY", "uri": URI, "contentHandling": "CONVERT_TO_TEXT"}, "binaryMediaTypes"),
        ("PutIntegration", {"type": "AWS_PROXY", "uri": URI, "connectionType": "VPC_LINK"}, "must be INTERNET"),
        ("PutIntegration", {"type": "AWS_PROXY", "uri": URI, "responseTransferMode": "STREAM"}, "not streamed"),
        ("PutIntegration", {"type": "AWS_PROXY", "uri": URI, "cacheNamespace": "a"}, "caches are not executed"),
        ("PutIntegration", {"type": "MOCK"}, "requestTemplates must be"),
        ("PutIntegration", {"type": "MOCK", "requestTemplates": {"application/json": "#set($a=1)"}}, "must be"),
        (
            "PutIntegrationResponse",
            {"responseParameters": {"method.response.header.A": "integration.response.header.B"}},
            "a static value in single quotes is what is executed",
        ),
        ("PutIntegrationResponse", {"responseTemplates": {"application/json": "{}"}}, "answers without a body"),
        ("PutGatewayResponse", {"responseType": "OTHER"}, "responseType is 'OTHER'"),
        ("PutGatewayResponse", {"responseType": "THROTTLED", "statusCode": "much"}, "statusCode is 'much'"),
        ("CreateDeployment", {"canarySettings": {"percentTraffic": 1}}, "canarySettings is not executed"),
        ("CreateStage", {"cacheClusterEnabled": True}, "caches are not executed"),
        ("CreateStage", {"documentationVersion": "1"}, "documentation is not kept"),
        ("UpdateStage", patch("/*/*/logging/loglevel", "INFO"), "execution logs are not written"),
        ("UpdateStage", patch("/*/*/logging/dataTrace", "true"), "execution logs are not written"),
        ("UpdateStage", patch("/*/*/caching/enabled", "true"), "caches are not executed"),
        ("UpdateStage", patch("/cacheClusterEnabled", "true"), "is not executed"),
        ("UpdateStage", patch("/canarySettings/percentTraffic", "10"), "is not executed"),
        ("UpdateStage", patch("/accessLogSettings/destinationArn", "arn:aws:firehose:a"), "go to a log group"),
        ("UpdateStage", patch("/*/*/throttling/rateLimit", "much"), "it must be a number"),
        ("UpdateStage", patch("/throttling/rateLimit", "1"), "a stage has no such setting"),
        ("UpdateStage", patch("/*/*/throttling/speed", "1"), "a stage has no such setting"),
        ("UpdateStage", patch("/accessLogSettings/format", "$context.requestId $context.x"), r"unknown.*\$context.x"),
        ("UpdateStage", patch("/accessLogSettings/format", "$context.status"), "must include at least"),
        ("UpdateStage", patch("/accessLogSettings/format", "$context.requestId\n$context.status"), "single line"),
        *((action, {}, "local cloud") for action in UNSUPPORTED),
    ],
)
def test_what_is_not_executed_is_refused_by_name(action: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(NotExecutedError, match=message):
        check_executed(action, parameters)


@pytest.mark.parametrize(
    ("action", "parameters"),
    [
        ("CreateRestApi", {"name": "a", "endpointConfiguration": {"types": ["REGIONAL"]}, "policy": ""}),
        ("CreateRestApi", {"name": "a", "endpointConfiguration": {"types": ["EDGE"]}}),
        ("PutMethod", {"authorizationType": "AWS_IAM", "httpMethod": "ANY", "apiKeyRequired": False}),
        ("PutIntegration", {"type": "AWS_PROXY", "uri": URI, "httpMethod": "POST", "timeoutInMillis": 29_000}),
        ("PutIntegration", {"type": "MOCK", "requestTemplates": PREFLIGHT, "passthroughBehavior": "NEVER"}),
        ("PutIntegrationResponse", {"responseParameters": {"method.response.header.A": "'*'"}}),
        ("UpdateRestApi", patch("/endpointConfiguration/types/EDGE", "REGIONAL")),
        ("UpdateRestApi", {"patchOperations": [{"op": "add", "path": "/binaryMediaTypes/a~1b"}]}),
        ("UpdateStage", patch("/*/*/throttling/rateLimit", "1")),
        ("UpdateStage", patch("/~1m~1{model}/POST/throttling/burstLimit", "1")),
        ("UpdateStage", patch("/variables/a/b", "1")),
        ("UpdateStage", patch("/deploymentId", "abc")),
        ("UpdateStage", patch("/*/*/logging/loglevel", "OFF")),
        ("UpdateStage", {"patchOperations": [{"op": "remove", "path": "/accessLogSettings"}]}),
        ("GetRestApis", {}),
    ],
)
def test_what_is_executed_passes(action: str, parameters: dict[str, Any]) -> None:
    check_executed(action, parameters)


def test_a_mock_answers_with_the_status_of_its_template() -> None:
    assert mock_status(PREFLIGHT) == 204
    assert mock_status({"application/json": '{"statusCode": 200}'}) == 200
    assert mock_status({"application/json": "{}"}) is mock_status({"text/plain": "{statusCode: 200}"}) is None
    assert mock_headers({"method.response.header.Access-Control-Allow-Origin": "'*'"}) == (
        ("Access-Control-Allow-Origin", "*"),
    )
