"""SageMaker: endpoints that run, and the runtime's API that invokes them.

What an image runs is set by who starts the local cloud (``[[sagemaker.images]]``). Health checks and time limits are
in real seconds. Requests with what is not run here are refused by name.

Replaces: endpoints that moto records as InService, and answers to invocations that no model gave.
Why: an endpoint is there for what it answers.
Obsolete: once moto runs containers of endpoints.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker import urls as sagemaker_urls
from moto.sagemaker.responses import SageMakerResponse
from moto.sagemakerruntime.responses import SageMakerRuntimeResponse

from localcloud.core.context import CloudContext
from localcloud.core.patching import add, replace
from localcloud.services.cloudwatch.seam import metric_store
from localcloud.services.sagemaker.hosting.endpoint import Endpoint
from localcloud.services.sagemaker.hosting.exceptions import HostingRefusedError, InvocationError
from localcloud.services.sagemaker.hosting.fleet import Variant
from localcloud.services.sagemaker.hosting.images import images_of
from localcloud.services.sagemaker.hosting.runtime import Invocation, ModelError, Runtime
from localcloud.services.sagemaker.hosting.store import BeyondQuotaError, Hosting, Record

_hosting: list[Hosting] = []
"""What the installed cloud hosts."""

MEMORY_SOURCES = {"endpoints": lambda: sum(each.memory_mb() for each in _hosting)}
"""Resident memory of the containers' processes and of what they start from, for the memory report."""

_PATH = "{0}/endpoints/(?P<EndpointName>[^/]+)/invocations$"


class HostingError(ServiceException):
    """An error answer of SageMaker."""


def close() -> None:
    """End the containers that run."""
    while _hosting:
        _hosting.pop().close()


def install(context: CloudContext) -> None:
    """Run endpoints, and answer invocations."""
    hosting = Hosting(context, images_of(context.settings))
    _hosting.append(hosting)
    runtime = Runtime(context, hosting, metric_store(context))
    answers: dict[str, Callable[[dict[str, Any]], dict[str, Any] | None]] = {
        "create_model": lambda asked: {"ModelArn": hosting.create_model(asked)},
        "create_endpoint_config": lambda asked: {"EndpointConfigArn": hosting.create_endpoint_config(asked)},
        "create_endpoint": lambda asked: {"EndpointArn": hosting.create_endpoint(asked)},
        "update_endpoint": lambda asked: {"EndpointArn": hosting.update_endpoint(asked)},
        "update_endpoint_weights_and_capacities": lambda asked: {"EndpointArn": hosting.update_weights(asked)},
        "describe_model": lambda asked: _described(hosting.model(asked["ModelName"]), "ModelArn"),
        "describe_endpoint_config": lambda asked: _described(
            hosting.configuration(asked["EndpointConfigName"]), "EndpointConfigArn"
        ),
        "describe_endpoint": lambda asked: describe_endpoint(hosting.endpoint(asked["EndpointName"])),
        "list_models": lambda asked: {"Models": _listed(asked, "Model", hosting.models.items())},
        "list_endpoint_configs": lambda asked: {
            "EndpointConfigs": _listed(asked, "EndpointConfig", hosting.configurations.items())
        },
        "list_endpoints": lambda asked: {"Endpoints": _endpoints(asked, hosting.endpoints.values())},
        "delete_model": lambda asked: hosting.delete_model(asked["ModelName"]),
        "delete_endpoint_config": lambda asked: hosting.delete_endpoint_config(asked["EndpointConfigName"]),
        "delete_endpoint": lambda asked: hosting.delete_endpoint(asked["EndpointName"]),
    }
    for name, answer in answers.items():
        # moto has no UpdateEndpoint.
        (replace if hasattr(SageMakerResponse, name) else add)(SageMakerResponse, name, _answering(answer))
    replace(SageMakerRuntimeResponse, "invoke_endpoint", _invoking(runtime))
    replace(sagemaker_urls, "url_paths", {**sagemaker_urls.url_paths, _PATH: SageMakerRuntimeResponse.dispatch})


