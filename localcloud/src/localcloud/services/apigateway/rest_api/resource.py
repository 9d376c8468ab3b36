"""REST APIs: the API, its resources, methods, gateway responses, deployments and stages, and the account's role."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from localcloud.cloudformation.intrinsics import Made, is_known
from localcloud.cloudformation.properties import DESCRIPTION, TAGS, Problem, table_of
from localcloud.cloudformation.resource import (
    Handler,
    Place,
    Properties,
    changed,
    ignoring,
    known,
    names,
    subset,
    tag_map,
    without,
)
from localcloud.cloudformation.shapes import call_arguments
from localcloud.services.apigateway.rest_api import executed

ENDPOINT = "x-localcloud-endpoint"
_GONE = "NotFoundException"
_NO_DOCUMENT = "describe the API by resources and methods, not by an OpenAPI document"
_NO_CACHE = "responses are not cached here; leave it out"


class RestApi(Handler):
    """A REST API described by resources, not by an OpenAPI body."""

    type = "AWS::ApiGateway::RestApi"
    table = table_of(
        "Name BinaryMediaTypes EndpointConfiguration(Types)",
        kept={
            "Description": DESCRIPTION,
            "Tags": TAGS,
            "ApiKeySourceType": "API keys are refused, wherever they would come from",
            "EndpointConfiguration.IpAddressType": "the API listens only on 127.0.0.1",
        },
        refused={
            "Body BodyS3Location Mode Parameters FailOnWarnings": _NO_DOCUMENT,
            "CloneFrom": "describe the API by resources and methods",
            "DisableExecuteApiEndpoint": "the API has only this URL; leave it out",
            "EndpointConfiguration.VpcEndpointIds": "functions and APIs run on this machine; leave it out",
            "MinimumCompressionSize": "leave it out, or compress in the function",
            "Policy": "allow execute-api:Invoke in the policies of the callers' roles",
        },
    )
    attributes = names("RestApiId RootResourceId")

    def value_problems(self, properties: Properties) -> Iterator[Problem]:
        """Private APIs are refused, and an API without a name, which an OpenAPI document would give."""
        if "Name" not in properties:
            yield Problem("Name", "is missing")
        yield from _problems(executed.api_problems(_lowered(properties, "EndpointConfiguration")))

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the API."""
        client = place.client("apigateway")
        given = {**properties, "Tags": tag_map(properties.get("Tags"))}
        given.pop("ApiKeySourceType", None)
        api = client.create_rest_api(**call_arguments(client, "CreateRestApi", given, place.where))
        there = f"https://{api['id']}.execute-api.{place.region}.amazonaws.com"
        here = api["ResponseMetadata"]["HTTPHeaders"].get(ENDPOINT)
        attributes = {"RestApiId": api["id"], "RootResourceId": api["rootResourceId"]}
        return Made(api["id"], attributes, {there: here} if here else {})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Change the API's settings."""
        client = place.client("apigateway")
        operations = [
            {"op": "replace", "path": f"/{name[0].lower()}{name[1:]}", "value": new.get(name, "")}
            for name in ("Name", "Description")
            if changed(old, new, name)
        ]
        before, after = (set(properties.get("BinaryMediaTypes") or ()) for properties in (old, new))
        for op, kinds in (("remove", before - after), ("add", after - before)):
            operations += [{"op": op, "path": f"/binaryMediaTypes/{_escaped(kind)}"} for kind in sorted(kinds)]
        if changed(old, new, "EndpointConfiguration"):
            kind = (known(new, "EndpointConfiguration", "Types") or ["EDGE"])[0]
            operations.append({"op": "replace", "path": "/endpointConfiguration/types/0", "value": kind})
        if operations:
            client.update_rest_api(restApiId=made.physical_id, patchOperations=operations)
        _write_tags(client, f"arn:aws:apigateway:{place.region}::/restapis/{made.physical_id}", old, new)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the API with everything in it."""
        ignoring(lambda: place.client("apigateway").delete_rest_api(restApiId=made.physical_id), _GONE)


class Resource(Handler):
    """A part of a path."""

    type = "AWS::ApiGateway::Resource"
    table = table_of("RestApiId ParentId PathPart")
    attributes = names("ResourceId")
    required = names("RestApiId ParentId PathPart")
    create_only = names("RestApiId ParentId PathPart")

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the part."""
        client = place.client("apigateway")
        made = client.create_resource(**call_arguments(client, "CreateResource", properties, place.where))
        return Made(made["id"], {"ResourceId": made["id"]})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Nothing can change."""
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the part with what is below it."""
        where = {"restApiId": properties["RestApiId"], "resourceId": made.physical_id}
        ignoring(lambda: place.client("apigateway").delete_resource(**where), _GONE)


