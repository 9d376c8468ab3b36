"""What requests to Application Auto Scaling need to be allowed.

As the service authorization reference lists it, with what the caller needs beside: of the service that is scaled, of
CloudWatch, whose alarms follow a policy, and of IAM, since the first registration in an account makes the service's
own role (https://docs.aws.amazon.com/autoscaling/application/userguide/security_iam_id-based-policy-examples.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-prerequisites.html).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from localcloud.iam.calls import Access, Call, one
from localcloud.services.applicationautoscaling.scaler import target_arn

_PRINCIPAL = "sagemaker.application-autoscaling.amazonaws.com"
_LINKED_ROLE = f"role/aws-service-role/{_PRINCIPAL}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
_CHANGES = {"RegisterScalableTarget", "DeregisterScalableTarget", "PutScalingPolicy", "DeleteScalingPolicy"}
_ALARMS = {
    "PutScalingPolicy": ("PutMetricAlarm", "DescribeAlarms"),
    "DeleteScalingPolicy": ("DeleteAlarms",),
    "DeregisterScalableTarget": ("DeleteAlarms",),
}


def accesses(call: Call) -> Iterable[Access] | None:
    """The accesses of a request; None for one that lists, which is decided against ``*``."""
    if call.action not in _CHANGES:
        return None
    return list(_of_change(call, str(call.params.get("ResourceId") or "")))


def _of_change(call: Call, resource_id: str) -> Iterator[Access]:
    context = {
        "application-autoscaling__service-namespace": str(call.params.get("ServiceNamespace") or ""),
        "application-autoscaling__scalable-dimension": str(call.params.get("ScalableDimension") or ""),
    }
    arn = target_arn(call.region, call.account, resource_id)
    yield from one("application-autoscaling", call, arn, **context)
    alarm = call.arn("cloudwatch", f"alarm:TargetTracking-{resource_id}-AlarmHigh")
    for action in _ALARMS.get(call.action, ()):
        yield Access(f"cloudwatch:{action}", (alarm,))
    if call.action == "RegisterScalableTarget":
        endpoint = call.arn("sagemaker", "/".join(resource_id.split("/")[:2]).lower())
        yield Access("sagemaker:DescribeEndpoint", (endpoint,))
        yield Access("sagemaker:UpdateEndpointWeightsAndCapacities", (endpoint,))
        role = f"arn:aws:iam::{call.account}:{_LINKED_ROLE}"
        yield Access("iam:CreateServiceLinkedRole", (role,), {"iam:awsservicename": (_PRINCIPAL,)})
