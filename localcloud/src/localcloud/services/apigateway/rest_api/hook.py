"""REST APIs get a data plane: every API that moto records is served by a :class:`~.data_plane.RestApi`.

What the data plane does not execute is refused when it is configured (:mod:`~.executed`). Where moto's record is not
what AWS would hold, it is put right: binary media types, settings of a stage's methods and their removal, deployments
as snapshots that a stage in use keeps, names that are taken, the role that access logs need.

Replaces: APIs that are recorded, and answer no request; deployments that hold nothing.
Why: an API is there to be called, and a stage serves what was deployed, not what was changed since.
Obsolete: once moto, or a server of its own, invokes the methods of a stage's deployment under their authorization.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from moto.apigateway import urls
from moto.apigateway.exceptions import (
    BadRequestException,
    ConflictException,
    DeploymentNotFoundException,
    RestAPINotFound,
    StageStillActive,
)
from moto.apigateway.models import APIGatewayBackend, Deployment, Resource, RestAPI
from moto.apigateway.models import Stage as MotoStage
from moto.apigateway.responses import APIGatewayResponse

from localcloud.core.context import CloudContext
from localcloud.core.patching import replace, wrap
from localcloud.iam.identities import UnknownRoleError, find_role, role_policies
from localcloud.iam.policy import AccessRequest, decide
from localcloud.iam.roles import RoleNotAssumableError, check_trust
from localcloud.services.apigateway.functions import Functions
from localcloud.services.apigateway.gate import PRINCIPAL, ApiGate
from localcloud.services.apigateway.observing import Exchange, Observer
from localcloud.services.apigateway.rest_api import access_log
from localcloud.services.apigateway.rest_api.access_log import Details
from localcloud.services.apigateway.rest_api.data_plane import RestApi
from localcloud.services.apigateway.rest_api.definition import Stage
from localcloud.services.apigateway.rest_api.executed import NotExecutedError, check_executed
from localcloud.services.apigateway.rest_api.patches import unescaped
from localcloud.services.apigateway.rest_api.records import keep_snapshot, stages_of
from localcloud.services.apigateway.servers import ApiServers
from localcloud.services.lambda_.seam import lambda_service

ENDPOINT = "x-localcloud-endpoint"
"""The header of answers about one API that says where it is served: AWS's answers have no place for it."""

_APIS = ApiServers()
"""The servers of this process's APIs."""

_TAGS_OF_AN_API = (
    "{0}/tags/arn:(?P<partition>[^/]+):apigateway:(?P<region_name>[^/]+)::/restapis/(?P<function_id>[^/]+)$"
)
_LOGGING = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")
_NO_ROLE = "CloudWatch Logs role ARN must be set in account settings to enable logging"
_BAD_ROLE = (
    "The role ARN does not have required permissions configured. Please grant trust permission for API Gateway and add"
    " the required role policy."
)


