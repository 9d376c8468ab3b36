"""HTTP APIs get a data plane: every API that moto records is served by an :class:`~.data_plane.HttpApi`.

What the data plane does not execute is refused when it is configured: WebSocket APIs, Lambda authorizers,
integrations other than AWS_PROXY to a function, payload format 1.0, CORS, parameter mapping, custom domains.

Replaces: APIs that are recorded, and answer no request.
Why: an API is there to be called.
Obsolete: once moto, or a server of its own, invokes an API's integrations under the route's authorization, and tells
    CloudWatch of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from moto.apigatewayv2.models import Api, ApiGatewayV2Backend
from moto.apigatewayv2.models import Stage as MotoStage
from moto.apigatewayv2.responses import ApiGatewayV2Response

from localcloud.core.context import CloudContext
from localcloud.core.patching import add, wrap
from localcloud.services.apigateway.functions import Functions, function_of
from localcloud.services.apigateway.gate import ApiGate
from localcloud.services.apigateway.http_api.data_plane import (
    ApiDefinition,
    HttpApi,
    Integration,
    Stage,
    access_log_line,
)
from localcloud.services.apigateway.http_api.tokens import Authorizer, IssuerError, Issuers, TokenGate
from localcloud.services.apigateway.observing import Exchange, Observer
from localcloud.services.apigateway.routes import Route
from localcloud.services.apigateway.servers import ApiServers
from localcloud.services.apigateway.throttling import Limit, Limits
from localcloud.services.lambda_.seam import lambda_service

_AUTHORIZATIONS = ("NONE", "AWS_IAM", "JWT")
_TOKEN = "$request.header.Authorization"
_UNSUPPORTED_ACTIONS = {
    "CreateDomainName": "custom domain names",
    "CreateApiMapping": "custom domain names",
    "CreateVpcLink": "VPC links",
    "ImportApi": "OpenAPI import",
    "ReimportApi": "OpenAPI import",
    "CreateIntegrationResponse": "integration responses",
    "CreateRouteResponse": "route responses",
}


_APIS = ApiServers()
"""The servers of this process's APIs."""


def install(context: CloudContext) -> None:
    """Serve every API that is created from now on."""
    _APIS.close()
    gate, observe = ApiGate(context), observing(Observer(context))
    # The issuer of a token has a clock of its own, and so may this cloud.
    tokens = TokenGate(Issuers.of(context.settings), lambda: (datetime.now(UTC), context.clock.now()))

    def create_api(original: Any) -> Any:
        def create(self: ApiGatewayV2Backend, **parameters: Any) -> Api:
            api: Api = original(self, **parameters)
            server = _server_of(context, api, gate, tokens, observe)
            _APIS.start(api.api_id, server)
            api.api_endpoint = server.endpoint
            return api

        return create

    def delete_api(original: Any) -> Any:
        def delete(self: ApiGatewayV2Backend, api_id: str) -> None:
            original(self, api_id)
            _APIS.stop(api_id)

        return delete

    def call_action(original: Any) -> Any:
        def call(self: ApiGatewayV2Response) -> Any:
            if self.method in ("POST", "PUT", "PATCH"):
                try:
                    check_executed(self._get_action(), json.loads(self.body or "{}"), tokens.issuers)
                except NotExecutedError as refusal:
                    headers = {"x-amzn-ErrorType": "BadRequestException", "Content-Type": "application/json"}
                    return 400, headers, json.dumps({"message": str(refusal)})
                unknown = _route_without_settings(self, json.loads(self.body or "{}"))
                if unknown is not None:
                    headers = {"x-amzn-ErrorType": "NotFoundException", "Content-Type": "application/json"}
                    message = f"Unable to find Route by key {unknown} within the provided RouteSettings"
                    return 404, headers, json.dumps({"message": message})
            try:
                return original(self)
            finally:
                _APIS.changed()

        return call

    wrap(ApiGatewayV2Backend, "create_api", create_api)
    wrap(ApiGatewayV2Backend, "delete_api", delete_api)
    wrap(ApiGatewayV2Response, "call_action", call_action)
    add(ApiGatewayV2Response, "update_stage", _update_stage)
    add(ApiGatewayV2Response, "get_authorizers", _get_authorizers)


