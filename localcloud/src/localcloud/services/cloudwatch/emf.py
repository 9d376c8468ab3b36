"""Metrics in log lines: CloudWatch's embedded metric format."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from localcloud.core.json_text import read_json
from localcloud.services.cloudwatch.metrics import MetricName


@dataclass(frozen=True)
class EmbeddedMetric:
    """One metric of a line, under one of its dimension sets."""

    name: MetricName
    values: tuple[float, ...]
    unit: str | None


def embedded_metrics(line: str) -> Iterator[EmbeddedMetric]:
    """The metrics of a log line; nothing when it is not in the format.

    Lines that are not JSON, have no ``_aws`` object, or name members that they do not hold carry no metric:
    CloudWatch keeps such a line as a log event, and so does the caller.
    """
    if '"_aws"' not in line:
        return
    try:
        document = read_json(line)
        directives = document["_aws"]["CloudWatchMetrics"]
    except (ValueError, KeyError, TypeError):
        return
    for directive in directives if isinstance(directives, list) else ():
        if isinstance(directive, dict):
            yield from _metrics(document, directive)


MOST_METRICS, MOST_VALUES, MOST_DIMENSIONS = 100, 100, 30
"""Of a directive, of a metric and of a dimension set: CloudWatch takes no metric of a line that has more
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html)."""


def _metrics(document: dict[str, Any], directive: dict[str, Any]) -> Iterator[EmbeddedMetric]:
    namespace, metrics = directive.get("Namespace"), directive.get("Metrics")
    if not isinstance(namespace, str) or not isinstance(metrics, list) or len(metrics) > MOST_METRICS:
        return
    named = [(metric["Name"], metric.get("Unit")) for metric in metrics if _is_named(metric)]
    counted = [(name, _numbers(document.get(name)), unit) for name, unit in named]
    sets = directive.get("Dimensions") or [[]]
    for names in sets if isinstance(sets, list) else ():
        if not _is_dimension_set(names) or any(name not in document for name in names):
            continue
        dimensions = {name: str(document[name]) for name in names}
        for name, values, unit in counted:
            if values:
                yield EmbeddedMetric(MetricName.of(namespace, name, dimensions), values, unit)


def _is_named(metric: object) -> bool:
    return (
        isinstance(metric, dict) and isinstance(metric.get("Name"), str) and isinstance(metric.get("Unit"), str | None)
    )


def _is_dimension_set(names: object) -> bool:
    return isinstance(names, list) and len(names) <= MOST_DIMENSIONS and all(isinstance(name, str) for name in names)


def _numbers(value: object) -> tuple[float, ...]:
    values = value if isinstance(value, list) else [value]
    if len(values) > MOST_VALUES or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        return ()
    try:
        numbers = tuple(map(float, values))
    except OverflowError:  # a whole number of hundreds of digits
        return ()
    return numbers if all(map(math.isfinite, numbers)) else ()