def install(context: CloudContext) -> None:
    """Serve every API that is created from now on."""
    _APIS.close()
    gate, observe = ApiGate(context), observing(Observer(context))

    def create_rest_api(original: Any) -> Any:
        def create(self: APIGatewayBackend, *given: Any, **parameters: Any) -> RestAPI:
            api: RestAPI = original(self, *given, **parameters)
            service = lambda_service()
            server = RestApi(
                api.id,
                account_id=context.account_id,
                region=context.region,
                define=lambda: stages_of(api),
                now=context.clock.now,
                functions=Functions(service.store, service.invoker, gate),
                gate=gate,
                observe=lambda *told: observe(api.name, *told),
            )
            _APIS.start(api.id, server)
            return api

        return create

    def delete_rest_api(original: Any) -> Any:
        def delete(self: APIGatewayBackend, function_id: str) -> RestAPI:
            self.get_rest_api(function_id)
            api: RestAPI = original(self, function_id)
            _APIS.stop(function_id)
            return api

        return delete

    def update_account(original: Any) -> Any:
        def update(self: APIGatewayBackend, patch_operations: list[dict[str, Any]]) -> Any:
            for operation in patch_operations:
                if operation["path"] == "/cloudwatchRoleArn":
                    operation.setdefault("value", "")
                    if operation["value"]:
                        _check_logging_role(context, operation["value"])
            return original(self, patch_operations)

        return update

    wrap(APIGatewayBackend, "create_rest_api", create_rest_api)
    wrap(APIGatewayBackend, "delete_rest_api", delete_rest_api)
    wrap(APIGatewayBackend, "update_account", update_account)
    wrap(APIGatewayBackend, "update_rest_api", _update_rest_api)
    wrap(APIGatewayBackend, "create_resource", _create_resource)
    wrap(APIGatewayBackend, "delete_resource", _delete_resource)
    wrap(APIGatewayBackend, "put_method", _put_method)
    wrap(APIGatewayBackend, "create_stage", _create_stage)
    wrap(APIGatewayBackend, "update_stage", _update_stage)
    wrap(RestAPI, "create_deployment", _create_deployment)
    replace(RestAPI, "delete_deployment", _delete_deployment)
    wrap(RestAPI, "get_deployment", _get_deployment)
    # moto's own stand-in for requests to the API: callbacks for each path, kept for ever.
    replace(RestAPI, "update_integration_mocks", lambda self, stage_name: None)
    replace(MotoStage, "_get_default_method_settings", _default_method_settings)
    # moto has tags of stages alone.
    wrap(urls, "url_paths", lambda paths: {**paths, _TAGS_OF_AN_API: APIGatewayResponse.dispatch})
    replace(APIGatewayResponse, "get_tags", _get_tags)
    replace(APIGatewayResponse, "tag_resource", _tag_resource)
    replace(APIGatewayResponse, "untag_resource", _untag_resource)
    wrap(APIGatewayResponse, "create_rest_api", _with_binary_media_types)
    wrap(APIGatewayResponse, "call_action", _call_action)


def close() -> None:
    """Close every port."""
    _APIS.close()


def _call_action(original: Any) -> Any:
    def call(self: APIGatewayResponse) -> Any:
        action = self._get_action()
        try:
            check_executed(action, _parameters(self, action))
        except NotExecutedError as refusal:
            headers = {"x-amzn-ErrorType": "BadRequestException", "Content-Type": "application/json"}
            return 400, headers, json.dumps({"message": str(refusal)})
        try:
            answer = original(self)
        finally:
            _APIS.changed()
        if action in ("CreateRestApi", "GetRestApi", "UpdateRestApi"):
            status, headers, body = answer
            endpoint = _APIS.endpoint(json.loads(body).get("id", ""))
            return status, {**headers, **({ENDPOINT: endpoint} if endpoint else {})}, body
        return answer

    return call


def _parameters(response: APIGatewayResponse, action: str) -> Mapping[str, Any]:
    """The body of a request, with what stands in its path."""
    try:
        parsed = json.loads(response.body or "{}")
    except ValueError:
        return {}
    given = parsed if isinstance(parsed, dict) else {}
    last = unquote(response.path.rstrip("/").split("/")[-1])
    named = {"PutGatewayResponse": "responseType", "PutMethod": "httpMethod"}.get(action)
    if named is not None:
        given[named] = last
    return given


def _with_binary_media_types(original: Any) -> Any:
    def create(self: APIGatewayResponse) -> Any:
        status, headers, body = original(self)
        api = self.backend.apis.get(json.loads(body).get("id", ""))
        if api is None:
            return status, headers, body
        api.binaryMediaTypes = list(self._get_param("binaryMediaTypes") or [])
        return 201, headers, json.dumps(api.to_dict())

    return create


def _tagged(self: APIGatewayResponse) -> RestAPI | MotoStage:
    """What the ARN in a request's path names: an API, or a stage of one."""
    parts = unquote(self.path.split("/tags/")[1]).split("/")
    if len(parts) < 3:
        raise RestAPINotFound
    found: RestAPI | MotoStage = self.backend.get_rest_api(parts[2])
    return self.backend.get_stage(parts[2], parts[4]) if len(parts) > 4 else found


