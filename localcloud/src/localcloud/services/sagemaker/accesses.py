"""What requests to SageMaker need to be allowed, as the service authorization reference lists it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from localcloud.iam.calls import Access, Call, one
from localcloud.services.applicationautoscaling.seam import registered_variants

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
    if call.action == "InvokeEndpoint":
        return one("sagemaker", call, call.arn("sagemaker", f"endpoint/{call.path.split('/')[2].lower()}"))
    if call.action in ("CreateEndpoint", "UpdateEndpoint"):
        # Both resources must be allowed.
        return [
            access
            for name in ("Endpoint", "EndpointConfig")
            for access in one("sagemaker", call, _arn(call, name, str(call.params.get(f"{name}Name", ""))))
        ]
    if call.action == "DeleteEndpoint" and registered_variants(str(call.params.get("EndpointName"))):
        # https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-delete-with-scaling.html
        deregisters = Access(
            "application-autoscaling:DeregisterScalableTarget",
            (call.arn("application-autoscaling", "scalable-target/of-the-endpoint"),),
            {"application-autoscaling:service-namespace": ("sagemaker",)},
        )
        return [*one("sagemaker", call, _arn(call, "Endpoint", str(call.params["EndpointName"]))), deregisters]
    for name in _TYPES:
        value = call.params.get(f"{name}Name")
        if value and name in call.action:
            return one("sagemaker", call, _arn(call, name, value))
    return None


def _arn(call: Call, name: str, value: str) -> str:
    return call.arn("sagemaker", f"{_TYPES[name]}/{value.lower()}")


def passed_roles(call: Call) -> Iterator[tuple[str, str]]:
    """Roles that a request hands to the service: the ARN of each, and the principal that will assume it."""
    parameter = _ROLE_PARAMETERS.get(call.action)
    if parameter and call.params.get(parameter):
        yield call.params[parameter], "sagemaker.amazonaws.com"
