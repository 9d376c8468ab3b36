"""REST APIs: the API, its resources, gateway responses and deployments, and the account's role."""

from __future__ import annotations

from collections.abc import Iterator

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
    tag_map,
)
from localcloud.cloudformation.shapes import call_arguments
from localcloud.services.apigateway.rest_api import executed
from localcloud.services.apigateway.rest_api.patches import escaped
from localcloud.services.apigateway.rest_api.spelling import lowered, problems, write_tags

ENDPOINT = "x-localcloud-endpoint"
_GONE = "NotFoundException"
_NO_DOCUMENT = "describe the API by resources and methods, not by an OpenAPI document"


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
            "SecurityPolicy EndpointAccessMode": "the API listens only on 127.0.0.1, without TLS",
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
        yield from problems(executed.api_problems(lowered(properties, "EndpointConfiguration")))

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the API."""
        client = place.client("apigateway")
        given = {**properties, "Tags": tag_map(properties.get("Tags"))}
        for name in ("ApiKeySourceType", "SecurityPolicy", "EndpointAccessMode"):
            given.pop(name, None)
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
            operations += [{"op": op, "path": f"/binaryMediaTypes/{escaped(kind)}"} for kind in sorted(kinds)]
        if changed(old, new, "EndpointConfiguration"):
            kind = (known(new, "EndpointConfiguration", "Types") or ["EDGE"])[0]
            operations.append({"op": "replace", "path": "/endpointConfiguration/types/0", "value": kind})
        if operations:
            client.update_rest_api(restApiId=made.physical_id, patchOperations=operations)
        write_tags(client, f"arn:aws:apigateway:{place.region}::/restapis/{made.physical_id}", old, new)
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
            yield from problems(executed.gateway_response_problems(lowered(properties)))

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


HANDLERS = (RestApi(), Resource(), GatewayResponse(), Deployment(), Account())