def close() -> None:
    """Close every port."""
    _APIS.close()


class NotExecutedError(ValueError):
    """A configuration that AWS takes and the local cloud does not execute."""


def check_executed(action: str, parameters: dict[str, Any], issuers: Issuers | None = None) -> None:
    """Refuse what the data plane would not do.

    Raises
    ------
    NotExecutedError
        Naming the setting and what is executed instead.
    """
    if action in _UNSUPPORTED_ACTIONS:
        raise NotExecutedError(f"{action}: {_UNSUPPORTED_ACTIONS[action]} are not executed by the local cloud")
    if parameters.get("protocolType", "HTTP") != "HTTP":
        raise NotExecutedError(f"protocolType {parameters['protocolType']}: the local cloud executes HTTP APIs only")
    authorization = parameters.get("authorizationType", "NONE")
    if authorization not in _AUTHORIZATIONS:
        raise NotExecutedError(f"authorizationType {authorization}: the local cloud executes NONE, AWS_IAM and JWT")
    if action == "CreateRoute" and authorization == "JWT" and not parameters.get("authorizerId"):
        raise NotExecutedError("authorizerId: the local cloud, like AWS, wants one for a JWT route")
    if action in ("CreateAuthorizer", "UpdateAuthorizer"):
        _check_authorizer(parameters, issuers)
    for name in ("corsConfiguration", "requestParameters", "responseParameters", "disableExecuteApiEndpoint"):
        if parameters.get(name):
            raise NotExecutedError(f"{name} is not executed by the local cloud: leave it out")
    if parameters.get("integrationType", "AWS_PROXY") != "AWS_PROXY" or parameters.get("integrationSubtype"):
        raise NotExecutedError("the local cloud executes AWS_PROXY integrations with Lambda functions only")
    if "integrationUri" in parameters and ":function:" not in (parameters["integrationUri"] or ""):
        raise NotExecutedError(f"integrationUri {parameters['integrationUri']!r} names no Lambda function")
    if action == "CreateIntegration" and parameters.get("payloadFormatVersion") != "2.0":
        raise NotExecutedError("payloadFormatVersion: the local cloud executes 2.0")


def _check_authorizer(parameters: dict[str, Any], issuers: Issuers | None) -> None:
    if parameters.get("authorizerType", "JWT") != "JWT":
        raise NotExecutedError(
            "authorizerType REQUEST: the local cloud executes JWT authorizers, no Lambda authorizers"
        )
    if parameters.get("identitySource", [_TOKEN]) not in ([_TOKEN], _TOKEN):
        raise NotExecutedError(f"identitySource: the local cloud reads tokens from {_TOKEN} alone")
    if "jwtConfiguration" not in parameters:
        return
    configuration = parameters["jwtConfiguration"] or {}
    if not configuration.get("audience"):
        raise NotExecutedError("jwtConfiguration.audience: name one audience or more")
    try:
        # As API Gateway does: an issuer is asked for its keys at once.
        if issuers is not None:
            issuers.keys(str(configuration.get("issuer") or ""))
    except IssuerError as error:
        raise NotExecutedError(str(error)) from error


def _server_of(
    context: CloudContext,
    api: Api,
    gate: ApiGate,
    tokens: TokenGate,
    observe: Callable[[Exchange, Stage, str], None],
) -> HttpApi:
    service = lambda_service()
    return HttpApi(
        api.api_id,
        account_id=context.account_id,
        region=context.region,
        define=lambda: definition_of(api),
        now=context.clock.now,
        functions=Functions(service.store, service.invoker, gate),
        gate=gate,
        tokens=tokens,
        observe=observe,
    )