def _get_tags(self: APIGatewayResponse) -> str:
    return json.dumps({"tags": _tagged(self).tags or {}})


def _tag_resource(self: APIGatewayResponse) -> Any:
    found = _tagged(self)
    found.tags = {**(found.tags or {}), **(self._get_param("tags") or {})}
    return 204, {}, ""


def _untag_resource(self: APIGatewayResponse) -> Any:
    found, keys = _tagged(self), self.querystring.get("tagKeys") or ()
    found.tags = {key: value for key, value in (found.tags or {}).items() if key not in keys}
    return 204, {}, ""


def _update_rest_api(original: Any) -> Any:
    def update(self: APIGatewayBackend, function_id: str, patch_operations: list[dict[str, Any]]) -> RestAPI:
        api = self.get_rest_api(function_id)
        left = []
        for operation in patch_operations:
            head, _, name = str(operation["path"]).removeprefix("/").partition("/")
            if head != "binaryMediaTypes" or not name:
                left.append(operation)
                continue
            kind = unescaped(name)
            kept = [known for known in api.binaryMediaTypes if known != kind]
            if operation["op"] == "replace":
                api.binaryMediaTypes = [*kept, unescaped(str(operation.get("value") or kind))]
            else:
                api.binaryMediaTypes = [*kept, kind] if operation["op"] == "add" else kept
        changed: RestAPI = original(self, function_id, left)
        return changed

    return update


def _create_resource(original: Any) -> Any:
    def create(self: APIGatewayBackend, function_id: str, parent_resource_id: str, path_part: str) -> Resource:
        parent = self.get_resource(function_id, parent_resource_id)
        if parent.path_part.endswith("+}"):
            raise BadRequestException(f"Cannot create a child of a resource with a greedy path variable: {path_part}")
        for other in self.get_resources(function_id):
            if other.parent_id != parent_resource_id:
                continue
            if other.path_part == path_part:
                raise ConflictException(f"Another resource with the same parent already has this name: {path_part}")
            if _is_variable(other.path_part) and _is_variable(path_part):
                raise BadRequestException(
                    f"A sibling ({other.path_part}) of this resource already has a variable path part -- only one is"
                    " allowed"
                )
        made: Resource = original(self, function_id, parent_resource_id, path_part)
        return made

    return create


def _is_variable(path_part: str) -> bool:
    return path_part.startswith("{") and not path_part.endswith("+}")


def _delete_resource(original: Any) -> Any:
    def delete(self: APIGatewayBackend, function_id: str, resource_id: str) -> Resource:
        self.get_resource(function_id, resource_id)
        for other in self.get_resources(function_id):
            if other.parent_id == resource_id:
                delete(self, function_id, other.id)
        gone: Resource = original(self, function_id, resource_id)
        return gone

    return delete


def _put_method(original: Any) -> Any:
    def put(
        self: APIGatewayBackend, function_id: str, resource_id: str, method_type: str, *more: Any, **named: Any
    ) -> Any:
        if method_type in self.get_resource(function_id, resource_id).resource_methods:
            raise ConflictException("Method already exists for this resource")
        return original(self, function_id, resource_id, method_type, *more, **named)

    return put


def _create_stage(original: Any) -> Any:
    def create(self: APIGatewayBackend, function_id: str, stage_name: str, deployment_id: str, **named: Any) -> Any:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", stage_name or ""):
            raise BadRequestException("Stage name only allows a-zA-Z0-9_-")
        if deployment_id not in self.get_rest_api(function_id).deployments:
            raise BadRequestException("Deployment id does not exist")
        return original(self, function_id, stage_name, deployment_id, **named)

    return create


