"""Scaling through the API: variants of endpoints that run get the instances that their requests need."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.endpoints import Endpoints
from support.in_process import Cloud, allow
from support.refusals import refused

DIMENSION = "sagemaker:variant:DesiredInstanceCount"
METRIC = "SageMakerVariantInvocationsPerInstance"
V = {"ServiceNamespace": "sagemaker", "ResourceId": "endpoint/e/variant/v", "ScalableDimension": DIMENSION}


def tracking(target: float = 2, **more: Any) -> dict[str, Any]:
    metric = {"PredefinedMetricSpecification": {"PredefinedMetricType": METRIC}}
    configuration = {"TargetValue": target, **metric, **more}
    policy = {"PolicyName": "p", "PolicyType": "TargetTrackingScaling"}
    return {**V, **policy, "TargetTrackingScalingPolicyConfiguration": configuration}


def count(endpoints: Endpoints, variant: str = "v") -> int:
    shown = endpoints.settled()["ProductionVariants"]
    return next(int(v["CurrentInstanceCount"]) for v in shown if v["VariantName"] == variant)


def test_instances_follow_the_requests_of_the_variant(endpoints: Endpoints) -> None:
    endpoints.model("one")
    endpoints.config("c", ("v", "one", 1))
    endpoints.create("c")
    cloud = endpoints.cloud
    scaling = cloud.client("application-autoscaling")

    def minutes_of(requests: int, minutes: int) -> None:
        for _ in range(minutes):
            for _ in range(requests):
                endpoints.ask()
            cloud.advance(minutes=1)

    assert refused(scaling.put_scaling_policy, **tracking())["Code"] == "ObjectNotFoundException"
    scaling.register_scalable_target(**V, MinCapacity=1, MaxCapacity=3)
    assert scaling.put_scaling_policy(**tracking())["Alarms"] == []
    minutes_of(5, 2)
    assert count(endpoints) == 1
    minutes_of(5, 1)
    assert count(endpoints) == 3
    (activity,) = scaling.describe_scaling_activities(ServiceNamespace="sagemaker")["ScalingActivities"]
    assert (activity["StatusCode"], activity["Description"]) == ("Successful", "Setting desired instance count to 3.")

    # Nobody asks: without data nothing is scaled in. With little it is, after fifteen minutes.
    cloud.advance(hours=2)
    assert count(endpoints) == 3
    minutes_of(1, 15)
    assert count(endpoints) == 1

    # Limits hold from their registration on, and what is not given again stays.
    scaling.register_scalable_target(**V, MinCapacity=2)
    assert count(endpoints) == 2
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 3)
    (policy,) = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 2.0


def test_a_variant_that_is_scaled_is_not_taken_away(endpoints: Endpoints) -> None:
    endpoints.model("one")
    endpoints.config("c", ("v", "one", 1), ("w", "one", 1))
    endpoints.config("without", ("w", "one", 1))
    endpoints.config("same", ("v", "one", 3), ("w", "one", 1))
    endpoints.create("c")
    scaling, client = endpoints.cloud.client("application-autoscaling"), endpoints.client
    scaling.register_scalable_target(**V, MinCapacity=2, MaxCapacity=3)
    assert count(endpoints) == 2

    # WHEN an update keeps the variant and its instances, but not its weight
    excluded = [{"VariantPropertyType": "DesiredWeight"}]
    client.update_endpoint(
        EndpointName="e",
        EndpointConfigName="same",
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=excluded,
    )
    kept = endpoints.settled()["ProductionVariants"][0]
    assert (kept["CurrentInstanceCount"], kept["CurrentWeight"]) == (2, 3)

    said = refused(client.update_endpoint, EndpointName="e", EndpointConfigName="without")
    assert 'The variant(s) "v" must be deregistered as scalable targets' in said["Message"]
    scaling.deregister_scalable_target(**V)
    assert refused(scaling.deregister_scalable_target, **V)["Code"] == "ObjectNotFoundException"
    client.update_endpoint(EndpointName="e", EndpointConfigName="without")
    assert [v["VariantName"] for v in endpoints.settled()["ProductionVariants"]] == ["w"]
    assert (
        "No endpoint with a variant"
        in refused(scaling.register_scalable_target, **V, MinCapacity=1, MaxCapacity=2)["Message"]
    )

    # An endpoint that goes takes its targets with it, if who deletes it may deregister them.
    of_w = {**V, "ResourceId": "endpoint/e/variant/w"}
    scaling.register_scalable_target(**of_w, MinCapacity=1, MaxCapacity=2)
    cloud = endpoints.cloud
    deleter = cloud.role("deleter", "lambda.amazonaws.com", allow("sagemaker:DeleteEndpoint"))
    denied = refused(cloud.role_client("sagemaker", deleter, "lambda.amazonaws.com").delete_endpoint, EndpointName="e")
    assert "application-autoscaling:DeregisterScalableTarget" in denied["Message"]
    client.delete_endpoint(EndpointName="e")
    assert scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []


def test_what_is_not_executed_is_refused_by_name(cloud: Cloud) -> None:
    scaling = cloud.client("application-autoscaling")
    serverless = {**V, "ScalableDimension": "sagemaker:variant:DesiredProvisionedConcurrency"}
    ecs = {"ServiceNamespace": "ecs", "ResourceId": "service/a/b", "ScalableDimension": "ecs:service:DesiredCount"}
    limits = {"MinCapacity": 1, "MaxCapacity": 2}
    for wrong in (serverless, ecs):
        said = refused(scaling.register_scalable_target, **wrong, **limits)
        assert "the local cloud scales sagemaker:variant:DesiredInstanceCount alone" in said["Message"]
    assert (
        "must be endpoint/NAME/variant/NAME"
        in refused(scaling.register_scalable_target, **{**V, "ResourceId": "e/v"}, **limits)["Message"]
    )
    assert (
        "PutScheduledAction"
        in refused(scaling.put_scheduled_action, **V, ScheduledActionName="a", Schedule="rate(1 day)")["Message"]
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"PolicyType": "StepScaling"}, "PolicyType StepScaling"),
        (tracking(0)["TargetTrackingScalingPolicyConfiguration"], "TargetValue 0"),
        ({"PredefinedMetricSpecification": {"PredefinedMetricType": "ALBRequestCountPerTarget"}}, METRIC),
        ({"PredefinedMetricSpecification": None, "CustomizedMetricSpecification": {}}, "CustomizedMetricSpecification"),
        ({"ScaleInCooldown": -1}, "0 seconds or more"),
    ],
)
def test_a_policy_that_would_not_be_followed_is_refused(cloud: Cloud, wrong: dict[str, Any], said: str) -> None:
    asked = tracking()
    if "PolicyType" in wrong:
        asked |= wrong
    else:
        told = {**asked["TargetTrackingScalingPolicyConfiguration"], **wrong}
        asked["TargetTrackingScalingPolicyConfiguration"] = {k: v for k, v in told.items() if v is not None}
    assert said in refused(cloud.client("application-autoscaling").put_scaling_policy, **asked)["Message"]


def test_callers_need_more_than_the_right_to_register(endpoints: Endpoints) -> None:
    endpoints.model("one")
    endpoints.config("c", ("v", "one", 1))
    endpoints.create("c")
    cloud, limits = endpoints.cloud, {"MinCapacity": 1, "MaxCapacity": 2}
    only = {"StringEquals": {"application-autoscaling:service-namespace": "sagemaker"}}
    linked = {"StringEquals": {"iam:AWSServiceName": "sagemaker.application-autoscaling.amazonaws.com"}}
    own = allow("application-autoscaling:*", Condition=only)
    sagemaker = allow(["sagemaker:DescribeEndpoint", "sagemaker:UpdateEndpointWeightsAndCapacities"])
    parts = [own, sagemaker, allow("iam:CreateServiceLinkedRole", Condition=linked)]
    for n in range(len(parts)):
        role = cloud.role(f"partly{n}", "lambda.amazonaws.com", *(part for part in parts if part is not parts[n]))
        client = cloud.role_client("application-autoscaling", role, "lambda.amazonaws.com")
        with pytest.raises(ClientError, match="AccessDenied"):
            client.register_scalable_target(**V, **limits)
    role = cloud.role("whole", "lambda.amazonaws.com", *parts)
    client = cloud.role_client("application-autoscaling", role, "lambda.amazonaws.com")
    client.register_scalable_target(**V, **limits)
    with pytest.raises(ClientError, match="cloudwatch:PutMetricAlarm"):
        client.put_scaling_policy(**tracking())
