"""What requests to SageMaker need to be allowed, as the service authorization reference lists it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from localcloud.iam.calls import Access, Call, one

_TYPES = {
    "TrainingJob": "training-job",
    "ProcessingJob": "processing-job",
    "TransformJob": "transform-job",
    "EndpointConfig": "endpoint-config",
    "Endpoint": "endpoint",
    "Model": "model",
}
_ROLE_PARAMETERS = {
    "CreateTrainingJob": "RoleArn",
    "CreateProcessingJob": "RoleArn",
    "CreateTransformJob": "RoleArn",
    "CreateModel": "ExecutionRoleArn",
}


def accesses(call: Call) -> Iterable[Access] | None:
    """The accesses of a request, or None where its resource can't be told."""
    for name, resource_type in _TYPES.items():
        value = call.params.get(f"{name}Name")
        if value and name in call.action:
            return one("sagemaker", call, call.arn("sagemaker", f"{resource_type}/{value.lower()}"))
    return None


def passed_roles(call: Call) -> Iterator[tuple[str, str]]:
    """Roles that a request hands to the service: the ARN of each, and the principal that will assume it."""
    parameter = _ROLE_PARAMETERS.get(call.action)
    if parameter and call.params.get(parameter):
        yield call.params[parameter], "sagemaker.amazonaws.com"
