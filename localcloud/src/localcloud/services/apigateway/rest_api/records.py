"""What moto records of a REST API, as the data plane's definition."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from moto.apigateway.models import Deployment, Integration, RestAPI
from moto.apigateway.models import Stage as MotoStage

from localcloud.services.apigateway.functions import function_of
from localcloud.services.apigateway.rest_api.definition import (
    FunctionIntegration,
    Method,
    MockIntegration,
    Snapshot,
    Stage,
)
from localcloud.services.apigateway.rest_api.executed import mock_headers, mock_status
from localcloud.services.apigateway.rest_api.gateway_responses import gateway_response
from localcloud.services.apigateway.rest_api.patches import escaped
from localcloud.services.apigateway.routes import Route
from localcloud.services.apigateway.throttling import Limit, Limits

_DEFAULT_TIMEOUT_MS = 29_000
_SNAPSHOT = "localcloud_snapshot"


def snapshot_of(api: RestAPI) -> Snapshot:
    """What moto records of an API now, as the deployment that it becomes."""
    routes, methods = [], {}
    for resource in list(api.resources.values()):
        path = resource.get_path()
        for name, method in list(resource.resource_methods.items()):
            key = f"{name} {path}"
            routes.append(Route(key=key, authorization=method.authorization_type or "NONE", integration_id=""))
            methods[key] = Method(resource.id, _integration(method.method_integration))
    responses = {
        kind: gateway_response(found.status_code, found.response_parameters, found.response_templates)
        for kind, found in list(api.gateway_responses.items())
    }
    return Snapshot(tuple(routes), methods, responses, tuple(api.binaryMediaTypes))


def _integration(found: Integration | None) -> FunctionIntegration | MockIntegration | None:
    if found is None:
        return None
    if found.integration_type == "MOCK":
        status = mock_status(found.request_templates) or 200
        for response in (found.integration_responses or {}).values():
            if not response.selection_pattern or re.fullmatch(response.selection_pattern, str(status)):
                return MockIntegration(int(response.status_code), mock_headers(response.response_parameters))
        return None
    timeout = int(found.timeout_in_millis or _DEFAULT_TIMEOUT_MS)
    return FunctionIntegration(function_of(found.uri), timeout / 1000)


def keep_snapshot(api: RestAPI, deployment: Deployment) -> None:
    """Keep with a deployment what the API is now."""
    vars(deployment)[_SNAPSHOT] = snapshot_of(api)


def stages_of(api: RestAPI) -> dict[str, Stage]:
    """The stages of an API, each with the deployment that it serves."""
    found = {}
    for name, stage in list(api.stages.items()):
        deployment = api.deployments.get(stage.deployment_id or "")
        if deployment is not None:
            found[name] = _stage(name, stage, vars(deployment)[_SNAPSHOT])
    return found


def _stage(name: str, stage: MotoStage, snapshot: Snapshot) -> Stage:
    settings = stage.access_log_settings or {}
    access_log = None
    if settings.get("destinationArn") and settings.get("format"):
        group = settings["destinationArn"].split(":log-group:", 1)[1].removesuffix(":*")
        access_log = (group, settings["format"])
    by_key = {route.key: _settings_of(stage, route) for route in snapshot.routes}
    # "Per-API, per-stage throttling limits are applied at the API method level for a stage":
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-request-throttling.html
    limits = Limits(by_route={key: _limit(found) for key, found in by_key.items() if found})
    detailed = frozenset(key for key, found in by_key.items() if found.get("metricsEnabled"))
    return Stage(name, snapshot, stage.deployment_id or "", dict(stage.variables or {}), access_log, limits, detailed)


def _settings_of(stage: MotoStage, route: Route) -> Mapping[str, Any]:
    """The settings of a method: its own, or those of the whole stage."""
    own = f"{escaped(route.path)}/{route.method}"
    found: Mapping[str, Any] = stage.method_settings.get(own) or stage.method_settings.get("*/*") or {}
    return found


def _limit(settings: Mapping[str, Any]) -> Limit:
    return Limit(float(settings["throttlingRateLimit"]), int(settings["throttlingBurstLimit"]))
