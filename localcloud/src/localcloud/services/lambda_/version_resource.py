"""Lambda versions, aliases and resource-based permissions."""

from __future__ import annotations

from typing import Any

from localcloud.cloudformation.intrinsics import Made
from localcloud.cloudformation.properties import DESCRIPTION, table_of
from localcloud.cloudformation.resource import Handler, Place, Properties, ignoring, names, without
from localcloud.cloudformation.shapes import call_arguments

_GONE = "ResourceNotFoundException"


_WARM = "ProvisionedConcurrencyConfig"
_NOT_WARM = "provisioned concurrency is not supported here: leave it out"


class Version(Handler):
    """A published version."""

    type = "AWS::Lambda::Version"
    table = table_of("FunctionName CodeSha256", kept={"Description": DESCRIPTION}, refused={_WARM: _NOT_WARM})
    attributes = names("FunctionArn Version")
    required = names("FunctionName")
    create_only = table.names

    def create(self, place: Place, properties: Properties) -> Made:
        """Publish what the function is now."""
        client = place.client("lambda")
        published = client.publish_version(**call_arguments(client, "PublishVersion", properties, place.where))
        number = published["Version"]
        arn = published["FunctionArn"]
        if not arn.endswith(f":{number}"):
            arn = f"{arn}:{number}"
        return Made(arn, {"Version": number, "FunctionArn": arn})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Nothing of a version can change; it is replaced."""
        raise NotImplementedError("every property of a version is create_only")

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete this version only."""
        client = place.client("lambda")
        function, number = made.physical_id.rsplit(":", 1)
        ignoring(lambda: client.delete_function(FunctionName=function, Qualifier=number), _GONE)


class Alias(Handler):
    """An alias, maybe with weights."""

    type = "AWS::Lambda::Alias"
    table = table_of(
        "FunctionName Name FunctionVersion RoutingConfig(AdditionalVersionWeights(FunctionVersion FunctionWeight))",
        kept={"Description": DESCRIPTION},
        refused={_WARM: _NOT_WARM},
    )
    attributes = names("AliasArn")
    required = names("FunctionName Name FunctionVersion")
    create_only = names("FunctionName Name")
    name_property = "Name"

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the alias."""
        client = place.client("lambda")
        return _alias(client.create_alias(**self._arguments(place, "CreateAlias", properties)))

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Point the alias to what the template says now."""
        client = place.client("lambda")
        given = {"Description": "", "RoutingConfig": {"AdditionalVersionWeights": []}, **new}
        return _alias(client.update_alias(**self._arguments(place, "UpdateAlias", given)))

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the alias."""
        client = place.client("lambda")
        where = {"FunctionName": properties["FunctionName"], "Name": properties["Name"]}
        ignoring(lambda: client.delete_alias(**where), _GONE)

    def _arguments(self, place: Place, operation: str, properties: Properties) -> dict[str, Any]:
        given = without(properties, "RoutingConfig")
        routing = properties.get("RoutingConfig")
        if routing is not None:
            weights = routing.get("AdditionalVersionWeights", [])
            given["RoutingConfig"] = {
                "AdditionalVersionWeights": {weight["FunctionVersion"]: weight["FunctionWeight"] for weight in weights}
            }
        return call_arguments(place.client("lambda"), operation, given, place.where)


class Permission(Handler):
    """One statement of a function's resource-based policy."""

    type = "AWS::Lambda::Permission"
    table = table_of(
        "FunctionName Action Principal SourceAccount SourceArn",
        refused={
            "PrincipalOrgID": "organizations do not exist here: name the account or the service",
            "EventSourceToken FunctionUrlAuthType InvokedViaFunctionUrl": "function URLs are not executed here",
        },
    )
    attributes = names("Id")
    required = names("FunctionName Action Principal")
    create_only = table.names

    def create(self, place: Place, properties: Properties) -> Made:
        """Add the statement."""
        client = place.client("lambda")
        statement = place.new_name(100)
        given = {
            **without(properties, "FunctionName"),
            **_function(properties["FunctionName"]),
            "StatementId": statement,
        }
        client.add_permission(**call_arguments(client, "AddPermission", given, place.where))
        return Made(statement, {"Id": statement})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Nothing of a statement can change; it is replaced."""
        raise NotImplementedError("every property of a permission is create_only")

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Take the statement back."""
        client = place.client("lambda")
        where = {**_function(properties["FunctionName"]), "StatementId": made.physical_id}
        ignoring(lambda: client.remove_permission(**where), _GONE)


def _function(name: str) -> dict[str, str]:
    """A function name, partial or full ARN, any of them maybe qualified, as the arguments that name it."""
    parts = name.split(":")
    if name.startswith("arn:"):
        return {"FunctionName": ":".join(parts[:7]), **({"Qualifier": parts[7]} if len(parts) > 7 else {})}
    if len(parts) == 2:
        return {"FunctionName": parts[0], "Qualifier": parts[1]}
    return {"FunctionName": name}


def _alias(alias: dict[str, Any]) -> Made:
    return Made(alias["AliasArn"], {"AliasArn": alias["AliasArn"]})


HANDLERS = (Version(), Alias(), Permission())
