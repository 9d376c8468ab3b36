"""Methods of REST APIs, and what they lead to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from localcloud.cloudformation.intrinsics import Made, is_known
from localcloud.cloudformation.properties import DESCRIPTION, Problem, table_of
from localcloud.cloudformation.resource import Handler, Place, Properties, ignoring, known, names, subset, without
from localcloud.cloudformation.shapes import call_arguments
from localcloud.services.apigateway.rest_api import executed
from localcloud.services.apigateway.rest_api.spelling import lowered, problems

_GONE = "NotFoundException"


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
            "Integration.CacheKeyParameters Integration.CacheNamespace": "responses are not cached here; leave it out",
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
        yield from problems(executed.method_problems(_method(properties)))
        integration = properties.get("Integration")
        if not isinstance(integration, Mapping):
            if integration is None:
                yield Problem("Integration", "is missing: a method without one can't be deployed")
            return
        given = {name: value for name, value in _integration(integration).items() if is_known(value)}
        found = [
            problem
            for problem in executed.integration_problems(given)
            if problem[0] != "uri" or is_known(integration.get("Uri", ""))
        ]
        yield from problems(found, "Integration.", {"httpMethod": "IntegrationHttpMethod"})
        for index, response in enumerate(integration.get("IntegrationResponses") or ()):
            if isinstance(response, Mapping):
                of_response = executed.integration_response_problems(lowered(response))
                yield from problems(of_response, f"Integration.IntegrationResponses[{index}].")

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
    given = lowered(without(integration, "IntegrationHttpMethod", "IntegrationResponses"))
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


HANDLERS = (Method(),)
