"""HTTP APIs: the API, its stages, routes, integrations and authorizers."""

from __future__ import annotations

from typing import Any, ClassVar

from localcloud.cloudformation.intrinsics import Made
from localcloud.cloudformation.resource import Handler, Place, Properties, ignoring, names, tag_map, without
from localcloud.cloudformation.shapes import call_arguments

_GONE = "NotFoundException"


class Api(Handler):
    """An HTTP API described by resources, not by an OpenAPI body."""

    type = "AWS::ApiGatewayV2::Api"
    properties = names(
        "Name ProtocolType CorsConfiguration Description DisableExecuteApiEndpoint IpAddressType "
        "RouteSelectionExpression Version Tags"
    )
    required = names("Name ProtocolType")
    create_only = names("ProtocolType")

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the API."""
        client = place.client("apigatewayv2")
        if properties["ProtocolType"] != "HTTP":
            raise place.unsupported("ProtocolType", "must be HTTP")
        given = {**properties, "Tags": tag_map(properties.get("Tags"))}
        api = client.create_api(**call_arguments(client, "CreateApi", given, place.where))
        return Made(api["ApiId"], {"ApiId": api["ApiId"], "ApiEndpoint": api["ApiEndpoint"]})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Change the API's settings."""
        client = place.client("apigatewayv2")
        if "CorsConfiguration" in old and "CorsConfiguration" not in new:
            client.delete_cors_configuration(ApiId=made.physical_id)
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
    properties = names(
        "ApiId StageName AutoDeploy AccessLogSettings DefaultRouteSettings RouteSettings StageVariables "
        "DeploymentId Description Tags"
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
            raise place.unsupported(gone[0], "can not be taken away once it is set")
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
            raise place.unsupported(gone[0], "can not be taken away once it is set")
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
    properties = names("ApiId RouteKey Target AuthorizationType AuthorizerId AuthorizationScopes OperationName")
    required = names("ApiId RouteKey")
    create_only = names("ApiId")


class Integration(_Part):
    """What a route leads to."""

    type = "AWS::ApiGatewayV2::Integration"
    noun = "Integration"
    properties = names(
        "ApiId IntegrationType IntegrationUri IntegrationMethod PayloadFormatVersion TimeoutInMillis "
        "Description ConnectionType CredentialsArn"
    )
    required = names("ApiId IntegrationType")
    create_only = names("ApiId")


class Authorizer(_Part):
    """Who decides whether a request may pass."""

    type = "AWS::ApiGatewayV2::Authorizer"
    noun = "Authorizer"
    properties = names(
        "ApiId Name AuthorizerType AuthorizerUri AuthorizerPayloadFormatVersion AuthorizerResultTtlInSeconds "
        "AuthorizerCredentialsArn EnableSimpleResponses IdentitySource JwtConfiguration"
    )
    required = names("ApiId AuthorizerType Name")
    create_only = names("ApiId")


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
