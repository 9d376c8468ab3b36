"""Reads what one version of the prediction function did, from CloudWatch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NotRequired, TypedDict

from everloop.names import COLD_START, METRIC_NAMESPACE, REQUESTS_REFUSED, SERVER_ERRORS
from everloop.rollout.exceptions import MetricsIncompleteError
from everloop.rollout.version_metrics import Minute, VersionMetrics
from everloop.typed_json import JsonObject

_PERCENTILE = "p99"
_SAGEMAKER = "AWS/SageMaker"

_Wanted = dict[str, tuple[str, str, list[dict[str, str]], str]]
"""Namespace, metric, dimensions and statistic by the name of a query."""

_LONGEST_PERIOD_SECONDS = 86_400

_PERIODS = ((timedelta(days=14), 60), (timedelta(days=62), 300))
"""How long a stretch may be whose counts are kept by periods of so many seconds
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html); longer ones by the hour."""


class CloudWatchMetrics:
    """The metrics of an alias of a function by executed version, and of an endpoint by variant.

    Failures are counted twice over, and the larger count is taken: Lambda's ``Errors`` (it crashed, or was stopped
    for time or memory) and the function's own ``ServerErrors`` (it crashed, or answered in the 500s, as it does when
    it refuses its artefact). Crashes are in both, so a sum would count them double. The function counts each request
    with its ``ServerErrors``, so however late one of the two sources is, its failures come with their requests.

    Parameters
    ----------
    client
        A boto3 ``cloudwatch`` client.
    function, alias, model : str
        Whose metrics to read.
    slow_ms : float
        Invocations that took longer are counted as slow. CloudWatch counts them by their percentile rank (``PR``,
        https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html).
    slow_cold_ms : float, optional
        Cold starts that took longer are counted as slow, by the prediction function's own metric. Without it they are
        not read: each metric that is asked for costs.
    endpoint : str
        The SageMaker endpoint whose variants serve versions as well; empty for none.
    """

    def __init__(
        self,
        client: Any,
        *,
        function: str,
        alias: str,
        model: str,
        slow_ms: float,
        slow_cold_ms: float | None = None,
        endpoint: str = "",
    ) -> None:
        self.client = client
        self.function = function
        self.alias = alias
        self.model = model
        self.slow_ms = slow_ms
        self.slow_cold_ms = slow_cold_ms
        self.endpoint = endpoint

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
        own = [{"Name": "model", "Value": self.model}, {"Name": "lambda_version", "Value": lambda_version}]
        wanted: _Wanted = {}
        for name, dimensions in {"own": own, **({"model": own[:1]} if alone else {})}.items():
            wanted[f"{name}_answered"] = (METRIC_NAMESPACE, SERVER_ERRORS, dimensions, "SampleCount")
            wanted[f"{name}_answered_5xx"] = (METRIC_NAMESPACE, SERVER_ERRORS, dimensions, "Sum")
            wanted[f"{name}_refused"] = (METRIC_NAMESPACE, REQUESTS_REFUSED, dimensions, "Sum")
            if self.slow_cold_ms is not None:
                within = f"PR(:{self.slow_cold_ms:.10g})"
                wanted[f"{name}_cold"] = (METRIC_NAMESPACE, COLD_START, dimensions, "SampleCount")
                wanted[f"{name}_cold_within"] = (METRIC_NAMESPACE, COLD_START, dimensions, within)
        if self.endpoint and not lambda_version.isdecimal():
            wanted |= self._of_variant(lambda_version)
        else:
            wanted |= self._of_function(lambda_version, alone=alone)
        start, stop = whole_minutes(begin, end)
        values = self._values(wanted, start, stop)
        instants = sorted({at for name, found in values.items() if not name.endswith("_p99") for at in found})
        minutes = tuple(_minute(values, at) for at in instants)
        p99 = max(
            (_ms(name, v) for name, found in values.items() if name.endswith("_p99") for v in found.values()),
            default=0.0,
        )
        requests = any(minute.requests for minute in minutes)
        return VersionMetrics.of(minutes, p99 if requests and p99 else None, stop)

    def _of_function(self, number: str, *, alone: bool) -> _Wanted:
        """What Lambda counts of a function version."""
        resource = [
            {"Name": "FunctionName", "Value": self.function},
            {"Name": "Resource", "Value": f"{self.function}:{self.alias}"},
        ]
        by_version = [*resource, {"Name": "ExecutedVersion", "Value": number}]
        wanted: _Wanted = {}
        for name, dimensions in {"version": by_version, **({"alias": resource} if alone else {})}.items():
            wanted[f"{name}_requests"] = ("AWS/Lambda", "Invocations", dimensions, "Sum")
            wanted[f"{name}_errors"] = ("AWS/Lambda", "Errors", dimensions, "Sum")
            wanted[f"{name}_p99"] = ("AWS/Lambda", "Duration", dimensions, _PERCENTILE)
            wanted[f"{name}_timed"] = ("AWS/Lambda", "Duration", dimensions, "SampleCount")
            wanted[f"{name}_within"] = ("AWS/Lambda", "Duration", dimensions, f"PR(:{self.slow_ms:.10g})")
        return wanted

    def _of_variant(self, variant: str) -> _Wanted:
        """What SageMaker counts of a variant, however it was asked; its latency is in microseconds.

        Source: https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
        """
        dimensions = [
            {"Name": "EndpointName", "Value": self.endpoint},
            {"Name": "VariantName", "Value": variant},
        ]
        within = f"PR(:{self.slow_ms * 1000:.10g})"
        return {
            "variant_requests": (_SAGEMAKER, "Invocations", dimensions, "Sum"),
            "variant_errors": (_SAGEMAKER, "Invocation5XXErrors", dimensions, "Sum"),
            "variant_microseconds_p99": (_SAGEMAKER, "ModelLatency", dimensions, _PERCENTILE),
            "variant_timed": (_SAGEMAKER, "ModelLatency", dimensions, "SampleCount"),
            "variant_within": (_SAGEMAKER, "ModelLatency", dimensions, within),
        }

    def _values(self, wanted: _Wanted, start: datetime, stop: datetime) -> dict[str, dict[datetime, float]]:
        """The values of each query by the beginning of their period."""
        minutes = max(1, math.ceil((stop - start).total_seconds() / 60))
        # Counts by the minute: a period begins at a multiple of its length, so a longer one may begin before the
        # stretch, and count what the step before was asked. Percentiles of parts do not add up: one value for the
        # whole stretch where possible; of several the largest is taken, which errs on the safe side.
        counts = next((seconds for longest, seconds in _PERIODS if stop - start <= longest), 3600)
        whole = min(minutes * 60, _LONGEST_PERIOD_SECONDS)
        queries = [
            {
                "Id": name,
                "MetricStat": {
                    "Metric": {"Namespace": namespace, "MetricName": metric, "Dimensions": dimensions},
                    "Period": whole if statistic == _PERCENTILE else counts,
                    "Stat": statistic,
                },
                "ReturnData": True,
            }
            for name, (namespace, metric, dimensions, statistic) in wanted.items()
        ]
        values: dict[str, dict[datetime, float]] = {name: {} for name in wanted}
        for result in self._results(queries, start, stop):
            if result.get("StatusCode") not in (None, "Complete", "PartialData"):
                raise MetricsIncompleteError(
                    f"CloudWatch answered {result['StatusCode']} for {result['Id']} of {self.function}; the"
                    " guardrail tries again"
                )
            values[result["Id"]].update(zip(result["Timestamps"], result["Values"], strict=True))
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
    Timestamps: list[datetime]
    Values: list[float]


def _ms(name: str, value: float) -> float:
    return value / 1000 if "_microseconds_" in name else value


def whole_minutes(begin: datetime, end: datetime) -> tuple[datetime, datetime]:
    """The stretch in which requests are counted: metrics know minutes, so the first and the last one are whole."""
    start = begin.replace(second=0, microsecond=0)
    return start, max(first_whole_minute(end), _next_minute(start))


def first_whole_minute(instant: datetime) -> datetime:
    """The beginning of the first minute that lies after an instant as a whole."""
    return instant if instant == instant.replace(second=0, microsecond=0) else _next_minute(instant)


def _next_minute(instant: datetime) -> datetime:
    return instant.replace(second=0, microsecond=0) + timedelta(minutes=1)


def _minute(values: dict[str, dict[datetime, float]], at: datetime) -> Minute:
    """The counts of the period that begins ``at``: of each the largest that any source has."""

    def largest(suffix: str) -> int:
        return round(max(found.get(at, 0.0) for name, found in values.items() if name.endswith(f"_{suffix}")))

    errors, refused = max(largest("errors"), largest("answered_5xx")), largest("refused")
    # Counts of the two sources are delivered apart from each other: a failure may be counted before its request.
    requests = max(largest("requests"), largest("answered"), errors + refused)
    return Minute(
        at, requests, errors, refused, *_slow(values, "timed", "within", at), *_slow(values, "cold", "cold_within", at)
    )


def _slow(values: dict[str, dict[datetime, float]], timed: str, within: str, at: datetime) -> tuple[int, int]:
    """How many durations are known, and how many of them lie above the limit, by the source that knows most.

    A period that only one of the two statistics has yet is left for the next look.
    """
    found = [(0, 0)]
    for name in values:
        source = name.removesuffix(f"_{timed}")
        count, share = values[name].get(at), values.get(f"{source}_{within}", {}).get(at)
        if source != name and count is not None and share is not None:
            found.append((round(count), round(count * (1 - share / 100))))
    return max(found)
