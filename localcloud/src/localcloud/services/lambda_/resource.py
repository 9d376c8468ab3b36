"""Lambda functions and layers."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

from localcloud.cloudformation.intrinsics import Made
from localcloud.cloudformation.properties import DESCRIPTION, ENCRYPTION, TAGS, Problem, table_of
from localcloud.cloudformation.resource import (
    Handler,
    Place,
    Properties,
    changed,
    ignoring,
    known,
    names,
    tag_map,
    without,
)
from localcloud.cloudformation.shapes import call_arguments

_GONE = "ResourceNotFoundException"
_CONFIGURATION = (
    "Role",
    "Handler",
    "Description",
    "Timeout",
    "MemorySize",
    "Environment",
    "Runtime",
    "Layers",
    "TracingConfig",
    "LoggingConfig",
    "DeadLetterConfig",
    "EphemeralStorage",
    "KmsKeyArn",
    "SnapStart",
)
# What a property that was taken away goes back to.
_DEFAULTS: dict[str, Any] = {
    "Description": "",
    "Timeout": 3,
    "MemorySize": 128,
    "Environment": {"Variables": {}},
    "Layers": [],
    "TracingConfig": {"Mode": "PassThrough"},
    "DeadLetterConfig": {"TargetArn": ""},
    "EphemeralStorage": {"Size": 512},
    "KmsKeyArn": "",
    "SnapStart": {"ApplyOn": "None"},
}


class Function(Handler):
    """A function from a zip in S3, or from inline source."""

    type = "AWS::Lambda::Function"
    table = table_of(
        """
        FunctionName Code(S3Bucket S3Key S3ObjectVersion ZipFile) Role Handler Timeout MemorySize Runtime Layers
        Environment(Variables(*)) DeadLetterConfig(TargetArn) LoggingConfig(LogGroup LogFormat ApplicationLogLevel)
        PackageType ReservedConcurrentExecutions SnapStart(ApplyOn)
        """,
        kept={
            "Description": DESCRIPTION,
            "Tags": TAGS,
            "KmsKeyArn Code.SourceKMSKeyArn": ENCRYPTION,
            "Architectures": "functions run on this machine's processor",
            "EphemeralStorage": "/tmp is the disk of this machine",
            "TracingConfig": "traces are not written here",
            "LoggingConfig.SystemLogLevel": "START, END and REPORT are always written",
            "RuntimeManagementConfig": "functions run on the Python of this environment",
        },
        refused={
            "VpcConfig": "functions run on this machine, without a network of their own: leave it out",
            "ImageConfig Code.ImageUri": "container images are not run here: deliver the function as a zip",
            "FileSystemConfigs": "file systems are not supported here: use a bucket",
        },
    )
    attributes = names("Arn")
    required = names("Code Role")
    create_only = names("FunctionName PackageType")
    name_property = "FunctionName"

    def value_problems(self, properties: Properties) -> Iterator[Problem]:
        """What only looks like a function that runs here."""
        if known(properties, "PackageType") not in (None, "Zip"):
            yield Problem("PackageType", "must be Zip: container images are not run here")
        runtime = known(properties, "Runtime")
        if runtime is not None and not str(runtime).startswith("python3."):
            yield Problem("Runtime", f"is {runtime!r}: only python3.x is run here")
        if known(properties, "SnapStart", "ApplyOn") not in (None, "None"):
            yield Problem("SnapStart", "is not supported: leave it out")

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the function."""
        client = place.client("lambda")
        given = without(properties, "Code", "ReservedConcurrentExecutions", "Tags")
        given.setdefault("FunctionName", place.new_name(64))
        arguments = call_arguments(client, "CreateFunction", given, place.where)
        arguments["Code"] = _code(properties["Code"])
        arguments["Tags"] = tag_map(properties.get("Tags"))
        created = client.create_function(**arguments)
        made = Made(created["FunctionName"], {"Arn": created["FunctionArn"]})
        place.begun.append(made)
        self._reserve(client, made.physical_id, {}, properties)
        return made

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Update code, configuration, concurrency and tags, each only when it changed."""
        client = place.client("lambda")
        name = made.physical_id
        if changed(old, new, *_CONFIGURATION):
            given = {key: _DEFAULTS[key] for key in _DEFAULTS if key in old and key not in new}
            given |= {key: new[key] for key in _CONFIGURATION if key in new}
            if "LoggingConfig" in old and "LoggingConfig" not in new:
                given["LoggingConfig"] = {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"}
            arguments = call_arguments(client, "UpdateFunctionConfiguration", given, place.where)
            client.update_function_configuration(FunctionName=name, **arguments)
        if changed(old, new, "Code", "Architectures"):
            code = _code(new["Code"])
            client.update_function_code(FunctionName=name, Architectures=new.get("Architectures", ["x86_64"]), **code)
        self._reserve(client, name, old, new)
        if changed(old, new, "Tags"):
            gone = sorted(set(tag_map(old.get("Tags"))) - set(tag_map(new.get("Tags"))))
            if gone:
                client.untag_resource(Resource=made.attributes["Arn"], TagKeys=gone)
            if new.get("Tags"):
                client.tag_resource(Resource=made.attributes["Arn"], Tags=tag_map(new["Tags"]))
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the function with all of its versions."""
        client = place.client("lambda")
        ignoring(lambda: client.delete_function(FunctionName=made.physical_id), _GONE)

    def _reserve(self, client: Any, name: str, old: Properties, new: Properties) -> None:
        if not changed(old, new, "ReservedConcurrentExecutions"):
            return
        if "ReservedConcurrentExecutions" in new:
            reserved = int(new["ReservedConcurrentExecutions"])
            client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=reserved)
        else:
            client.delete_function_concurrency(FunctionName=name)


