"""Which job requests the local cloud can carry out. The others are refused when the job is created."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from localcloud.services.sagemaker.jobs.exceptions import RequestRefusedError
from localcloud.services.sagemaker.jobs.root import OPT_ML

_KNOWN_IMAGE = re.compile(r"(.+/)?sagemaker-scikit-learn:.+")
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_CHANNEL = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,64}")


def check_training_request(request: dict[str, Any]) -> None:
    """Check CreateTrainingJob's parameters.

    Raises
    ------
    RequestRefusedError
        With everything that is wrong, each with its place and the remedy.
    """
    _raise_for([*_name(request, "TrainingJobName"), *_training_problems(request)])


def check_processing_request(request: dict[str, Any]) -> None:
    """Check CreateProcessingJob's parameters.

    Raises
    ------
    RequestRefusedError
        With everything that is wrong, each with its place and the remedy.
    """
    _raise_for([*_name(request, "ProcessingJobName"), *_processing_problems(request)])


def _raise_for(problems: list[str]) -> None:
    if problems:
        raise RequestRefusedError("; ".join(problems))


def _name(request: dict[str, Any], field: str) -> Iterator[str]:
    if not _NAME.fullmatch(str(request.get(field, ""))):
        yield f"{field}: {request.get(field)!r} must match {_NAME.pattern}"


def _image(place: str, image: str | None) -> Iterator[str]:
    if not image or not _KNOWN_IMAGE.fullmatch(image):
        yield (
            f"{place}: {image!r} is not an image the local cloud can run; use one of the scikit-learn framework "
            "repository (…/sagemaker-scikit-learn:<version>)"
        )


def _training_problems(request: dict[str, Any]) -> Iterator[str]:
    algorithm = request.get("AlgorithmSpecification") or {}
    if algorithm.get("AlgorithmName"):
        yield "AlgorithmSpecification.AlgorithmName: marketplace algorithms are not supported; use a TrainingImage"
    else:
        yield from _image("AlgorithmSpecification.TrainingImage", algorithm.get("TrainingImage"))
    if algorithm.get("ContainerEntrypoint") or algorithm.get("ContainerArguments"):
        yield "AlgorithmSpecification: custom entrypoints are not supported; use script mode"
    if algorithm.get("TrainingInputMode", "File") == "Pipe":
        yield "AlgorithmSpecification.TrainingInputMode: Pipe is not provided; use File or FastFile"
    resources = request.get("ResourceConfig") or {}
    if resources.get("InstanceCount", 1) != 1 or resources.get("InstanceGroups"):
        yield "ResourceConfig: the local cloud runs jobs on one instance; set InstanceCount to 1"
    for name, value in (request.get("HyperParameters") or {}).items():
        if not isinstance(value, str):
            yield f"HyperParameters.{name}: {value!r} must be a string"
    for index, channel in enumerate(request.get("InputDataConfig") or []):
        yield from _channel_problems(f"InputDataConfig[{index}]", channel)
    yield from _spot_problems(request)
    checkpoints = (request.get("CheckpointConfig") or {}).get("LocalPath")
    if checkpoints:
        yield from _container_path("CheckpointConfig.LocalPath", checkpoints)


def _spot_problems(request: dict[str, Any]) -> Iterator[str]:
    stopping = request.get("StoppingCondition") or {}
    longest, waiting = stopping.get("MaxRuntimeInSeconds", 86400), stopping.get("MaxWaitTimeInSeconds")
    if not request.get("EnableManagedSpotTraining"):
        if waiting is not None:
            yield "StoppingCondition.MaxWaitTimeInSeconds: only with EnableManagedSpotTraining"
    elif waiting is None:
        yield "StoppingCondition.MaxWaitTimeInSeconds: required with EnableManagedSpotTraining"
    elif waiting < longest:
        yield (
            f"StoppingCondition.MaxWaitTimeInSeconds: {waiting} must be greater than or equal to MaxRuntimeInSeconds,"
            f" {longest}"
        )


def _channel_problems(place: str, channel: dict[str, Any]) -> Iterator[str]:
    name = str(channel.get("ChannelName", ""))
    if not _CHANNEL.fullmatch(name):
        yield f"{place}.ChannelName: {name!r} is not the name of a directory: 1 to 64 of letters, digits, ., - and _"
    source = (channel.get("DataSource") or {}).get("S3DataSource")
    if source is None:
        yield f"{place}.DataSource: only S3DataSource is provided"
    elif source.get("S3DataType", "S3Prefix") != "S3Prefix":
        yield f"{place}.DataSource.S3DataSource.S3DataType: only S3Prefix is provided"
    if channel.get("InputMode") == "Pipe":
        yield f"{place}.InputMode: Pipe is not provided; use File or FastFile"
    if channel.get("CompressionType", "None") != "None":
        yield f"{place}.CompressionType: only None is provided"


def _processing_problems(request: dict[str, Any]) -> Iterator[str]:
    application = request.get("AppSpecification") or {}
    yield from _image("AppSpecification.ImageUri", application.get("ImageUri"))
    if not application.get("ContainerEntrypoint"):
        yield "AppSpecification.ContainerEntrypoint: the image's entrypoint is not known here; give the command to run"
    cluster = (request.get("ProcessingResources") or {}).get("ClusterConfig") or {}
    if cluster.get("InstanceCount", 1) != 1:
        yield "ProcessingResources.ClusterConfig.InstanceCount: the local cloud runs jobs on one instance; use 1"
    for index, item in enumerate(request.get("ProcessingInputs") or []):
        yield from _input_problems(f"ProcessingInputs[{index}]", item)
    for index, item in enumerate((request.get("ProcessingOutputConfig") or {}).get("Outputs") or []):
        yield from _output_problems(f"ProcessingOutputConfig.Outputs[{index}]", item)


def _input_problems(place: str, item: dict[str, Any]) -> Iterator[str]:
    source = item.get("S3Input")
    if source is None:
        yield f"{place}: only S3Input is provided"
        return
    if source.get("S3DataType", "S3Prefix") != "S3Prefix":
        yield f"{place}.S3Input.S3DataType: only S3Prefix is provided"
    if source.get("S3InputMode", "File") != "File":
        yield f"{place}.S3Input.S3InputMode: only File is provided"
    if source.get("S3CompressionType", "None") != "None":
        yield f"{place}.S3Input.S3CompressionType: only None is provided"
    yield from _container_path(f"{place}.S3Input.LocalPath", source.get("LocalPath", ""))


def _output_problems(place: str, item: dict[str, Any]) -> Iterator[str]:
    target = item.get("S3Output")
    if target is None:
        yield f"{place}: only S3Output is provided"
        return
    if target.get("S3UploadMode", "EndOfJob") != "EndOfJob":
        yield f"{place}.S3Output.S3UploadMode: only EndOfJob is provided"
    yield from _container_path(f"{place}.S3Output.LocalPath", target.get("LocalPath", ""))


def _container_path(place: str, path: str) -> Iterator[str]:
    if not path.startswith(OPT_ML + "/") or ".." in path.split("/"):
        yield f"{place}: {path!r} must be a directory below {OPT_ML}"
