"""Instances of an endpoint's variants that follow the requests, by Application Auto Scaling.

Only a variant that gets requests is registered, or one that is about to. While a rollout lasts neither the version that
serves nor the candidate has fewer instances than it began with: the candidate may be given every request in one step,
and a rollback gives them back in one. SageMaker takes no variant away that is registered.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling.html,
https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling-update.html and
https://docs.aws.amazon.com/autoscaling/application/APIReference/API_RegisterScalableTarget.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

NAMESPACE = "sagemaker"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
METRIC = "SageMakerVariantInvocationsPerInstance"
POLICY = "requests"


@dataclass(frozen=True)
class Scaling:
    """What is declared: at most so many instances of a variant, and how many invocations of each in a minute.

    The seconds are for how long nothing is added, or taken away, after something was.
    """

    most: int
    invocations_per_instance: float
    scale_out_seconds: int = 300
    scale_in_seconds: int = 300


class VariantScaling:
    """The scalable targets of one endpoint. Every method may be repeated.

    Parameters
    ----------
    client
        A boto3 ``application-autoscaling`` client.
    least : int
        The fewest instances of a variant.
    declared : Scaling or None
        None where instances follow nothing.
    """

    def __init__(self, client: Any, endpoint: str, least: int, declared: Scaling | None) -> None:
        self.client = client
        self.endpoint = endpoint
        self.least = least
        self.declared = declared

    def count_beside(self, counts: Iterable[int]) -> int:
        """How many instances a new variant begins with, beside those that serve: enough to take every request."""
        if self.declared is None:
            return self.least
        return min(max([self.least, *counts]), self.declared.most)

    def is_too_many(self, count: int) -> bool:
        """Whether a variant that nobody asks has more instances than it keeps."""
        return self.declared is not None and count > self.least

    def hold(self, counts: Mapping[str, int]) -> None:
        """Let these variants follow requests, and none have fewer instances than now.

        Parameters
        ----------
        counts : mapping of str to int
            Instances by variant.
        """
        for variant, count in counts.items():
            self._register(variant, count)

    def follow(self, variants: Iterable[str]) -> None:
        """Let these variants follow requests, within what is declared."""
        for variant in variants:
            self._register(variant, self.least)

    def forget(self, variants: Iterable[str]) -> None:
        """Let these variants follow nothing, whatever is declared by now: their policies and alarms go."""
        for variant in variants:
            try:
                self.client.deregister_scalable_target(**self._target(variant))
            except ClientError as error:
                if error.response["Error"]["Code"] != "ObjectNotFoundException":
                    raise

    def _register(self, variant: str, least: int) -> None:
        if self.declared is None:
            return
        most = self.declared.most
        self.client.register_scalable_target(
            **self._target(variant), MinCapacity=min(max(least, self.least), most), MaxCapacity=most
        )
        self.client.put_scaling_policy(
            **self._target(variant),
            PolicyName=POLICY,
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": self.declared.invocations_per_instance,
                "PredefinedMetricSpecification": {"PredefinedMetricType": METRIC},
                "ScaleOutCooldown": self.declared.scale_out_seconds,
                "ScaleInCooldown": self.declared.scale_in_seconds,
            },
        )

    def _target(self, variant: str) -> dict[str, str]:
        resource = f"endpoint/{self.endpoint}/variant/{variant}"
        return {"ServiceNamespace": NAMESPACE, "ResourceId": resource, "ScalableDimension": DIMENSION}
