"""Which requests about models and endpoints can be carried out. The others are refused by name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from localcloud.services.sagemaker.hosting.exceptions import HostingRefusedError
from localcloud.services.sagemaker.hosting.images import Image, image_for

NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
MOST_VARIANTS = 10

_REGISTRY = re.compile(r"[0-9]{12}\.dkr\.ecr\.([a-z0-9-]+)\.")

_MODEL = {"ModelName", "PrimaryContainer", "ExecutionRoleArn", "Tags"}
_CONTAINER = {"Image", "ModelDataUrl", "ModelDataSource", "Environment", "Mode", "ContainerHostname"}
_CONFIG = {"EndpointConfigName", "ProductionVariants", "Tags", "KmsKeyId"}
_VARIANT = {
    *("VariantName", "ModelName", "InitialInstanceCount", "InstanceType", "InitialVariantWeight", "ServerlessConfig"),
    *("VolumeSizeInGB", "ModelDataDownloadTimeoutInSeconds", "ContainerStartupHealthCheckTimeoutInSeconds"),
}
_UPDATE = {"EndpointName", "EndpointConfigName", "RetainAllVariantProperties", "ExcludeRetainedVariantProperties"}
RETAINED = frozenset({"DesiredInstanceCount", "DesiredWeight"})
"""What variants that keep their name may keep in an update."""

_REMEDIES = {
    "Containers": "give one PrimaryContainer: pipelines of containers are not run",
    "VpcConfig": "leave it out: endpoints run on this machine, without a network of their own",
    "EnableNetworkIsolation": "leave it out: containers here reach the network",
    "InferenceExecutionConfig": "give one PrimaryContainer",
    "ShadowProductionVariants": "leave it out: shadow variants are not run",
    "DataCaptureConfig": "let the container write what it captures",
    "AsyncInferenceConfig": "leave it out: asynchronous inference is not run",
    "ExplainerConfig": "leave it out",
    "ManagedInstanceScaling": "leave it out, and register the variant with Application Auto Scaling",
    "RoutingConfig": "leave it out: requests go to the variant's instances in turn",
    "DeploymentConfig": "leave it out: updates are all at once; weights shift traffic",
    "RetainDeploymentConfig": "leave it out: updates are all at once",
    "MultiModelConfig": "leave it out: multi-model endpoints are not run",
    "ModelPackageName": "give the Image",
    "AcceleratorType": "leave it out",
    "CoreDumpConfig": "leave it out",
}


def check_model(request: Mapping[str, Any], images: Sequence[Image], region: str) -> None:
    """Check CreateModel's parameters, in a region: its image is there
    (https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ContainerDefinition.html).

    Raises
    ------
    HostingRefusedError
        With everything that is wrong, each with its place and the remedy.
    """
    _raise_for([*_name(request, "ModelName"), *_model_problems(request, images, region)])


def check_configuration(request: Mapping[str, Any]) -> None:
    """Check CreateEndpointConfig's parameters.

    Raises
    ------
    HostingRefusedError
        As :func:`check_model`.
    """
    variants = request.get("ProductionVariants") or []
    problems = [*_name(request, "EndpointConfigName"), *_unknown(request, _CONFIG, "")]
    if not 1 <= len(variants) <= MOST_VARIANTS:
        problems.append(f"ProductionVariants: {len(variants)} are given; an endpoint has 1 to {MOST_VARIANTS}")
    names = [variant.get("VariantName") for variant in variants]
    problems += [f"ProductionVariants: {name!r} is there twice" for name in {n for n in names if names.count(n) > 1}]
    for index, variant in enumerate(variants):
        problems += _variant_problems(f"ProductionVariants[{index}]", variant)
    if variants and not problems and sum(float(v.get("InitialVariantWeight", 1.0)) for v in variants) <= 0:
        problems.append("ProductionVariants: all weights are 0, so no variant would get a request")
    if len(variants) > 1 and any("ServerlessConfig" in variant for variant in variants):
        # https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html, feature exclusions
        problems.append("ProductionVariants: a serverless endpoint has one variant")
    kinds = {"ServerlessConfig" in variant for variant in variants}
    if len(kinds) > 1:
        problems.append("ProductionVariants: instances and serverless variants do not go together")
    _raise_for(problems)


def check_serverless(variant: Mapping[str, Any], model: Mapping[str, Any]) -> None:
    """Check a variant without instances against its model
    (https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ContainerDefinition.html, ModelDataSource).

    Raises
    ------
    HostingRefusedError
        For a model whose files SageMaker would fetch as they are.
    """
    if "ServerlessConfig" in variant and model["PrimaryContainer"].get("ModelDataSource"):
        raise HostingRefusedError(
            f"ProductionVariants: {variant['ModelName']} has a ModelDataSource, which serverless endpoints do not take;"
            " give ModelDataUrl, or let the container fetch its files"
        )


def check_update(request: Mapping[str, Any]) -> None:
    """Check UpdateEndpoint's parameters.

    Raises
    ------
    HostingRefusedError
        As :func:`check_model`.
    """
    excluded = {each.get("VariantPropertyType") for each in request.get("ExcludeRetainedVariantProperties") or []}
    problems = list(_unknown(request, _UPDATE, ""))
    problems += [
        f"ExcludeRetainedVariantProperties: {name}: the local cloud does not execute this; leave it out"
        for name in sorted(str(name) for name in excluded - RETAINED)
    ]
    _raise_for(problems)


def retained(request: Mapping[str, Any]) -> frozenset[str]:
    """What variants that keep their name keep in an update."""
    excluded = {each["VariantPropertyType"] for each in request.get("ExcludeRetainedVariantProperties") or []}
    return RETAINED - excluded if request.get("RetainAllVariantProperties") else frozenset()


def check_scaled(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]], scaled: set[str]) -> None:
    """Check an update against the variants that are scaled by themselves
    (https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling-update.html).

    Raises
    ------
    HostingRefusedError
        When one of them would go, or get instances of another type.
    """
    types = {variant["VariantName"]: variant.get("InstanceType") for variant in after}
    lost = [
        str(variant["VariantName"])
        for variant in before
        if variant["VariantName"] in scaled and types.get(variant["VariantName"]) != variant.get("InstanceType")
    ]
    if lost:
        raise HostingRefusedError(
            f'The variant(s) "{", ".join(lost)}" must be deregistered as scalable targets with AWS Auto Scaling before'
            " they can be removed or have their instance type modified."
        )


def check_creation(request: Mapping[str, Any]) -> None:
    """Check CreateEndpoint's parameters.

    Raises
    ------
    HostingRefusedError
        As :func:`check_model`.
    """
    allowed = {"EndpointName", "EndpointConfigName", "Tags"}
    _raise_for([*_name(request, "EndpointName"), *_unknown(request, allowed, "")])


def _model_problems(request: Mapping[str, Any], images: Sequence[Image], region: str) -> Iterator[str]:
    yield from _unknown(request, _MODEL, "")
    container = request.get("PrimaryContainer")
    if not container:
        yield "PrimaryContainer: is missing"
        return
    if not request.get("ExecutionRoleArn"):
        yield "ExecutionRoleArn: is missing"
    yield from _unknown(container, _CONTAINER, "PrimaryContainer.")
    if container.get("Mode", "SingleModel") != "SingleModel":
        yield "PrimaryContainer.Mode: only SingleModel is run; multi-model endpoints are not"
    address = str(container.get("Image") or "")
    if image_for(images, address) is None:
        known = ", ".join(image.pattern for image in images) or "none"
        yield (
            f"PrimaryContainer.Image: {address!r} is not an image the local cloud can run: images that stand for a"
            f" program of this machine are {known}; add [[sagemaker.images]] to its settings"
        )
    registry = _REGISTRY.match(address)
    if registry and registry[1] != region:
        yield f"PrimaryContainer.Image: {address!r} must be in the same region as the model, {region}"
    for name, value in (container.get("Environment") or {}).items():
        if not isinstance(value, str):
            yield f"PrimaryContainer.Environment.{name}: {value!r} must be a string"
    if container.get("ModelDataUrl") and container.get("ModelDataSource"):
        yield "PrimaryContainer: give ModelDataUrl or ModelDataSource, not both"
    url = container.get("ModelDataUrl")
    if url and not str(url).startswith("s3://"):
        yield f"PrimaryContainer.ModelDataUrl: {url!r} must be an s3:// address"
    yield from _source_problems(container.get("ModelDataSource"))


def _source_problems(source: Mapping[str, Any] | None) -> Iterator[str]:
    if source is None:
        return
    place = "PrimaryContainer.ModelDataSource.S3DataSource"
    inner = source.get("S3DataSource")
    if inner is None:
        yield f"{place}: is missing"
        return
    yield from _unknown(inner, {"S3Uri", "S3DataType", "CompressionType"}, f"{place}.")
    kind, compression = inner.get("S3DataType"), inner.get("CompressionType")
    if (kind, compression) not in {("S3Prefix", "None"), ("S3Object", "Gzip")}:
        yield f"{place}: S3Prefix with None, and S3Object with Gzip, are provided; not {kind} with {compression}"
    uri = str(inner.get("S3Uri", ""))
    if kind == "S3Prefix" and not uri.endswith("/"):
        yield f"{place}.S3Uri: {uri!r} must end with a slash: it is a prefix"


def _variant_problems(place: str, variant: Mapping[str, Any]) -> Iterator[str]:
    yield from _unknown(variant, _VARIANT, f"{place}.")
    if not NAME.fullmatch(str(variant.get("VariantName", ""))):
        yield f"{place}.VariantName: {variant.get('VariantName')!r} must match {NAME.pattern}"
    if not variant.get("ModelName"):
        yield f"{place}.ModelName: is missing: inference components are not run"
    weight = variant.get("InitialVariantWeight", 1.0)
    if not isinstance(weight, int | float) or weight < 0:
        yield f"{place}.InitialVariantWeight: {weight!r} must be 0 or more"
    serverless = variant.get("ServerlessConfig")
    if serverless is not None:
        if variant.get("InstanceType") or variant.get("InitialInstanceCount"):
            yield f"{place}: ServerlessConfig goes without InstanceType and InitialInstanceCount"
        yield from _serverless_problems(f"{place}.ServerlessConfig", serverless)
    else:
        if not variant.get("InstanceType"):
            yield f"{place}.InstanceType: is missing"
        if int(variant.get("InitialInstanceCount") or 0) < 1:
            yield f"{place}.InitialInstanceCount: must be 1 or more"


def _serverless_problems(place: str, serverless: Mapping[str, Any]) -> Iterator[str]:
    yield from _unknown(serverless, {"MemorySizeInMB", "MaxConcurrency"}, f"{place}.")
    if serverless.get("MemorySizeInMB") not in {1024, 2048, 3072, 4096, 5120, 6144}:
        yield f"{place}.MemorySizeInMB: {serverless.get('MemorySizeInMB')!r} must be 1024 to 6144, in steps of 1024"
    if not 1 <= int(serverless.get("MaxConcurrency") or 0) <= 200:
        yield f"{place}.MaxConcurrency: {serverless.get('MaxConcurrency')!r} must be 1 to 200"


def _name(request: Mapping[str, Any], field: str) -> Iterator[str]:
    if not NAME.fullmatch(str(request.get(field, ""))):
        yield f"{field}: {request.get(field)!r} must match {NAME.pattern}"


def _unknown(given: Mapping[str, Any], allowed: set[str], prefix: str) -> Iterator[str]:
    for name in sorted(set(given) - allowed):
        if given[name] not in (None, False, [], {}):
            remedy = _REMEDIES.get(name, "leave it out")
            yield f"{prefix}{name}: the local cloud does not execute this; {remedy}"


def _raise_for(problems: list[str]) -> None:
    if problems:
        raise HostingRefusedError("; ".join(problems))