def _update_stage(original: Any) -> Any:
    def update(self: APIGatewayBackend, function_id: str, stage_name: str, patch_operations: Any) -> Any:
        stage, left = self.get_stage(function_id, stage_name), []
        for operation in patch_operations:
            path = str(operation["path"])
            if path == "/deploymentId" and operation["value"] not in self.get_rest_api(function_id).deployments:
                raise BadRequestException("Deployment id does not exist")
            if path.startswith("/accessLogSettings") and operation["op"] != "remove":
                if not self.account.cloudwatch_role_arn:
                    raise BadRequestException(_NO_ROLE)
                left.append({**operation, "op": "replace"})
            elif operation["op"] == "remove" and path.count("/") == 2 and not path.startswith("/variables/"):
                stage.method_settings.pop(path.removeprefix("/"), None)
            elif path.startswith("/variables/") and operation["op"] == "add":
                left.append({**operation, "op": "replace"})
            else:
                left.append(operation)
        return original(self, function_id, stage_name, left)

    return update


def _create_deployment(original: Any) -> Any:
    def create(self: RestAPI, name: str, description: str, stage_variables: Any = None) -> Deployment:
        stage = self.stages.get(name) if name else None
        deployment: Deployment = original(self, "" if stage else name, description, stage_variables)
        if stage is not None:
            # moto would make a new stage of this name, and lose its settings.
            stage.deployment_id = deployment.id
            stage.variables |= stage_variables or {}
        keep_snapshot(self, deployment)
        return deployment

    return create


def _delete_deployment(self: RestAPI, deployment_id: str) -> Deployment:
    if deployment_id not in self.deployments:
        raise DeploymentNotFoundException
    if any(stage.deployment_id == deployment_id for stage in self.stages.values()):
        raise StageStillActive
    return self.deployments.pop(deployment_id)


def _get_deployment(original: Any) -> Any:
    def get(self: RestAPI, deployment_id: str) -> Deployment:
        if deployment_id not in self.deployments:
            raise DeploymentNotFoundException
        found: Deployment = original(self, deployment_id)
        return found

    return get


def _default_method_settings(self: MotoStage) -> dict[str, Any]:
    """Those of AWS: the limits are the account's, not a tenth of them."""
    return {
        "metricsEnabled": False,
        "loggingLevel": "OFF",
        "dataTraceEnabled": False,
        "throttlingBurstLimit": 5000,
        "throttlingRateLimit": 10_000.0,
        "cachingEnabled": False,
        "cacheTtlInSeconds": 300,
        "cacheDataEncrypted": False,
        "requireAuthorizationForCacheControl": True,
        "unauthorizedCacheControlHeaderStrategy": "SUCCEED_WITH_RESPONSE_HEADER",
    }


def _check_logging_role(context: CloudContext, role_arn: str) -> None:
    """Refuse a role that API Gateway can't write logs with, as AWS does."""
    try:
        check_trust(context, role_arn, PRINCIPAL)
        policies = role_policies(find_role(context.account_id, role_arn))
    except (UnknownRoleError, RoleNotAssumableError) as error:
        raise BadRequestException(f"{_BAD_ROLE} ({error})") from error
    for action in _LOGGING:
        if not decide(policies, AccessRequest(action, "*", {})).allowed:
            raise BadRequestException(f"{_BAD_ROLE} ({role_arn} does not allow {action} on all log groups)")


def observing(observer: Observer) -> Callable[..., None]:
    """Writes access logs, and counts requests under the API, its stage, and the methods that have detailed metrics."""

    def observe(name: str, exchange: Exchange, stage: Stage, key: str, details: Details) -> None:
        if stage.access_log is not None:
            group, template = stage.access_log
            observer.log(group, access_log.line(template, exchange, details), exchange)
        dimensions: list[dict[str, str]] = [{"ApiName": name}, {"ApiName": name, "Stage": stage.name}]
        if key in stage.detailed:
            method, _, path = key.partition(" ")
            dimensions.append({"ApiName": name, "Stage": stage.name, "Resource": path, "Method": method})
        observer.count(exchange, dimensions, ("4XXError", "5XXError"))

    return observe