class LayerVersion(Handler):
    """One version of a layer; any change makes the next."""

    type = "AWS::Lambda::LayerVersion"
    table = table_of(
        "LayerName Content(S3Bucket S3Key S3ObjectVersion)",
        kept={
            "Description LicenseInfo": DESCRIPTION,
            "CompatibleRuntimes CompatibleArchitectures": "information only: Lambda does not enforce it either",
        },
    )
    attributes = names("LayerVersionArn")
    required = names("Content")
    create_only = table.names

    def create(self, place: Place, properties: Properties) -> Made:
        """Publish the version."""
        client = place.client("lambda")
        given = {"LayerName": place.logical_id, **properties}
        arn = client.publish_layer_version(**call_arguments(client, "PublishLayerVersion", given, place.where))[
            "LayerVersionArn"
        ]
        return Made(arn, {"LayerVersionArn": arn})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Nothing of a version can change; it is replaced."""
        raise NotImplementedError("a layer version can't be changed")

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the version; functions that have it keep it."""
        layer, version = made.physical_id.rsplit(":", 1)
        client = place.client("lambda")
        ignoring(lambda: client.delete_layer_version(LayerName=layer, VersionNumber=int(version)), _GONE)


def _code(code: Properties) -> dict[str, Any]:
    if "ZipFile" not in code:
        return dict(code)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("index.py", (1980, 1, 1, 0, 0, 0)), code["ZipFile"])
    return {"ZipFile": buffer.getvalue()}


class EventInvokeConfig(Handler):
    """What happens to asynchronous invocations that fail."""

    type = "AWS::Lambda::EventInvokeConfig"
    table = table_of(
        """
        FunctionName Qualifier MaximumEventAgeInSeconds MaximumRetryAttempts
        DestinationConfig(OnFailure(Destination) OnSuccess(Destination))
        """
    )
    required = names("FunctionName Qualifier")
    create_only = names("FunctionName Qualifier")

    def create(self, place: Place, properties: Properties) -> Made:
        """Put the configuration."""
        client = place.client("lambda")
        arguments = call_arguments(client, "PutFunctionEventInvokeConfig", properties, place.where)
        client.put_function_event_invoke_config(**arguments)
        return Made(f"{properties['FunctionName']}|{properties['Qualifier']}")

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Put the new configuration over the old one."""
        return self.create(place, new)

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Go back to the service's defaults."""
        client = place.client("lambda")
        where = {"FunctionName": properties["FunctionName"], "Qualifier": properties["Qualifier"]}
        ignoring(lambda: client.delete_function_event_invoke_config(**where), _GONE)


class LayerVersionPermission(Handler):
    """Who else may use a layer version."""

    type = "AWS::Lambda::LayerVersionPermission"
    table = table_of(
        "LayerVersionArn",
        kept={"Action Principal OrganizationId": "there is only one account here, with its own layers"},
    )
    attributes = names("Id")
    required = names("LayerVersionArn Action Principal")
    create_only = table.names

    def create(self, place: Place, properties: Properties) -> Made:
        """Add the permission."""
        client = place.client("lambda")
        layer, version = properties["LayerVersionArn"].rsplit(":", 1)
        statement = place.new_name(100)
        given = {
            **without(properties, "LayerVersionArn"),
            "LayerName": layer,
            "VersionNumber": version,
            "StatementId": statement,
        }
        client.add_layer_version_permission(**call_arguments(client, "AddLayerVersionPermission", given, place.where))
        return Made(f"{properties['LayerVersionArn']}#{statement}", {"Id": statement})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Nothing of a permission can change; it is replaced."""
        raise NotImplementedError("every property of a layer permission is create_only")

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Take the permission back."""
        client = place.client("lambda")
        layer, version = properties["LayerVersionArn"].rsplit(":", 1)
        where = {
            "LayerName": layer,
            "VersionNumber": int(version),
            "StatementId": made.physical_id.rsplit("#", 1)[1],
        }
        ignoring(lambda: client.remove_layer_version_permission(**where), _GONE)


HANDLERS = (Function(), LayerVersion(), EventInvokeConfig(), LayerVersionPermission())
