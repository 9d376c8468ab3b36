"""Metrics in log lines: CloudWatch's embedded metric format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

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
        document = json.loads(line)
        directives = document["_aws"]["CloudWatchMetrics"]
    except (ValueError, KeyError, TypeError):
        return
    for directive in directives if isinstance(directives, list) else ():
        yield from _metrics(document, directive)


def _metrics(document: dict[str, Any], directive: dict[str, Any]) -> Iterator[EmbeddedMetric]:
    namespace = directive.get("Namespace")
    if not isinstance(namespace, str):
        return
    for names in directive.get("Dimensions") or [[]]:
        if any(name not in document for name in names):
            continue
        dimensions = {name: str(document[name]) for name in names}
        for metric in directive.get("Metrics") or ():
            values = _numbers(document.get(metric.get("Name")))
            if values:
                name = MetricName.of(namespace, metric["Name"], dimensions)
                yield EmbeddedMetric(name, values, metric.get("Unit"))


def _numbers(value: object) -> tuple[float, ...]:
    values = value if isinstance(value, list) else [value]
    if all(isinstance(item, int | float) and not isinstance(item, bool) for item in values):
        return tuple(float(item) for item in values)
    return ()
