"""HTTP APIs: the API, its stages, routes, integrations and authorizers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from localcloud.cloudformation.intrinsics import Made, is_known
from localcloud.cloudformation.properties import DESCRIPTION, TAGS, Problem, table_of
from localcloud.cloudformation.resource import Handler, Place, Properties, ignoring, known, names, tag_map, without
from localcloud.cloudformation.shapes import call_arguments

_GONE = "NotFoundException"


class Api(Handler):
    """An HTTP API described by resources, not by an OpenAPI body."""

    type = "AWS::ApiGatewayV2::Api"
    table = table_of(
        "Name ProtocolType",
        kept={"Description Version": DESCRIPTION, "Tags": TAGS, "IpAddressType": "the API listens only on 127.0.0.1"},
        refused={
            "CorsConfiguration": "web pages of other origins get no answer here; leave it out",
            "Body BodyS3Location": "describe the API with routes and integrations, not with an OpenAPI document",
            "RouteKey Target CredentialsArn": "write the route and its integration as separate resources",
            "RouteSelectionExpression": "HTTP APIs select by method and path; leave it out",
            "DisableExecuteApiEndpoint": "the API has only this URL; leave it out",
        },
    )
    attributes = names("ApiId ApiEndpoint")
    required = names("Name ProtocolType")
    create_only = names("ProtocolType")

    def value_problems(self, properties: Properties) -> Iterator[Problem]:
        """WebSocket APIs are refused."""
        if known(properties, "ProtocolType") not in (None, "HTTP"):
            yield Problem("ProtocolType", "must be HTTP: WebSocket APIs are not executed here")

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the API."""
        client = place.client("apigatewayv2")
        given = {**properties, "Tags": tag_map(properties.get("Tags"))}
        api = client.create_api(**call_arguments(client, "CreateApi", given, place.where))
        there = f"https://{api['ApiId']}.execute-api.{place.region}.amazonaws.com"
        attributes = {"ApiId": api["ApiId"], "ApiEndpoint": api["ApiEndpoint"]}
        return Made(api["ApiId"], attributes, {there: api["ApiEndpoint"]})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Change the API's settings."""
        client = place.client("apigatewayv2")
        given = {"Description": "", **without(new, "ProtocolType", "Tags"), "ApiId": made.physical_id}
        client.update_api(**call_arguments(client, "UpdateApi", given, place.where))
        _write_tags(client, f"arn:aws:apigateway:{place.region}::/apis/{made.physical_id}", old, new)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the API with everything in it."""
        client = place.client("apigatewayv2")
        ignoring(lambda: client.delete_api(ApiId=made.physical_id), _GONE)


class Stage(Handler):
    """A stage of an API."""

    type = "AWS::ApiGatewayV2::Stage"
    table = table_of(
        "ApiId StageName AccessLogSettings(DestinationArn Format) StageVariables(*) RouteSettings(*)"
        " DefaultRouteSettings(ThrottlingBurstLimit ThrottlingRateLimit)",
        kept={
            "AutoDeploy": "every change takes effect at once",
            "DefaultRouteSettings.DetailedMetricsEnabled": "metrics are those of the API and of its stage",
            "Description": DESCRIPTION,
            "Tags": TAGS,
        },
        refused={"DeploymentId": "every change takes effect at once: set AutoDeploy"},
    )
    required = names("ApiId StageName")
    create_only = names("ApiId StageName")

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the stage."""
        client = place.client("apigatewayv2")
        given = {**properties, "Tags": tag_map(properties.get("Tags"))}
        client.create_stage(**call_arguments(client, "CreateStage", given, place.where))
        return Made(properties["StageName"])

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Change the stage's settings."""
        client = place.client("apigatewayv2")
        gone = sorted(set(old) - set(new) - {"Tags", "Description", "StageVariables", "RouteSettings"})
        if gone:
            raise place.unsupported(gone[0], "can't be removed once it is set")
        given = {"Description": "", "StageVariables": {}, "RouteSettings": {}, **without(new, "Tags")}
        client.update_stage(**call_arguments(client, "UpdateStage", given, place.where))
        arn = f"arn:aws:apigateway:{place.region}::/apis/{new['ApiId']}/stages/{made.physical_id}"
        _write_tags(client, arn, old, new)
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the stage."""
        client = place.client("apigatewayv2")
        where = {"ApiId": properties["ApiId"], "StageName": made.physical_id}
        ignoring(lambda: client.delete_stage(**where), _GONE)


class _Part(Handler):
    """A part of an API that has an id of its own."""

    noun: ClassVar[str]

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the part."""
        client = place.client("apigatewayv2")
        create = getattr(client, f"create_{self.noun.lower()}")
        answer = create(**call_arguments(client, f"Create{self.noun}", properties, place.where))
        identifier = answer[f"{self.noun}Id"]
        return Made(identifier, {f"{self.noun}Id": identifier})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Change the part."""
        client = place.client("apigatewayv2")
        gone = sorted(set(old) - set(new))
        if gone:
            raise place.unsupported(gone[0], "can't be removed once it is set")
        given = {**new, f"{self.noun}Id": made.physical_id}
        update = getattr(client, f"update_{self.noun.lower()}")
        update(**call_arguments(client, f"Update{self.noun}", given, place.where))
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the part."""
        client = place.client("apigatewayv2")
        delete = getattr(client, f"delete_{self.noun.lower()}")
        where = {"ApiId": properties["ApiId"], f"{self.noun}Id": made.physical_id}
        ignoring(lambda: delete(**where), _GONE)


