"""Reads what one version of the prediction function did, from CloudWatch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, NotRequired, TypedDict

from everloop.names import METRIC_NAMESPACE, REQUESTS_REFUSED, SERVER_ERRORS
from everloop.rollout.exceptions import MetricsIncompleteError
from everloop.rollout.guardrails import VersionMetrics
from everloop.typed_json import JsonObject

_LONGEST_PERIOD_SECONDS = 86_400


class CloudWatchMetrics:
    """The metrics of an alias of a function, by executed version.

    Failures are counted twice over, and the larger count is taken: Lambda's ``Errors`` (it crashed, or was stopped
    for time or memory) and the function's own ``ServerErrors`` (it crashed, or answered in the 500s, as it does when
    it refuses its artefact). Crashes are in both, so a sum would count them double.

    Parameters
    ----------
    client
        A boto3 ``cloudwatch`` client.
    function, alias, model : str
        Whose metrics to read.
    slow_ms : float
        Invocations that took longer are counted as slow. CloudWatch counts them by their percentile rank (``PR``,
        https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html).
    """

    def __init__(self, client: Any, *, function: str, alias: str, model: str, slow_ms: float) -> None:
        self.client = client
        self.function = function
        self.alias = alias
        self.model = model
        self.slow_ms = slow_ms

    def read(self, lambda_version: str, begin: datetime, end: datetime, *, alone: bool = False) -> VersionMetrics:
        """What ``lambda_version`` did from ``begin`` to ``end``.

        Parameters
        ----------
        alone : bool
            The alias sends everything to this version, or sent it to one before that served the same model version with
            another calibration. CloudWatch has the dimension ``ExecutedVersion`` only while an alias is weighted, so
            the alias, and the model, as a whole count as well then.

        Raises
        ------
        MetricsIncompleteError
            When CloudWatch gives partial data.
        """
        resource = [
            {"Name": "FunctionName", "Value": self.function},
            {"Name": "Resource", "Value": f"{self.function}:{self.alias}"},
        ]
        by_version = [*resource, {"Name": "ExecutedVersion", "Value": lambda_version}]
        own = [{"Name": "model", "Value": self.model}, {"Name": "lambda_version", "Value": lambda_version}]
        wanted = {}
        for name, dimensions in {"own": own, **({"model": own[:1]} if alone else {})}.items():
            wanted[f"{name}_answered_5xx"] = (METRIC_NAMESPACE, SERVER_ERRORS, dimensions, "Sum")
            wanted[f"{name}_refused"] = (METRIC_NAMESPACE, REQUESTS_REFUSED, dimensions, "Sum")
        for name, dimensions in {"version": by_version, **({"alias": resource} if alone else {})}.items():
            wanted[f"{name}_requests"] = ("AWS/Lambda", "Invocations", dimensions, "Sum")
            wanted[f"{name}_errors"] = ("AWS/Lambda", "Errors", dimensions, "Sum")
            wanted[f"{name}_p99"] = ("AWS/Lambda", "Duration", dimensions, "p99")
            wanted[f"{name}_timed"] = ("AWS/Lambda", "Duration", dimensions, "SampleCount")
            wanted[f"{name}_within"] = ("AWS/Lambda", "Duration", dimensions, f"PR(:{self.slow_ms:.10g})")
        values = self._values(wanted, begin, end)
        requests = round(_largest(values, "requests", sum))
        errors = round(max(_largest(values, "errors", sum), _largest(values, "answered_5xx", sum)))
        # Counts of the two sources are delivered apart from each other: a failure may be counted before its request.
        refused = round(_largest(values, "refused", sum))
        requests = max(requests, errors + refused)
        p99 = _largest(values, "p99", lambda v: max(v, default=0.0))
        timed, slow = max(_slow(values, name) for name in ("version", *(["alias"] if alone else [])))
        return VersionMetrics(requests, errors, p99 if requests and p99 else None, refused, timed, slow)

    def _values(
        self, wanted: dict[str, tuple[str, str, list[dict[str, str]], str]], begin: datetime, end: datetime
    ) -> dict[str, list[float]]:
        start = begin.replace(second=0, microsecond=0)
        stop = end if end == end.replace(second=0, microsecond=0) else _next_minute(end)
        minutes = max(1, math.ceil((stop - start).total_seconds() / 60))
        # One value for the whole stretch where possible: percentiles of parts do not add up. Of several the
        # largest is taken, which errs on the safe side.
        period = min(minutes * 60, _LONGEST_PERIOD_SECONDS)
        queries = [
            {
                "Id": name,
                "MetricStat": {
                    "Metric": {"Namespace": namespace, "MetricName": metric, "Dimensions": dimensions},
                    "Period": period,
                    "Stat": statistic,
                },
                "ReturnData": True,
            }
            for name, (namespace, metric, dimensions, statistic) in wanted.items()
        ]
        values: dict[str, list[float]] = {name: [] for name in wanted}
        for result in self._results(queries, start, max(stop, _next_minute(start))):
            if result.get("StatusCode") not in (None, "Complete", "PartialData"):
                raise MetricsIncompleteError(
                    f"CloudWatch answered {result['StatusCode']} for {result['Id']} of {self.function};"
                    " look again later"
                )
            values[result["Id"]] += result["Values"]
        return values

    def _results(self, queries: list[JsonObject], begin: datetime, end: datetime) -> Iterator[_Result]:
        arguments: JsonObject = {"MetricDataQueries": queries, "StartTime": begin, "EndTime": end}
        while True:
            page = self.client.get_metric_data(**arguments)
            yield from page["MetricDataResults"]
            if not page.get("NextToken"):
                return
            arguments["NextToken"] = page["NextToken"]


class _Result(TypedDict):
    """What is read of a result of ``GetMetricData``."""

    Id: str
    StatusCode: NotRequired[str]
    Values: list[float]


def _next_minute(instant: datetime) -> datetime:
    return instant.replace(second=0, microsecond=0) + timedelta(minutes=1)


def _slow(values: dict[str, list[float]], name: str) -> tuple[int, int]:
    """How many durations are known, and how many of them lie above the limit: of each period the part that does.

    A period that only one of the two statistics has yet is left for the next look.
    """
    pairs = list(zip(values[f"{name}_timed"], values[f"{name}_within"], strict=False))
    if len(values[f"{name}_timed"]) != len(values[f"{name}_within"]):
        return 0, 0
    return round(sum(n for n, _ in pairs)), round(sum(n * (1 - within / 100) for n, within in pairs))


def _largest(values: dict[str, list[float]], suffix: str, combine: Callable[[list[float]], float]) -> float:
    """The largest combined value of the queries whose name ends in ``suffix``."""
    return max(float(combine(v)) for name, v in values.items() if name.endswith(f"_{suffix}"))
