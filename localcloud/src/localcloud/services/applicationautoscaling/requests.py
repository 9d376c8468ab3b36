"""Which requests about scaling can be carried out. The others are refused by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from localcloud.services.applicationautoscaling.exceptions import ScalingRefusedError
from localcloud.services.applicationautoscaling.tracking import Tracking

NAMESPACE = "sagemaker"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
METRIC = "SageMakerVariantInvocationsPerInstance"

_RESOURCE = re.compile(r"endpoint/([^/]+)/variant/([^/]+)")
_TRACKING = {
    *("TargetValue", "PredefinedMetricSpecification", "ScaleOutCooldown", "ScaleInCooldown", "DisableScaleIn"),
}


def check_target(request: Mapping[str, Any]) -> tuple[str, str]:
    """The endpoint and the variant that a request names.

    Raises
    ------
    ScalingRefusedError
        For other things than instances of a variant, which nothing scales here.
    """
    asked = request.get("ServiceNamespace"), request.get("ScalableDimension")
    if asked != (NAMESPACE, DIMENSION):
        raise ScalingRefusedError(
            f"ServiceNamespace {asked[0]}, ScalableDimension {asked[1]}: the local cloud scales {DIMENSION} alone, the"
            " instances of an endpoint's variant; give others the capacity that they need"
        )
    found = _RESOURCE.fullmatch(str(request.get("ResourceId")))
    if found is None:
        raise ScalingRefusedError(
            f"ResourceId {request.get('ResourceId')!r}: must be endpoint/NAME/variant/NAME, as in endpoint/e/variant/v"
        )
    return found[1], found[2]


def check_registration(request: Mapping[str, Any], known: tuple[int, int] | None) -> tuple[int, int]:
    """The fewest and the most instances that a registration asks for.

    Parameters
    ----------
    known : tuple of int or None
        Those of the target where it is registered already: what is left out stays.
    """
    for name in ("RoleARN", "SuspendedState", "Tags"):
        if request.get(name):
            raise ScalingRefusedError(f"{name}: the local cloud does not execute this; leave it out")
    least, most = request.get("MinCapacity"), request.get("MaxCapacity")
    if known is None and (least is None or most is None):
        raise ScalingRefusedError("MinCapacity and MaxCapacity: both are needed to register a scalable target")
    least = known[0] if least is None and known else int(least or 0)
    most = known[1] if most is None and known else int(most or 0)
    if least < 1:
        # https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-zero-instances.html
        raise ScalingRefusedError(f"MinCapacity {least}: a variant without inference components has 1 instance or more")
    if most < least:
        raise ScalingRefusedError(f"MaxCapacity {most}: must be {least} or more, as MinCapacity is")
    return least, most


def check_policy(request: Mapping[str, Any]) -> Tracking:
    """What a policy tracks.

    Raises
    ------
    ScalingRefusedError
        For other policies than target tracking of the variant's invocations.
    """
    kind = request.get("PolicyType")
    if kind != "TargetTrackingScaling":
        raise ScalingRefusedError(f"PolicyType {kind}: the local cloud executes TargetTrackingScaling alone")
    asked = request.get("TargetTrackingScalingPolicyConfiguration") or {}
    for name in sorted(set(asked) - _TRACKING):
        raise ScalingRefusedError(f"{name}: the local cloud does not execute this; track {METRIC}")
    metric = asked.get("PredefinedMetricSpecification") or {}
    if metric.get("PredefinedMetricType") != METRIC or metric.get("ResourceLabel"):
        raise ScalingRefusedError(
            f"PredefinedMetricSpecification {dict(metric)}: the local cloud tracks {METRIC} alone, without a label"
        )
    target = float(asked.get("TargetValue") or 0)
    if target <= 0:
        raise ScalingRefusedError(f"TargetValue {target:g}: must be more than 0")
    cooldowns = [asked.get(name) for name in ("ScaleOutCooldown", "ScaleInCooldown")]
    out_seconds, in_seconds = (300 if seconds is None else int(seconds) for seconds in cooldowns)
    if min(out_seconds, in_seconds) < 0:
        raise ScalingRefusedError("ScaleOutCooldown and ScaleInCooldown: must be 0 seconds or more")
    return Tracking(target, out_seconds, in_seconds, may_scale_in=not asked.get("DisableScaleIn"))
