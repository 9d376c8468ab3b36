"""SageMaker's models, endpoint configurations and endpoints."""

from __future__ import annotations

import time
from typing import Any

from localcloud.cloudformation.exceptions import ResourceError
from localcloud.cloudformation.intrinsics import Made
from localcloud.cloudformation.properties import ENCRYPTION, TAGS, table_of
from localcloud.cloudformation.resource import Handler, Place, Properties, ignoring, names, without
from localcloud.cloudformation.shapes import call_arguments

_GONE = "ValidationException"
_LOOK_AGAIN_SECONDS = 0.1
_ONE_CONTAINER = "give one PrimaryContainer: pipelines of containers are not run"
_NOT_RUN = "leave it out: it is not run here"


class Model(Handler):
    """A model: an image, its files and its role."""

    type = "AWS::SageMaker::Model"
    table = table_of(
        """
        ModelName ExecutionRoleArn
        PrimaryContainer(
            Image ModelDataUrl Environment(*) Mode ContainerHostname
            ModelDataSource(S3DataSource(S3Uri S3DataType CompressionType))
        )
        """,
        kept={"Tags": TAGS},
        refused={"Containers InferenceExecutionConfig": _ONE_CONTAINER, "VpcConfig EnableNetworkIsolation": _NOT_RUN},
    )
    attributes = names("ModelName ModelArn")
    required = names("ExecutionRoleArn PrimaryContainer")
    create_only = names("ModelName ExecutionRoleArn PrimaryContainer")
    name_property = "ModelName"

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the model."""
        client = place.client("sagemaker")
        name = properties.get("ModelName") or place.new_name(63)
        given = {**without(properties, "Tags"), "ModelName": name}
        arn = client.create_model(**call_arguments(client, "CreateModel", given, place.where))["ModelArn"]
        return Made(arn, {"ModelName": name, "ModelArn": arn})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Only tags change, and they are not shown."""
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the model."""
        ignoring(lambda: place.client("sagemaker").delete_model(ModelName=made.attributes["ModelName"]), _GONE)


class EndpointConfig(Handler):
    """What an endpoint serves, and how requests are shared out."""

    type = "AWS::SageMaker::EndpointConfig"
    table = table_of(
        """
        EndpointConfigName
        ProductionVariants(
            VariantName ModelName InitialInstanceCount InstanceType InitialVariantWeight VolumeSizeInGB
            ServerlessConfig(MaxConcurrency MemorySizeInMB) ContainerStartupHealthCheckTimeoutInSeconds
        )
        """,
        kept={
            "Tags": TAGS,
            "KmsKeyId": ENCRYPTION,
            "ProductionVariants.ModelDataDownloadTimeoutInSeconds": "files come from this machine's disk",
        },
        refused={
            "ShadowProductionVariants": "leave it out: shadow variants are not run",
            "DataCaptureConfig": "let the container write what it captures",
            "AsyncInferenceConfig ExplainerConfig VpcConfig EnableNetworkIsolation": _NOT_RUN,
        },
    )
    attributes = names("EndpointConfigName")
    required = names("ProductionVariants")
    create_only = names("EndpointConfigName ProductionVariants KmsKeyId")
    name_property = "EndpointConfigName"

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the configuration."""
        client = place.client("sagemaker")
        name = properties.get("EndpointConfigName") or place.new_name(63)
        given = {**without(properties, "Tags"), "EndpointConfigName": name}
        arguments = call_arguments(client, "CreateEndpointConfig", given, place.where)
        arn = client.create_endpoint_config(**arguments)["EndpointConfigArn"]
        return Made(arn, {"EndpointConfigName": name})

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Only tags change, and they are not shown."""
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the configuration."""
        client, name = place.client("sagemaker"), made.attributes["EndpointConfigName"]
        ignoring(lambda: client.delete_endpoint_config(EndpointConfigName=name), _GONE)


class Endpoint(Handler):
    """An endpoint."""

    type = "AWS::SageMaker::Endpoint"
    table = table_of(
        "EndpointName EndpointConfigName RetainAllVariantProperties",
        kept={"Tags": TAGS},
        refused={
            "DeploymentConfig": "leave it out: updates are all at once; weights shift traffic",
            "ExcludeRetainedVariantProperties RetainDeploymentConfig": _NOT_RUN,
        },
    )
    attributes = names("EndpointName")
    required = names("EndpointConfigName")
    create_only = names("EndpointName")
    name_property = "EndpointName"

    def create(self, place: Place, properties: Properties) -> Made:
        """Make the endpoint, and wait until it is in service."""
        client = place.client("sagemaker")
        name = properties.get("EndpointName") or place.new_name(63)
        created = client.create_endpoint(EndpointName=name, EndpointConfigName=properties["EndpointConfigName"])
        made = Made(created["EndpointArn"], {"EndpointName": name})
        place.begun.append(made)
        _settled(client, place, name, properties["EndpointConfigName"])
        return made

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Serve another configuration."""
        if old.get("EndpointConfigName") == new["EndpointConfigName"]:
            return made
        client, name = place.client("sagemaker"), made.attributes["EndpointName"]
        client.update_endpoint(
            EndpointName=name,
            EndpointConfigName=new["EndpointConfigName"],
            RetainAllVariantProperties=new.get("RetainAllVariantProperties") in (True, "true"),
        )
        _settled(client, place, name, new["EndpointConfigName"])
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the endpoint."""
        client, name = place.client("sagemaker"), made.attributes["EndpointName"]
        ignoring(lambda: client.delete_endpoint(EndpointName=name), _GONE)


def _settled(client: Any, place: Place, name: str, config_name: str) -> None:
    """Wait for the end of what is under way.

    Raises
    ------
    ResourceError
        When the endpoint does not serve that configuration then.
    """
    found = client.describe_endpoint(EndpointName=name)
    while found["EndpointStatus"] in ("Creating", "Updating"):
        time.sleep(_LOOK_AGAIN_SECONDS)
        found = client.describe_endpoint(EndpointName=name)
    if found["EndpointStatus"] != "InService" or found["EndpointConfigName"] != config_name:
        reason = found.get("FailureReason", "no reason given")
        raise ResourceError(f"{place.where}: endpoint {name} is {found['EndpointStatus']}: {reason}")


HANDLERS = (Model(), EndpointConfig(), Endpoint())