def _answering(answer: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Any:
    def method(self: SageMakerResponse) -> ActionResult:
        params = self.params
        asked = params.original_dict() if hasattr(params, "original_dict") else dict(params)
        try:
            answered = answer(asked)
        except HostingRefusedError as error:
            raise HostingError("ValidationException", str(error)) from error
        except BeyondQuotaError as error:
            raise HostingError("ResourceLimitExceeded", str(error)) from error
        return ActionResult(answered) if answered else EmptyResult()

    return method


def _invoking(runtime: Runtime) -> Any:
    def invoke_endpoint(self: SageMakerRuntimeResponse) -> tuple[int, dict[str, Any], bytes | str]:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.body if isinstance(self.body, bytes) else str(self.body or "").encode()
        try:
            invoked = runtime.invoke(Invocation(self.path.split("/")[2], body, headers))
        except InvocationError as error:
            return _error(error)
        answer = {
            "Content-Type": invoked.reply.headers.get("content-type", "application/octet-stream"),
            "x-Amzn-Invoked-Production-Variant": invoked.variant,
        }
        custom = invoked.reply.headers.get("x-amzn-sagemaker-custom-attributes")
        if custom:
            answer["X-Amzn-SageMaker-Custom-Attributes"] = custom
        return 200, answer, invoked.reply.body

    return invoke_endpoint


def _error(error: InvocationError) -> tuple[int, dict[str, Any], str]:
    document: dict[str, Any] = {"ErrorCode": error.code, "Message": str(error)}
    if isinstance(error, ModelError):
        document |= {
            "OriginalStatusCode": error.original_status,
            "OriginalMessage": error.original_message,
            "LogStreamArn": error.log_stream_arn,
        }
    # moto takes the status from a header of this name.
    headers = {"status": error.status, "Content-Type": "application/json", "x-amzn-errortype": error.code}
    return error.status, headers, json.dumps(document)


def _described(record: Record, arn: str) -> dict[str, Any]:
    shown = {name: value for name, value in record.request.items() if name != "Tags"}
    extra = {"EnableNetworkIsolation": False} if arn == "ModelArn" else {}
    return {**shown, **extra, arn: record.arn, "CreationTime": record.created_at}


def describe_endpoint(endpoint: Endpoint) -> dict[str, Any]:
    """What DescribeEndpoint shows."""
    described = {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointConfigName": endpoint.fleet.config_name,
        "EndpointStatus": endpoint.status,
        "CreationTime": endpoint.created_at,
        "LastModifiedTime": endpoint.changed_at,
        "ProductionVariants": [_variant(variant) for variant in endpoint.fleet.variants],
    }
    return {**described, **({"FailureReason": endpoint.failure_reason} if endpoint.failure_reason else {})}


def _variant(variant: Variant) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "VariantName": variant.name,
        "CurrentWeight": variant.weight,
        "DesiredWeight": variant.weight,
    }
    if variant.most_at_once is not None:
        serverless = variant.configured["ServerlessConfig"]
        return {**shown, "CurrentServerlessConfig": serverless, "DesiredServerlessConfig": serverless}
    return {**shown, "CurrentInstanceCount": len(variant.containers), "DesiredInstanceCount": variant.count}


def _listed(asked: dict[str, Any], kind: str, records: Iterable[tuple[str, Record]]) -> list[dict[str, Any]]:
    shown = [
        {f"{kind}Name": name, f"{kind}Arn": record.arn, "CreationTime": record.created_at} for name, record in records
    ]
    return _page(asked, shown, f"{kind}Name")


def _endpoints(asked: dict[str, Any], endpoints: Iterable[Endpoint]) -> list[dict[str, Any]]:
    wanted = asked.get("StatusEquals")
    shown = [
        {
            "EndpointName": endpoint.name,
            "EndpointArn": endpoint.arn,
            "CreationTime": endpoint.created_at,
            "LastModifiedTime": endpoint.changed_at,
            "EndpointStatus": endpoint.status,
        }
        for endpoint in list(endpoints)
        if wanted in (None, endpoint.status)
    ]
    return _page(asked, shown, "EndpointName")


def _page(asked: dict[str, Any], shown: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Those whose name contains what is asked for, the newest first; all on one page."""
    refused = sorted(set(asked) - {"NameContains", "StatusEquals", "MaxResults", "SortBy", "SortOrder"})
    if refused:
        raise HostingRefusedError(f"{refused[0]}: the local cloud does not execute this; leave it out")
    contained = asked.get("NameContains", "")
    found = [each for each in shown if contained in each[name]]
    key = {"Name": name, "CreationTime": "CreationTime"}.get(asked.get("SortBy", "CreationTime"), "CreationTime")
    return sorted(found, key=lambda each: each[key], reverse=asked.get("SortOrder", "Descending") == "Descending")
