"""What requests to CloudWatch need to be allowed, as the service authorization reference lists it."""

from __future__ import annotations

from collections.abc import Iterable

from localcloud.iam.calls import Access, Call, one


def accesses(call: Call) -> Iterable[Access] | None:
    """The accesses of a request, or None where its resource can't be told."""
    namespace = call.params.get("Namespace")
    if call.action == "PutMetricData" and namespace:
        return one("cloudwatch", call, cloudwatch__namespace=namespace)
    names = call.params.get("AlarmNames") or [call.params.get("AlarmName")]
    if "Alarm" in call.action and all(names) and call.action not in ("DescribeAlarms", "DescribeAlarmsForMetric"):
        return [Access(f"cloudwatch:{call.action}", (call.arn("cloudwatch", f"alarm:{name}"),)) for name in names]
    return None
