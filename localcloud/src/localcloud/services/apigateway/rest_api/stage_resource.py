"""Stages of REST APIs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from localcloud.services.apigateway.rest_api.patches import escaped
from localcloud.services.apigateway.rest_api.spelling import write_tags

_GONE = "NotFoundException"


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
            "CacheClusterSize MethodSettings.CacheDataEncrypted MethodSettings.CacheTtlInSeconds": (
                "responses are not cached here; leave it out"
            ),
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
        write_tags(client, arn, old, new)
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
        key = "*/*" if method == "*" else f"{escaped(plain)}/{method}"
        found[key] = without(settings, "ResourcePath", "HttpMethod")
    return found


HANDLERS = (Stage(),)