class Method(Handler):
    """A method of a resource, and what it leads to."""

    type = "AWS::ApiGateway::Method"
    table = table_of(
        "RestApiId ResourceId HttpMethod AuthorizationType ApiKeyRequired"
        " Integration(Type IntegrationHttpMethod Uri TimeoutInMillis RequestTemplates(*) ConnectionType"
        " ResponseTransferMode IntegrationResponses(StatusCode SelectionPattern ResponseParameters(*)"
        " ResponseTemplates(*)))",
        kept={
            "Integration.PassthroughBehavior": "functions get every body, and a MOCK integration reads none",
            "MethodResponses": "a function's response is handed on as it is, and so are a MOCK integration's headers",
            "OperationName": DESCRIPTION,
            "RequestModels": "only request validators, which are refused, look at it",
            "RequestParameters": "only request validators, which are refused, look at it",
        },
        refused={
            "AuthorizerId AuthorizationScopes": "authorize the method with AWS_IAM, or not at all",
            "RequestValidatorId": "check requests in the function",
            "Integration.CacheKeyParameters Integration.CacheNamespace": _NO_CACHE,
            "Integration.ConnectionId Integration.IntegrationTarget": "lead the method to a function",
            "Integration.ContentHandling Integration.IntegrationResponses.ContentHandling": (
                "name binary bodies in the API's BinaryMediaTypes"
            ),
            "Integration.Credentials": "let the function's permission name apigateway.amazonaws.com",
            "Integration.RequestParameters": "map parameters in the function",
        },
    )
    required = names("RestApiId ResourceId HttpMethod")
    create_only = names("RestApiId ResourceId HttpMethod")

    def value_problems(self, properties: Properties) -> Iterator[Problem]:
        """Integrations and authorizations that are not executed are refused."""
        yield from _problems(executed.method_problems(_method(properties)))
        integration = properties.get("Integration")
        if not isinstance(integration, Mapping):
            if integration is None:
                yield Problem("Integration", "is missing: a method without one can't be deployed")
            return
        lowered = {name: value for name, value in _integration(integration).items() if is_known(value)}
        for problem in executed.integration_problems(lowered):
            if problem[0] != "uri" or is_known(integration.get("Uri", "")):
                yield _problem(problem, "Integration.", {"httpMethod": "IntegrationHttpMethod"})
        for index, response in enumerate(integration.get("IntegrationResponses") or ()):
            if isinstance(response, Mapping):
                found = executed.integration_response_problems(_lowered(response))
                yield from _problems(found, f"Integration.IntegrationResponses[{index}].")

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the method with its integration."""
        client = place.client("apigateway")
        where = _where(properties)
        client.put_method(**{"authorizationType": "NONE"} | _method(properties) | where)
        made = Made("-".join(where.values()))
        place.begun.append(made)
        _put_rest(client, place, properties, where)
        return made

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Make it anew; what is deployed stays as it was deployed."""
        client, where = place.client("apigateway"), _where(new)
        ignoring(lambda: client.delete_method(**where), _GONE)
        client.put_method(**{"authorizationType": "NONE"} | _method(new) | where)
        _put_rest(client, place, new, where)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the method."""
        ignoring(lambda: place.client("apigateway").delete_method(**_where(properties)), _GONE)


def _where(properties: Properties) -> dict[str, str]:
    return {name[0].lower() + name[1:]: str(properties[name]) for name in ("RestApiId", "ResourceId", "HttpMethod")}


def _method(properties: Properties) -> dict[str, Any]:
    """The parameters of PutMethod that act, by the API's names."""
    found: dict[str, Any] = {}
    for name in ("AuthorizationType", "HttpMethod"):
        if known(properties, name) is not None:
            found[name[0].lower() + name[1:]] = properties[name]
    if str(properties.get("ApiKeyRequired", "")).lower() == "true":
        found["apiKeyRequired"] = True
    for name in ("RequestModels", "RequestParameters", "OperationName"):
        if properties.get(name):
            found[name[0].lower() + name[1:]] = properties[name]
    return found


