"""CloudWatch metrics in memory: samples in, sums and percentiles by namespace, name and exact dimensions out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True)
class Sample:
    """One measurement."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]
    at: datetime
    value: float


class FakeCloudWatch:
    """``GetMetricData`` over samples, a query per page."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.status = "Complete"

    def requests(
        self,
        count: int,
        *,
        at: datetime,
        version: str,
        errors: int = 0,
        answered_5xx: int = 0,
        refused: int = 0,
        ms: float = 20.0,
        weighted: bool = True,
        function: str = "predict",
        model: str = "flights",
    ) -> None:
        """What Lambda and the prediction function emit for ``count`` requests to a function version."""
        resource = {"FunctionName": function, "Resource": f"{function}:live"}
        sets = [resource, {**resource, "ExecutedVersion": version}] if weighted else [resource]
        for dimensions in sets:
            for index in range(count):
                self.add("AWS/Lambda", "Invocations", dimensions, at, 1)
                self.add("AWS/Lambda", "Errors", dimensions, at, 1 if index < errors else 0)
                self.add("AWS/Lambda", "Duration", dimensions, at, ms)
        for own in ({"model": model, "lambda_version": version}, {"model": model}):
            for _ in range(answered_5xx):
                self.add("Everloop", "ServerErrors", own, at, 1)
            for _ in range(refused):
                self.add("Everloop", "RequestsRefused", own, at, 1)

    def add(self, namespace: str, name: str, dimensions: dict[str, str], at: datetime, value: float) -> None:
        """One sample."""
        self.samples.append(Sample(namespace, name, frozenset(dimensions.items()), at, value))

    def get_metric_data(
        self,
        *,
        MetricDataQueries: list[dict[str, Any]],
        StartTime: datetime,
        EndTime: datetime,
        NextToken: str = "0",
    ) -> dict[str, Any]:
        index = int(NextToken)
        query = MetricDataQueries[index]
        values = self._buckets(query["MetricStat"], StartTime, EndTime)
        answer: dict[str, Any] = {
            "MetricDataResults": [{"Id": query["Id"], "Values": values, "StatusCode": self.status}]
        }
        if index + 1 < len(MetricDataQueries):
            answer["NextToken"] = str(index + 1)
        return answer

    def _buckets(self, stat: dict[str, Any], start: datetime, end: datetime) -> list[float]:
        metric, period = stat["Metric"], timedelta(seconds=stat["Period"])
        assert stat["Period"] % 60 == 0
        wanted = frozenset((d["Name"], d["Value"]) for d in metric["Dimensions"])
        values, begin = [], start
        while begin < end:
            found = [
                s.value
                for s in self.samples
                if (s.namespace, s.name, s.dimensions) == (metric["Namespace"], metric["MetricName"], wanted)
                and begin <= s.at < min(begin + period, end)
            ]
            if found:
                values.append(_statistic(found, stat["Stat"]))
            begin += period
        return values


def _statistic(values: list[float], stat: str) -> float:
    if stat == "Sum":
        return sum(values)
    if stat == "SampleCount":
        return float(len(values))
    if stat.startswith("PR(:"):
        limit = float(stat.removeprefix("PR(:").removesuffix(")"))
        return 100 * sum(value <= limit for value in values) / len(values)
    return _percentile(values, stat)


def _percentile(values: list[float], stat: str) -> float:
    rank = math.ceil(float(stat.removeprefix("p")) / 100 * len(values))
    return sorted(values)[max(0, rank - 1)]
