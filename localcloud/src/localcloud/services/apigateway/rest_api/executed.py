"""What of REST APIs is executed: pure checks of what is asked of the API, by operation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from localcloud.services.apigateway.functions import function_of
from localcloud.services.apigateway.rest_api import access_log
from localcloud.services.apigateway.rest_api.gateway_responses import problem_of

AUTHORIZATIONS = ("NONE", "AWS_IAM")
ENDPOINTS = ("REGIONAL", "EDGE")
METHODS = ("ANY", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
INTEGRATIONS = ("AWS_PROXY", "MOCK")
TIMEOUTS_MS = (50, 29_000)
"""https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html; a
longer one is a quota that AWS raises when it is asked."""

UNSUPPORTED = {
    "CreateApiKey": "API keys are not executed: limit requests by the settings of the stage's methods",
    "ImportApiKeys": "API keys are not executed: limit requests by the settings of the stage's methods",
    "CreateUsagePlan": "usage plans are not executed: limit requests by the settings of the stage's methods",
    "CreateUsagePlanKey": "usage plans are not executed: limit requests by the settings of the stage's methods",
    "CreateAuthorizer": "authorizers are not executed: authorize methods with AWS_IAM, or not at all",
    "CreateBasePathMapping": "custom domain names are not executed: call the API at its own URL",
    "CreateDomainName": "custom domain names are not executed: call the API at its own URL",
    "CreateDocumentationPart": "documentation is not kept",
    "CreateDocumentationVersion": "documentation is not kept",
    "CreateModel": "models are not executed: check requests in the function",
    "CreateRequestValidator": "request validators are not executed: check requests in the function",
    "CreateVpcLink": "VPC links are not executed: lead methods to functions",
    "GenerateClientCertificate": "client certificates are not executed",
    "ImportRestApi": "OpenAPI documents are not executed: describe the API by resources and methods",
    "PutRestApi": "OpenAPI documents are not executed: describe the API by resources and methods",
    "TestInvokeAuthorizer": "authorizers are not executed",
    "TestInvokeMethod": "test calls are not executed: call the stage",
}
"""Operations that are refused, with why or what to do instead."""

_MOCK = re.compile(r"""\{\s*["']?statusCode["']?\s*:\s*([1-5][0-9]{2})\s*\}""")
_STAGE_PATH = re.compile(
    r"/(deploymentId|description|tracingEnabled|variables/.+|accessLogSettings/(destinationArn|format)|"
    r"[^/]+/[A-Z*]+/(metrics/enabled|logging/(loglevel|dataTrace)|throttling/(rateLimit|burstLimit)|caching/.+))"
)
"""What UpdateStage may replace."""

_METHOD_HEADER = re.compile(r"method\.response\.header\.([!#$%&'*+.^_`|~0-9A-Za-z-]+)")
_STATIC = re.compile(r"'([^'\r\n\0]*)'")

Problem = tuple[str, str]
"""A parameter, and why it can't be had, as the end of a sentence."""


def api_problems(parameters: Mapping[str, Any]) -> Iterator[Problem]:
    """Of CreateRestApi."""
    for kind in (parameters.get("endpointConfiguration") or {}).get("types") or ():
        if kind not in ENDPOINTS:
            yield "endpointConfiguration.types", f"has {kind}: APIs here are REGIONAL, or EDGE without its CloudFront"
    for name, instead in (
        ("cloneFrom", "describe the API by resources and methods"),
        ("disableExecuteApiEndpoint", "the API has only this URL; leave it out"),
        ("minimumCompressionSize", "leave it out, or compress in the function"),
        ("policy", "allow execute-api:Invoke in the policies of the callers' roles"),
    ):
        if parameters.get(name) not in (None, False, ""):
            yield name, f"is not executed: {instead}"


def api_change_problems(operations: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """Of UpdateRestApi's patch operations."""
    for operation in operations:
        path, value = str(operation.get("path")), str(operation.get("value"))
        head = path.removeprefix("/").partition("/")[0]
        if head == "endpointConfiguration":
            yield from api_problems({head: {"types": [value]}})
        elif head not in ("apiKeySource", "binaryMediaTypes", "description", "name"):
            yield (
                path,
                "is not executed: what can change are name, description, binaryMediaTypes and endpointConfiguration",
            )


def method_problems(parameters: Mapping[str, Any]) -> Iterator[Problem]:
    """Of PutMethod."""
    method = parameters.get("httpMethod")
    if method is not None and method not in METHODS:
        yield "httpMethod", f"is {method}: it must be one of {', '.join(METHODS)}"
    authorization = parameters.get("authorizationType")
    if authorization is not None and authorization not in AUTHORIZATIONS:
        yield "authorizationType", f"is {authorization}: it must be NONE or AWS_IAM, other authorizers are not executed"
    if parameters.get("apiKeyRequired"):
        yield "apiKeyRequired", "is true: API keys are not executed"
    if parameters.get("requestValidatorId"):
        yield "requestValidatorId", "is not executed: check requests in the function"


def integration_problems(parameters: Mapping[str, Any]) -> Iterator[Problem]:
    """Of PutIntegration."""
    kind = parameters.get("type")
    if kind is not None and kind not in INTEGRATIONS:
        yield "type", f"is {kind}: it must be AWS_PROXY with a function, or MOCK for preflight requests"
    for name, instead in (
        ("cacheKeyParameters", "caches are not executed; leave it out"),
        ("cacheNamespace", "caches are not executed; leave it out"),
        ("connectionId", "lead the method to a function"),
        ("contentHandling", "name binary bodies in the API's binaryMediaTypes"),
        ("credentials", "let the function's permission name apigateway.amazonaws.com"),
        ("requestParameters", "map parameters in the function"),
        ("tlsConfig", "lead the method to a function"),
    ):
        if parameters.get(name):
            yield name, f"is not executed: {instead}"
    if parameters.get("connectionType", "INTERNET") not in (None, "INTERNET"):
        yield "connectionType", "must be INTERNET"
    if parameters.get("responseTransferMode", "BUFFERED") not in (None, "BUFFERED"):
        yield "responseTransferMode", "must be BUFFERED: responses are not streamed"
    timeout = parameters.get("timeoutInMillis")
    if timeout is not None and not TIMEOUTS_MS[0] <= int(timeout) <= TIMEOUTS_MS[1]:
        yield "timeoutInMillis", f"is {timeout}: it must be between {TIMEOUTS_MS[0]} and {TIMEOUTS_MS[1]}"
    if kind == "AWS_PROXY":
        uri = str(parameters.get("uri") or "")
        if function_of(uri) == uri or ":function:" not in uri or "${" in uri:
            yield (
                "uri",
                (f"is {uri!r}: it must be arn:aws:apigateway:REGION:lambda:path/2015-03-31/functions/ARN/invocations"),
            )
        if parameters.get("httpMethod") not in (None, "POST"):
            yield "httpMethod", f"is {parameters['httpMethod']}: functions are invoked with POST"
        if parameters.get("requestTemplates"):
            yield "requestTemplates", "is not executed: the function gets the whole request"
    if kind == "MOCK" and mock_status(parameters.get("requestTemplates")) is None:
        yield (
            "requestTemplates",
            'must be {"application/json": "{ statusCode: 200 }"} with a status: others are not executed',
        )


def mock_status(templates: Mapping[str, Any] | None) -> int | None:
    """The status that a MOCK integration's template gives; None where it does more than that."""
    if not templates or set(templates) != {"application/json"}:
        return None
    found = _MOCK.fullmatch(str(templates["application/json"] or "").strip())
    return int(found[1]) if found else None


def integration_response_problems(parameters: Mapping[str, Any]) -> Iterator[Problem]:
    """Of PutIntegrationResponse."""
    for name, value in (parameters.get("responseParameters") or {}).items():
        if _METHOD_HEADER.fullmatch(name) is None or _STATIC.fullmatch(str(value)) is None:
            yield (
                f"responseParameters.{name}",
                (f"is {value}: method.response.header.NAME with a static value in single quotes is what is executed"),
            )
    if any((parameters.get("responseTemplates") or {}).values()):
        yield "responseTemplates", "is not executed: a MOCK integration answers without a body"
    if parameters.get("contentHandling"):
        yield "contentHandling", "is not executed"


def mock_headers(parameters: Mapping[str, Any] | None) -> tuple[tuple[str, str], ...]:
    """The headers of an integration response's parameters."""
    names = {name: _METHOD_HEADER.fullmatch(name) for name in parameters or {}}
    return tuple((found[1], str((parameters or {})[name]).strip("'")) for name, found in names.items() if found)


def gateway_response_problems(parameters: Mapping[str, Any]) -> Iterator[Problem]:
    """Of PutGatewayResponse."""
    names = ("responseType", "responseParameters", "responseTemplates", "statusCode")
    kind, headers, templates, status = map(parameters.get, names)
    found = problem_of(kind, headers, templates, status)
    if found is not None:
        yield found


def deployment_problems(parameters: Mapping[str, Any]) -> Iterator[Problem]:
    """Of CreateDeployment."""
    if parameters.get("canarySettings"):
        yield "canarySettings", "is not executed: deploy to the stage"
    if parameters.get("cacheClusterEnabled"):
        yield "cacheClusterEnabled", "is true: caches are not executed"


def stage_problems(parameters: Mapping[str, Any]) -> Iterator[Problem]:
    """Of CreateStage."""
    yield from deployment_problems(parameters)
    if parameters.get("documentationVersion"):
        yield "documentationVersion", "is not executed: documentation is not kept"


def stage_change_problems(operations: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """Of UpdateStage's patch operations."""
    for operation in operations:
        path, value = str(operation.get("path")), operation.get("value")
        if operation.get("op") == "remove":
            continue
        if path.startswith(("/canarySettings", "/cacheCluster", "/clientCertificateId", "/documentationVersion")):
            if str(value).lower() not in ("false", "", "none"):
                yield path, "is not executed"
        elif path.endswith("/caching/enabled") and str(value).lower() == "true":
            yield path, "is true: caches are not executed"
        elif path.endswith("/logging/loglevel") and str(value) != "OFF":
            yield path, f"is {value}: execution logs are not written; access logs are"
        elif path.endswith("/logging/dataTrace") and str(value).lower() == "true":
            yield path, "is true: execution logs are not written; access logs are"
        elif path == "/accessLogSettings/format":
            yield from format_problems(str(value))
        elif path == "/accessLogSettings/destinationArn" and ":log-group:" not in str(value):
            yield path, f"is {value}: access logs go to a log group"
        elif "/throttling/" in path and not re.fullmatch(r"[0-9]+(\.[0-9]+)?", str(value)):
            yield path, f"is {value}: it must be a number"
        elif _STAGE_PATH.fullmatch(path) is None:
            yield path, "is not known: a stage has no such setting"


def format_problems(template: str) -> Iterator[Problem]:
    """Of an access log's format; AWS refuses these too."""
    unknown = list(access_log.unknown_variables(template))
    if unknown:
        yield "accessLogSettings.format", (f"Access log format contains unknown variables: {', '.join(unknown)}")
    elif not access_log.names_the_request(template):
        yield (
            "accessLogSettings.format",
            ("Access log must include at least $context.requestId or $context.extendedRequestId"),
        )
    elif "\n" in template.strip("\n"):
        yield "accessLogSettings.format", "Access log format must be single line"


_CHECKS: Mapping[str, Callable[[Mapping[str, Any]], Iterator[Problem]]] = {
    "CreateRestApi": api_problems,
    "UpdateRestApi": lambda parameters: api_change_problems(parameters.get("patchOperations") or ()),
    "PutMethod": method_problems,
    "PutIntegration": integration_problems,
    "PutIntegrationResponse": integration_response_problems,
    "PutGatewayResponse": gateway_response_problems,
    "CreateDeployment": deployment_problems,
    "CreateStage": stage_problems,
    "UpdateStage": lambda parameters: stage_change_problems(parameters.get("patchOperations") or ()),
}


class NotExecutedError(ValueError):
    """What AWS takes and the local cloud does not execute, or what neither takes."""


def check_executed(action: str, parameters: Mapping[str, Any]) -> None:
    """Refuse what the data plane would not do.

    Raises
    ------
    NotExecutedError
        Naming the parameter and what is executed instead.
    """
    if action in UNSUPPORTED:
        raise NotExecutedError(f"{action} by the local cloud: {UNSUPPORTED[action]}")
    check = _CHECKS.get(action)
    for name, sentence in check(parameters) if check is not None else ():
        if name == "accessLogSettings.format":
            raise NotExecutedError(sentence)
        raise NotExecutedError(f"{name} {sentence} (the local cloud)")
