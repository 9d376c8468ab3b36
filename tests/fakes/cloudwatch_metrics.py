"""CloudWatch metrics in memory: samples in, sums and percentiles by namespace, name and exact dimensions out."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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
        self.asked: list[tuple[datetime, datetime]] = []

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
            # Each request that is answered is counted, failed or not; a crash by its own metric alone.
            for index in range(max(count - errors, answered_5xx)):
                self.add("Everloop", "ServerErrors", own, at, int(index < answered_5xx))
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
        self.asked += [(StartTime, EndTime)] if not index else []
        query = MetricDataQueries[index]
        found = self._buckets(query["MetricStat"], StartTime, EndTime)
        result = {
            "Id": query["Id"],
            "Timestamps": [at for at, _ in found],
            "Values": [value for _, value in found],
            "StatusCode": self.status,
        }
        answer: dict[str, Any] = {"MetricDataResults": [result]}
        if index + 1 < len(MetricDataQueries):
            answer["NextToken"] = str(index + 1)
        return answer

    def _buckets(self, stat: dict[str, Any], start: datetime, end: datetime) -> list[tuple[datetime, float]]:
        metric, period = stat["Metric"], timedelta(seconds=stat["Period"])
        assert stat["Period"] % 60 == 0
        wanted = frozenset((d["Name"], d["Value"]) for d in metric["Dimensions"])
        # A period begins at a multiple of its length, also where that lies before the start.
        begin = datetime.fromtimestamp(start.timestamp() // stat["Period"] * stat["Period"], UTC)
        found: defaultdict[int, list[float]] = defaultdict(list)
        for s in self.samples:
            if (s.namespace, s.name, s.dimensions) == (metric["Namespace"], metric["MetricName"], wanted) and (
                begin <= s.at < end
            ):
                found[(s.at - begin) // period].append(s.value)
        return [(begin + index * period, _statistic(found[index], stat["Stat"])) for index in sorted(found)]


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
