"""Scalable targets of one local cloud, and what keeps their instances within limits and near their policy's target."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from localcloud.core.clock import Timer
from localcloud.core.context import CloudContext
from localcloud.services.applicationautoscaling.exceptions import NotRegisteredError, ScalingRefusedError
from localcloud.services.applicationautoscaling.requests import (
    DIMENSION,
    NAMESPACE,
    check_policy,
    check_registration,
    check_target,
)
from localcloud.services.applicationautoscaling.tracking import (
    IN_MINUTES,
    Standing,
    Tracking,
    is_due,
    wanted,
    within,
)
from localcloud.services.cloudwatch.seam import MetricName, MetricStore

_MINUTE = timedelta(minutes=1)
_ACTIVITIES_KEPT = 100


@dataclass
class Policy:
    """A policy of a target, as it was asked for."""

    name: str
    arn: str
    request: Mapping[str, Any]
    tracking: Tracking
    created_at: datetime


@dataclass
class Target:
    """A variant that is registered. Guarded by the scaler's lock."""

    endpoint: str
    variant: str
    arn: str
    least: int
    most: int
    created_at: datetime
    policy: Policy | None = None
    out_at: datetime | None = None
    in_at: datetime | None = None
    timer: Timer | None = None
    is_acting: bool = False
    stop_listening: Callable[[], None] = field(default=lambda: None)

    @property
    def resource_id(self) -> str:
        """What the API calls it."""
        return f"endpoint/{self.endpoint}/variant/{self.variant}"