def definition_of(api: Api) -> ApiDefinition:
    """What moto recorded of an API, as the data plane's definition."""
    routes = tuple(
        Route(
            key=route.route_key,
            authorization=route.authorization_type or "NONE",
            integration_id=(route.target or "").removeprefix("integrations/"),
            route_id=route.route_id,
            authorizer_id=route.authorizer_id or "",
            scopes=tuple(route.authorization_scopes or ()),
        )
        for route in list(api.routes.values())
    )
    integrations = {
        identifier: Integration(function_of(found.integration_uri), (found.timeout_in_millis or 30_000) / 1000)
        for identifier, found in list(api.integrations.items())
    }
    stages = {name: _stage(stage) for name, stage in list(api.stages.items())}
    return ApiDefinition(api.api_id, routes, integrations, stages, _authorizers(api))


def _authorizers(api: Api) -> dict[str, Authorizer]:
    given: dict[str, Any] = {name: one.jwt_config or {} for name, one in list(api.authorizers.items())}
    return {name: Authorizer(one.get("issuer", ""), tuple(one.get("audience", ()))) for name, one in given.items()}


def _stage(stage: MotoStage) -> Stage:
    settings = stage.access_log_settings or {}
    access_log = None
    if settings.get("destinationArn"):
        group = settings["destinationArn"].split(":log-group:", 1)[1].removesuffix(":*")
        access_log = (group, settings.get("format") or "$context.requestId")
    by_route = {key: _limit(settings) for key, settings in (stage.route_settings or {}).items()}
    limits = Limits(
        _limit(stage.default_route_settings), {key: limit for key, limit in by_route.items() if limit is not None}
    )
    return Stage(stage.name, stage.stage_variables or {}, access_log, limits)


def _limit(settings: dict[str, Any] | None) -> Limit | None:
    """The limit that route settings have; one number alone stands for both."""
    given = settings or {}
    numbers = [given[name] for name in ("throttlingRateLimit", "throttlingBurstLimit") if given.get(name) is not None]
    return Limit(float(numbers[0]), int(numbers[-1])) if numbers else None


def _route_without_settings(self: ApiGatewayV2Response, parameters: dict[str, Any]) -> str | None:
    """The first key of a stage's settings that is no route's; API Gateway refuses them all then."""
    settings = parameters.get("routeSettings")
    if not settings or self._get_action() not in ("CreateStage", "UpdateStage"):
        return None
    parts = [unquote(part) for part in self.path.split("/")]
    api = self.apigatewayv2_backend.apis.get(parts[parts.index("apis") + 1])
    if api is None:
        return None
    there = {route.route_key for route in list(api.routes.values())}
    return next((key for key in settings if key not in there), None)


def _update_stage(self: ApiGatewayV2Response) -> Any:
    parts = [unquote(part) for part in self.path.split("/")]
    stage = self.apigatewayv2_backend.get_stage(parts[-3], parts[-1])
    parameters = json.loads(self.body)
    attributes = {
        "accessLogSettings": "access_log_settings",
        "autoDeploy": "auto_deploy",
        "defaultRouteSettings": "default_route_settings",
        "description": "description",
        "routeSettings": "route_settings",
        "stageVariables": "stage_variables",
    }
    for name, attribute in attributes.items():
        if name in parameters:
            setattr(stage, attribute, parameters[name])
    stage.updated = datetime.now()
    return 200, {}, json.dumps(stage.to_json())


def _get_authorizers(self: ApiGatewayV2Response) -> Any:
    api = self.apigatewayv2_backend.get_api(unquote(self.path.split("/")[-2]))
    return 200, {}, json.dumps({"items": [authorizer.to_json() for authorizer in list(api.authorizers.values())]})


def observing(observer: Observer) -> Callable[[Exchange, Stage, str], None]:
    """Writes access logs, and counts requests under the API and under its stage."""

    def observe(exchange: Exchange, stage: Stage, route_key: str) -> None:
        if stage.access_log is not None:
            group, template = stage.access_log
            observer.log(group, access_log_line(template, exchange, route_key), exchange)
        of_api = {"ApiId": exchange.api_id}
        observer.count(exchange, (of_api, of_api | {"Stage": exchange.stage}), ("4xx", "5xx"))

    return observe
