"""Application Auto Scaling in memory, for variants of a faked endpoint."""

from __future__ import annotations

from typing import Any

from tests.fakes.lambda_function import refusal
from tests.fakes.sagemaker_endpoint import FakeSageMaker


class FakeAutoscaling:
    """What rollouts ask of it: limits and targets by variant. It scales nothing but what its limits ask for at once."""

    def __init__(self, hosting: FakeSageMaker) -> None:
        self.limits: dict[str, tuple[int, int]] = {}
        self.tracked: dict[str, float] = {}
        self._hosting = hosting
        hosting.scaled = self.limits

    def register_scalable_target(
        self, *, ServiceNamespace: str, ResourceId: str, ScalableDimension: str, MinCapacity: int, MaxCapacity: int
    ) -> dict[str, Any]:
        endpoint, name = self._variant(ServiceNamespace, ResourceId, ScalableDimension)
        found = self._hosting.endpoints.get(endpoint, {"ProductionVariants": [], "EndpointStatus": "Deleting"})
        variants = [v for v in found["ProductionVariants"] if v["VariantName"] == name]
        if not variants:
            raise refusal("ValidationException", f"no variant {name}", "RegisterScalableTarget")
        assert 1 <= MinCapacity <= MaxCapacity
        self.limits[name] = (MinCapacity, MaxCapacity)
        if found["EndpointStatus"] == "InService":
            count = min(max(variants[0]["DesiredInstanceCount"], MinCapacity), MaxCapacity)
            variants[0]["DesiredInstanceCount"] = variants[0]["CurrentInstanceCount"] = count
        return {}

    def put_scaling_policy(
        self,
        *,
        ServiceNamespace: str,
        ResourceId: str,
        ScalableDimension: str,
        PolicyName: str,
        PolicyType: str,
        TargetTrackingScalingPolicyConfiguration: dict[str, Any],
    ) -> dict[str, Any]:
        _, name = self._variant(ServiceNamespace, ResourceId, ScalableDimension)
        assert PolicyType == "TargetTrackingScaling"
        if name not in self.limits:
            raise refusal("ObjectNotFoundException", f"no target {name}", "PutScalingPolicy")
        self.tracked[name] = TargetTrackingScalingPolicyConfiguration["TargetValue"]
        return {}

    def deregister_scalable_target(self, *, ServiceNamespace: str, ResourceId: str, ScalableDimension: str) -> None:
        _, name = self._variant(ServiceNamespace, ResourceId, ScalableDimension)
        if name not in self.limits:
            raise refusal("ObjectNotFoundException", f"no target {name}", "DeregisterScalableTarget")
        del self.limits[name]
        self.tracked.pop(name, None)

    def _variant(self, namespace: str, resource: str, dimension: str) -> tuple[str, str]:
        assert (namespace, dimension) == ("sagemaker", "sagemaker:variant:DesiredInstanceCount")
        _, endpoint, _, variant = resource.split("/")
        return endpoint, variant