class Route(_Part):
    """A route."""

    type = "AWS::ApiGatewayV2::Route"
    noun = "Route"
    table = table_of(
        "ApiId RouteKey Target AuthorizationType AuthorizerId AuthorizationScopes",
        kept={"OperationName": DESCRIPTION},
    )
    attributes = names("RouteId")
    required = names("ApiId RouteKey")
    create_only = names("ApiId")

    def value_problems(self, properties: Properties) -> Iterator[Problem]:
        """Lambda authorizers are refused, and what has an authorizer without asking it."""
        kind = known(properties, "AuthorizationType")
        if kind not in (None, "NONE", "AWS_IAM", "JWT"):
            yield Problem("AuthorizationType", "must be NONE, AWS_IAM or JWT: Lambda authorizers are not executed here")
        if kind == "JWT" and "AuthorizerId" not in properties:
            yield Problem("AuthorizerId", "must name the authorizer of a JWT route")
        for name in ("AuthorizerId", "AuthorizationScopes") if kind in (None, "NONE", "AWS_IAM") else ():
            if name in properties and is_known(properties.get("AuthorizationType", "NONE")):
                yield Problem(name, "belongs to a route whose AuthorizationType is JWT")


class Authorizer(_Part):
    """What looks at the tokens of a route's callers."""

    type = "AWS::ApiGatewayV2::Authorizer"
    noun = "Authorizer"
    table = table_of(
        "ApiId AuthorizerType IdentitySource Name JwtConfiguration(Audience Issuer)",
        refused={
            "AuthorizerUri AuthorizerCredentialsArn AuthorizerPayloadFormatVersion AuthorizerResultTtlInSeconds"
            " EnableSimpleResponses IdentityValidationExpression": "they are of Lambda authorizers: declare a JWT one",
        },
    )
    attributes = names("AuthorizerId")
    required = names("ApiId AuthorizerType Name")
    create_only = names("ApiId")

    def value_problems(self, properties: Properties) -> Iterator[Problem]:
        """Lambda authorizers are refused, and JWT ones without an issuer and an audience."""
        if known(properties, "AuthorizerType") not in (None, "JWT"):
            yield Problem("AuthorizerType", "must be JWT: Lambda authorizers are not executed here")
        configuration = known(properties, "JwtConfiguration") or {}
        for name in ("Issuer", "Audience"):
            if is_known(configuration) and not configuration.get(name):
                yield Problem(f"JwtConfiguration.{name}", "must be given")


class Integration(_Part):
    """What a route leads to."""

    type = "AWS::ApiGatewayV2::Integration"
    noun = "Integration"
    table = table_of(
        "ApiId IntegrationType IntegrationUri PayloadFormatVersion TimeoutInMillis",
        kept={
            "IntegrationMethod": "functions are always invoked with POST",
            "ConnectionType": "INTERNET is the only value here",
            "Description": DESCRIPTION,
        },
        refused={
            "CredentialsArn": "let the function's permission name apigateway.amazonaws.com",
            "RequestParameters ResponseParameters": "map parameters in the function",
            "IntegrationSubtype": "call the service from a function",
            "ConnectionId": "connect the route to a function",
        },
    )
    attributes = names("IntegrationId")
    required = names("ApiId IntegrationType")
    create_only = names("ApiId")

    def value_problems(self, properties: Properties) -> Iterator[Problem]:
        """Other integrations than those of functions are refused."""
        if known(properties, "IntegrationType") not in (None, "AWS_PROXY"):
            yield Problem("IntegrationType", "must be AWS_PROXY: routes here invoke functions")
        uri = known(properties, "IntegrationUri")
        if uri is not None and ":function:" not in str(uri):
            yield Problem("IntegrationUri", f"is {uri!r}: it must be the ARN of a function")
        if known(properties, "PayloadFormatVersion") != "2.0" and is_known(properties.get("PayloadFormatVersion")):
            yield Problem("PayloadFormatVersion", "must be 2.0")
        if known(properties, "ConnectionType") not in (None, "INTERNET"):
            yield Problem("ConnectionType", "must be INTERNET")


def _write_tags(client: Any, arn: str, old: Properties, new: Properties) -> None:
    before, after = tag_map(old.get("Tags")), tag_map(new.get("Tags"))
    if before == after:
        return
    gone = sorted(set(before) - set(after))
    if gone:
        client.untag_resource(ResourceArn=arn, TagKeys=gone)
    if after:
        client.tag_resource(ResourceArn=arn, Tags=after)


HANDLERS = (Api(), Stage(), Route(), Integration(), Authorizer())