def _integration(integration: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of PutIntegration, by the API's names; its own HTTP method is called as the method's."""
    given = _lowered(without(integration, "IntegrationHttpMethod", "IntegrationResponses"))
    if "IntegrationHttpMethod" in integration:
        given["httpMethod"] = integration["IntegrationHttpMethod"]
    return given


def _put_rest(client: Any, place: Place, properties: Properties, where: Mapping[str, str]) -> None:
    integration = properties["Integration"]
    given = _integration(integration)
    own = {"integrationHttpMethod": given.pop("httpMethod")} if "httpMethod" in given else {}
    client.put_integration(**call_arguments(client, "PutIntegration", {**given, **own, **where}, place.where))
    for response in properties.get("MethodResponses") or ():
        found = {**subset(response, "StatusCode", "ResponseParameters", "ResponseModels"), **where}
        client.put_method_response(**call_arguments(client, "PutMethodResponse", found, place.where))
    for response in integration.get("IntegrationResponses") or ():
        found = {**response, **where}
        client.put_integration_response(**call_arguments(client, "PutIntegrationResponse", found, place.where))


class GatewayResponse(Handler):
    """How the API answers by itself."""

    type = "AWS::ApiGateway::GatewayResponse"
    table = table_of("RestApiId ResponseType StatusCode ResponseParameters(*) ResponseTemplates(*)")
    attributes = names("Id")
    required = names("RestApiId ResponseType")
    create_only = names("RestApiId ResponseType")

    def value_problems(self, properties: Properties) -> Iterator[Problem]:
        """Mappings and templates that are not executed are refused."""
        if all(is_known(properties.get(name)) for name in self.properties - {"RestApiId"}):
            yield from _problems(executed.gateway_response_problems(_lowered(properties)))

    def create(self, place: Place, properties: Properties) -> Made:
        """Make it."""
        client = place.client("apigateway")
        client.put_gateway_response(**call_arguments(client, "PutGatewayResponse", properties, place.where))
        identifier = f"{properties['RestApiId']}-{properties['ResponseType']}"
        return Made(identifier, {"Id": identifier})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Put it again."""
        return self.create(place, new)

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Let the API answer as it does without."""
        where = {"restApiId": properties["RestApiId"], "responseType": properties["ResponseType"]}
        ignoring(lambda: place.client("apigateway").delete_gateway_response(**where), _GONE)


class Deployment(Handler):
    """The API as it is now, for stages to serve."""

    type = "AWS::ApiGateway::Deployment"
    table = table_of(
        "RestApiId",
        kept={"Description": DESCRIPTION},
        refused={
            "StageName StageDescription": "declare the stage as a resource of its own (AWS::ApiGateway::Stage)",
            "DeploymentCanarySettings": "a stage serves one deployment here; leave it out",
        },
    )
    attributes = names("DeploymentId")
    required = names("RestApiId")
    create_only = names("RestApiId")

    def create(self, place: Place, properties: Properties) -> Made:
        """Deploy the API."""
        client = place.client("apigateway")
        made = client.create_deployment(**call_arguments(client, "CreateDeployment", properties, place.where))
        return Made(made["id"], {"DeploymentId": made["id"]})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Its description is only text: what it deployed stays."""
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the deployment, which no stage serves any more."""
        where = {"restApiId": properties["RestApiId"], "deploymentId": made.physical_id}
        ignoring(lambda: place.client("apigateway").delete_deployment(**where), _GONE)


class Stage(Handler):
    """A stage of an API."""

    type = "AWS::ApiGateway::Stage"
    table = table_of(
        "RestApiId StageName DeploymentId Variables(*) AccessLogSetting(DestinationArn Format) CacheClusterEnabled"
        " MethodSettings(ResourcePath HttpMethod ThrottlingRateLimit ThrottlingBurstLimit MetricsEnabled"
        " LoggingLevel DataTraceEnabled CachingEnabled)",
        kept={
            "Description": DESCRIPTION,
            "Tags": TAGS,
            "TracingEnabled": "there is no X-Ray here; the trace's id is handed on",
        },
        refused={
            "CacheClusterSize MethodSettings.CacheDataEncrypted MethodSettings.CacheTtlInSeconds": _NO_CACHE,
            "CanarySetting": "a stage serves one deployment here; leave it out",
            "ClientCertificateId": "functions get no certificate; leave it out",
            "DocumentationVersion": "documentation is not kept; leave it out",
        },
    )
    required = names("RestApiId StageName DeploymentId")
    create_only = names("RestApiId StageName")

    def value_problems(self, properties: Properties) -> Iterator[Problem]:
        """Caches, execution logs and settings of some methods by a wildcard are refused."""
        if str(known(properties, "CacheClusterEnabled") or "").lower() == "true":
            yield Problem("CacheClusterEnabled", "must be false: responses are not cached here")
        template = known(properties, "AccessLogSetting", "Format")
        if template is not None:
            for _, sentence in executed.format_problems(str(template)):
                yield Problem("AccessLogSetting.Format", f"is refused: {sentence}")
        for index, settings in enumerate(properties.get("MethodSettings") or ()):
            if not isinstance(settings, Mapping):
                continue
            where = f"MethodSettings[{index}]"
            path, method = settings.get("ResourcePath", "/*"), settings.get("HttpMethod", "*")
            if is_known([path, method]) and ("*" in str(path)) != (method == "*"):
                yield Problem(where, "must be for one method, or for all: ResourcePath /* with HttpMethod *")
            yield from _logging_problems(where, settings)

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the stage with its settings."""
        client = place.client("apigateway")
        given = subset(
            properties, "RestApiId", "StageName", "DeploymentId", "Description", "TracingEnabled", "Variables"
        )
        given["Tags"] = tag_map(properties.get("Tags"))
        client.create_stage(**call_arguments(client, "CreateStage", given, place.where))
        made = Made(properties["StageName"])
        place.begun.append(made)
        self._patch(client, properties, _settings({}, properties))
        return made

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Change the stage's settings."""
        client = place.client("apigateway")
        operations = _settings(old, new)
        if changed(old, new, "DeploymentId"):
            operations.append({"op": "replace", "path": "/deploymentId", "value": new["DeploymentId"]})
        if changed(old, new, "Description"):
            operations.append({"op": "replace", "path": "/description", "value": new.get("Description", "")})
        if changed(old, new, "TracingEnabled"):
            value = str(new.get("TracingEnabled", False)).lower()
            operations.append({"op": "replace", "path": "/tracingEnabled", "value": value})
        before, after = old.get("Variables") or {}, new.get("Variables") or {}
        operations += [{"op": "remove", "path": f"/variables/{name}"} for name in sorted(set(before) - set(after))]
        operations += [
            {"op": "replace", "path": f"/variables/{name}", "value": str(value)}
            for name, value in after.items()
            if before.get(name) != value
        ]
        self._patch(client, new, operations)
        arn = f"arn:aws:apigateway:{place.region}::/restapis/{new['RestApiId']}/stages/{new['StageName']}"
        _write_tags(client, arn, old, new)
        return made

    @staticmethod
    def _patch(client: Any, properties: Properties, operations: list[dict[str, str]]) -> None:
        if operations:
            where = {"restApiId": properties["RestApiId"], "stageName": properties["StageName"]}
            client.update_stage(**where, patchOperations=operations)

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the stage."""
        where = {"restApiId": properties["RestApiId"], "stageName": made.physical_id}
        ignoring(lambda: place.client("apigateway").delete_stage(**where), _GONE)


_METHOD_SETTINGS = {
    "MetricsEnabled": "metrics/enabled",
    "ThrottlingRateLimit": "throttling/rateLimit",
    "ThrottlingBurstLimit": "throttling/burstLimit",
}


def _logging_problems(where: str, settings: Mapping[str, Any]) -> Iterator[Problem]:
    if known(settings, "LoggingLevel") not in (None, "OFF"):
        yield Problem(f"{where}.LoggingLevel", "must be OFF: execution logs are not written here, access logs are")
    for name, why in (
        ("DataTraceEnabled", "execution logs are not written here, access logs are"),
        ("CachingEnabled", "responses are not cached here"),
    ):
        if str(known(settings, name) or "").lower() == "true":
            yield Problem(f"{where}.{name}", f"must be false: {why}")


def _settings(old: Properties, new: Properties) -> list[dict[str, str]]:
    """The patch that brings access log and settings of methods from ``old`` to ``new``."""
    before, after = _by_method(old), _by_method(new)
    operations = [{"op": "remove", "path": f"/{key}"} for key in before if before[key] != after.get(key)]
    for key, settings in after.items():
        if before.get(key) == settings:
            continue
        operations += [
            {"op": "replace", "path": f"/{key}/{setting}", "value": str(settings[name]).lower()}
            for name, setting in _METHOD_SETTINGS.items()
            if name in settings
        ]
    if changed(old, new, "AccessLogSetting"):
        log = new.get("AccessLogSetting") or {}
        if not log:
            operations.append({"op": "remove", "path": "/accessLogSettings"})
        for name, path in (("DestinationArn", "destinationArn"), ("Format", "format")):
            if name in log:
                value = str(log[name]).removesuffix(":*")
                operations.append({"op": "replace", "path": f"/accessLogSettings/{path}", "value": value})
    return operations


def _by_method(properties: Properties) -> dict[str, Mapping[str, Any]]:
    """Settings by the key of a patch's path: ``*/*``, or ``~1path~1{part}/POST``."""
    found: dict[str, Mapping[str, Any]] = {}
    for settings in properties.get("MethodSettings") or ():
        path, method = str(settings.get("ResourcePath", "/*")), str(settings.get("HttpMethod", "*"))
        plain = path if "~1" not in path else path.removeprefix("/").replace("~1", "/")
        key = "*/*" if method == "*" else f"{_escaped(plain)}/{method}"
        found[key] = without(settings, "ResourcePath", "HttpMethod")
    return found


class Account(Handler):
    """The role with which API Gateway writes logs, one for the account and region."""

    type = "AWS::ApiGateway::Account"
    table = table_of("CloudWatchRoleArn")
    attributes = names("Id")

    def create(self, place: Place, properties: Properties) -> Made:
        """Set the role."""
        self._set(place, properties.get("CloudWatchRoleArn", ""))
        identifier = place.new_name()
        return Made(identifier, {"Id": identifier})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Set another role."""
        self._set(place, new.get("CloudWatchRoleArn", ""))
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Take the role away, unless another one was set since."""
        current = place.client("apigateway").get_account().get("cloudwatchRoleArn")
        if current and current == properties.get("CloudWatchRoleArn"):
            self._set(place, "")

    @staticmethod
    def _set(place: Place, role_arn: str) -> None:
        operation = {"op": "replace", "path": "/cloudwatchRoleArn", "value": role_arn}
        place.client("apigateway").update_account(patchOperations=[operation])


def _lowered(properties: Mapping[str, Any], *nested: str) -> dict[str, Any]:
    """Properties by the names that the API has for them."""
    return {
        name[0].lower() + name[1:]: _lowered(value) if name in nested and isinstance(value, Mapping) else value
        for name, value in properties.items()
        if is_known(value)
    }


def _problems(found: Iterable[executed.Problem], below: str = "") -> Iterator[Problem]:
    for problem in found:
        yield _problem(problem, below, {})


def _problem(problem: executed.Problem, below: str, renamed: Mapping[str, str]) -> Problem:
    name, sentence = problem
    return Problem(below + renamed.get(name, name[0].upper() + name[1:]), sentence)


def _escaped(text: str) -> str:
    """A text as a part of a patch's path (RFC 6901)."""
    return text.replace("~", "~0").replace("/", "~1")


def _write_tags(client: Any, arn: str, old: Properties, new: Properties) -> None:
    before, after = tag_map(old.get("Tags")), tag_map(new.get("Tags"))
    gone = sorted(set(before) - set(after))
    if gone:
        client.untag_resource(resourceArn=arn, tagKeys=gone)
    if after and before != after:
        client.tag_resource(resourceArn=arn, tags=after)


HANDLERS = (RestApi(), Resource(), Method(), GatewayResponse(), Deployment(), Stage(), Account())
