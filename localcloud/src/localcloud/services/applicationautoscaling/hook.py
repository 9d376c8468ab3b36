"""Application Auto Scaling: instances of an endpoint's variant follow the requests that each of them gets.

Target tracking of a variant's own invocations is executed, on the local clock, within the registered limits and with
cooldowns. Other namespaces, dimensions, metrics and kinds of policies are refused by name, and so are scheduled
actions. No alarms stand for a policy; a cooldown begins when instances are asked for.

Replaces: targets and policies that moto records and nothing acts on, and its look for a variant where no endpoint is.
Why: a policy is there for the instances that it brings.
Obsolete: once moto scales what is registered, at a time that can be set.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, EmptyResult

from localcloud.core.context import CloudContext
from localcloud.core.patching import add, replace
from localcloud.services.applicationautoscaling.current import use
from localcloud.services.applicationautoscaling.exceptions import NotRegisteredError, ScalingRefusedError
from localcloud.services.applicationautoscaling.requests import DIMENSION, NAMESPACE
from localcloud.services.applicationautoscaling.scaler import Policy, Scaler, Target
from localcloud.services.cloudwatch.seam import metric_store

Asked = Mapping[str, Any]


class ScalingError(ServiceException):
    """An error answer of Application Auto Scaling."""


def close() -> None:
    """Forget what is registered."""
    use(None)


def install(context: CloudContext) -> None:
    """Scale what is registered."""
    scaler = Scaler(context, metric_store(context))
    use(scaler)
    answers: dict[str, Callable[[Asked], dict[str, Any] | None]] = {
        "register_scalable_target": lambda asked: {"ScalableTargetARN": scaler.register(asked)},
        "deregister_scalable_target": lambda asked: scaler.deregister(asked),
        "put_scaling_policy": lambda asked: {"PolicyARN": scaler.put_policy(asked).arn, "Alarms": []},
        "delete_scaling_policy": lambda asked: scaler.delete_policy(asked),
        "describe_scalable_targets": lambda asked: {
            "ScalableTargets": [_described(target) for target in _found(asked, scaler, "ResourceIds")]
        },
        "describe_scaling_policies": lambda asked: {
            "ScalingPolicies": [
                _described_policy(target, target.policy)
                for target in _found(asked, scaler, "ResourceId")
                if target.policy and target.policy.name in asked.get("PolicyNames", [target.policy.name])
            ]
        },
        "describe_scaling_activities": lambda asked: {
            "ScalingActivities": [
                each for each in scaler.activities() if asked.get("ResourceId") in (None, each["ResourceId"])
            ]
        },
    }
    for name, answer in answers.items():
        # moto has no DescribeScalingActivities.
        change = replace if hasattr(ApplicationAutoScalingResponse, name) else add
        change(ApplicationAutoScalingResponse, name, _answering(answer))


def _answering(answer: Callable[[Asked], dict[str, Any] | None]) -> Any:
    def method(self: ApplicationAutoScalingResponse) -> ActionResult:
        try:
            answered = answer(json.loads(self.body))
        except ScalingRefusedError as error:
            raise ScalingError("ValidationException", str(error)) from error
        except NotRegisteredError as error:
            raise ScalingError("ObjectNotFoundException", str(error)) from error
        return ActionResult(answered) if answered else EmptyResult()

    return method


def _found(asked: Asked, scaler: Scaler, key: str) -> list[Target]:
    """The targets that a listing asks for, all on one page."""
    named = asked.get(key)
    wanted = [named] if isinstance(named, str) else named
    if asked.get("ServiceNamespace") != NAMESPACE or asked.get("ScalableDimension") not in (None, DIMENSION):
        return []
    return [target for target in scaler.targets() if not wanted or target.resource_id in wanted]


def _described(target: Target) -> dict[str, Any]:
    return {
        "ServiceNamespace": NAMESPACE,
        "ResourceId": target.resource_id,
        "ScalableDimension": DIMENSION,
        "MinCapacity": target.least,
        "MaxCapacity": target.most,
        "CreationTime": target.created_at,
        "ScalableTargetARN": target.arn,
    }


def _described_policy(target: Target, policy: Policy) -> dict[str, Any]:
    return {
        "PolicyARN": policy.arn,
        "PolicyName": policy.name,
        "ServiceNamespace": NAMESPACE,
        "ResourceId": target.resource_id,
        "ScalableDimension": DIMENSION,
        "PolicyType": policy.request["PolicyType"],
        "TargetTrackingScalingPolicyConfiguration": policy.request["TargetTrackingScalingPolicyConfiguration"],
        "Alarms": [],
        "CreationTime": policy.created_at,
    }