class Scaler:
    """Every method takes the parameters of the API call of its name."""

    def __init__(self, context: CloudContext, metrics: MetricStore) -> None:
        self._context = context
        self._metrics = metrics
        self._lock = threading.RLock()
        self._targets: dict[str, Target] = {}
        self._activities: list[dict[str, Any]] = []

    def register(self, request: Mapping[str, Any]) -> str:
        """Register a variant, or change its limits; its ARN. Its instances are brought within the limits at once.

        Raises
        ------
        ScalingRefusedError
            Also where there is no such variant.
        """
        endpoint, variant = check_target(request)
        resource_id = str(request["ResourceId"])
        count = self._count(endpoint, variant)
        if count is None:
            raise ScalingRefusedError(f"No endpoint with a variant of instances found for resource ID: {resource_id}")
        with self._lock:
            target = self._targets.get(resource_id)
            least, most = check_registration(request, (target.least, target.most) if target else None)
            if target is None:
                arn = target_arn(self._context.region, self._context.account_id, resource_id)
                target = Target(endpoint, variant, arn, least, most, self._context.clock.now())
                self._targets[resource_id] = target
            target.least, target.most = least, most
        if within(count, least, most) != count:
            self._beside(target, lambda now: within(now, least, most), "limits were registered")
        return target.arn

    def deregister(self, request: Mapping[str, Any]) -> None:
        """Forget a target with its policy."""
        check_target(request)
        self._forget(self.target(request))

    def forget_endpoint(self, endpoint: str) -> None:
        """Forget the targets of an endpoint that is deleted."""
        for target in self.targets():
            if target.endpoint == endpoint:
                self._forget(target)

    def put_policy(self, request: Mapping[str, Any]) -> Policy:
        """Give a target its policy, or change it.

        Raises
        ------
        ScalingRefusedError
            Also for a second policy of a target.
        """
        check_target(request)
        tracking, name = check_policy(request), str(request["PolicyName"])
        with self._lock:
            target = self.target(request)
            known = target.policy
            if known is not None and known.name != name:
                raise ScalingRefusedError(
                    f"PolicyName {name}: the target has the policy {known.name}, and the local cloud executes one of a"
                    " target; delete that one first"
                )
            arn = known.arn if known else f"{target.arn}:policyName/{name}".replace("scalable-target/", "policy/")
            created_at = known.created_at if known else self._context.clock.now()
            target.policy = Policy(name, arn, dict(request), tracking, created_at)
            target.stop_listening()
            target.stop_listening = self._metrics.listen(_invocations(target), lambda _: self._arrived(target))
            return target.policy

    def delete_policy(self, request: Mapping[str, Any]) -> None:
        """Take a target's policy away; its instances stay as they are.

        Raises
        ------
        NotRegisteredError
            Where it has no such policy.
        """
        check_target(request)
        with self._lock:
            target = self.target(request)
            if target.policy is None or target.policy.name != request["PolicyName"]:
                raise NotRegisteredError(
                    f"No scaling policy found for service namespace: {NAMESPACE}, resource ID: {target.resource_id},"
                    f" scalable dimension: {DIMENSION}: {request['PolicyName']}"
                )
            self._silence(target)
            target.policy = None

    def target(self, request: Mapping[str, Any]) -> Target:
        """The target that a request names.

        Raises
        ------
        NotRegisteredError
            Where it is not registered.
        """
        with self._lock:
            found = self._targets.get(str(request["ResourceId"]))
        if found is None:
            raise NotRegisteredError(
                f"No scalable target found for service namespace: {NAMESPACE}, resource ID: {request['ResourceId']},"
                f" scalable dimension: {DIMENSION}"
            )
        return found

    def targets(self) -> list[Target]:
        """All targets, by resource."""
        with self._lock:
            return [self._targets[name] for name in sorted(self._targets)]

    def activities(self) -> list[dict[str, Any]]:
        """What was scaled, the newest first."""
        with self._lock:
            return self._activities[::-1]

    def _forget(self, target: Target) -> None:
        with self._lock:
            self._silence(target)
            self._targets.pop(target.resource_id, None)

    def _silence(self, target: Target) -> None:
        target.stop_listening()
        target.stop_listening = lambda: None
        if target.timer is not None:
            target.timer.cancel()
            target.timer = None

    def _arrived(self, target: Target) -> None:
        """Look when the minute is over in which something arrived."""
        with self._lock:
            if target.timer is None:
                due = _minute(self._context.clock.now()) + _MINUTE
                label = f"scaling {target.resource_id}"
                target.timer = self._context.clock.call_at(due, lambda: self._judge(target, due), label=label)

    def _judge(self, target: Target, at: datetime) -> None:
        with self._lock:
            target.timer = None
            policy = target.policy
        if policy is None:
            return
        minutes, tracking = self._minutes(target, at), policy.tracking
        if not is_due(tracking, minutes):
            return

        def count(now: int) -> int:
            standing = Standing(now, target.least, target.most, target.out_at, target.in_at)
            return wanted(tracking, minutes, standing, at)

        self._beside(target, count, f"policy {policy.name}: {minutes[-1]:g} invocations of an instance in a minute")

    def _minutes(self, target: Target, end: datetime) -> list[float | None]:
        begin = end - IN_MINUTES * _MINUTE
        found = self._metrics.periods(_invocations(target), begin, end, 60)
        buckets = [found.get(begin + n * _MINUTE) for n in range(IN_MINUTES)]
        return [None if bucket is None else bucket.statistic("Sum") for bucket in buckets]

    def _beside(self, target: Target, decide: Callable[[int], int], cause: str) -> None:
        """Scale beside the clock and the caller; one change of a target at a time."""
        with self._lock:
            if target.is_acting:
                return
            target.is_acting = True
        label = f"scaling {target.resource_id}"
        self._context.activity.enter(label)

        def work() -> None:
            try:
                self._act(target, decide, cause)
            finally:
                with self._lock:
                    target.is_acting = False
                self._context.activity.leave(label)

        threading.Thread(target=work, name=label, daemon=True).start()

    def _act(self, target: Target, decide: Callable[[int], int], cause: str) -> None:
        before = self._count(target.endpoint, target.variant)
        after = None if before is None else decide(before)
        if before is None or after is None or after == before:
            return
        now, failed = self._context.clock.now(), ""
        change = {"VariantName": target.variant, "DesiredInstanceCount": after}
        try:
            self._context.client("sagemaker").update_endpoint_weights_and_capacities(
                EndpointName=target.endpoint, DesiredWeightsAndCapacities=[change]
            )
        except ClientError as error:
            failed = error.response["Error"]["Message"]
        with self._lock:
            if not failed:
                target.out_at, target.in_at = (now, target.in_at) if after > before else (target.out_at, now)
            self._activities.append(_activity(target, after, cause, failed, now))
            del self._activities[:-_ACTIVITIES_KEPT]

    def _count(self, endpoint: str, variant: str) -> int | None:
        """How many instances a variant should have now; None where it has none."""
        try:
            found = self._context.client("sagemaker").describe_endpoint(EndpointName=endpoint)
        except ClientError:
            return None
        counts = {v["VariantName"]: v.get("DesiredInstanceCount") for v in found.get("ProductionVariants", [])}
        return counts.get(variant)


def target_arn(region: str, account: str, resource_id: str) -> str:
    """The ARN of the scalable target of a resource."""
    name = uuid.uuid5(uuid.NAMESPACE_URL, f"{resource_id} {DIMENSION}").hex
    return f"arn:aws:application-autoscaling:{region}:{account}:scalable-target/{name}"


def _activity(target: Target, count: int, cause: str, failed: str, at: datetime) -> dict[str, Any]:
    return {
        "ActivityId": str(uuid.uuid4()),
        "ServiceNamespace": NAMESPACE,
        "ResourceId": target.resource_id,
        "ScalableDimension": DIMENSION,
        "Description": f"Setting desired instance count to {count}.",
        "Cause": cause,
        "StartTime": at,
        "EndTime": at,
        "StatusCode": "Failed" if failed else "Successful",
        "StatusMessage": failed or f"Successfully set desired instance count to {count}.",
    }


def _invocations(target: Target) -> MetricName:
    dimensions = {"EndpointName": target.endpoint, "VariantName": target.variant}
    return MetricName.of("AWS/SageMaker", "InvocationsPerInstance", dimensions)


def _minute(at: datetime) -> datetime:
    return datetime.fromtimestamp(int(at.timestamp()) // 60 * 60, UTC)
