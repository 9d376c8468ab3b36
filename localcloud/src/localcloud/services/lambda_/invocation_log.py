"""Function logs in CloudWatch Logs, and the metrics of invocations."""

from __future__ import annotations

from datetime import datetime

from localcloud.core.context import CloudContext
from localcloud.services.cloudwatch.seam import MetricName, metric_store
from localcloud.services.lambda_.runtime.invoker import InvocationRecord
from localcloud.services.logs.seam import LogWriter

_NAMESPACE = "AWS/Lambda"


class InvocationLog:
    """Keeps what functions write, and counts invocations."""

    def __init__(self, context: CloudContext) -> None:
        self._log = LogWriter(context)
        self._metrics = metric_store(context)

    def write_log(self, group: str, stream: str, lines: list[str], at: datetime) -> None:
        """Keep lines, and count the metrics embedded in them."""
        self._log.write(group, stream, lines, at)

    def count(self, record: InvocationRecord) -> None:
        """Count an invocation under the function, and under the version or alias it went to."""
        values: tuple[tuple[str, float, str], ...] = (("Throttles", 1.0, "Count"),)
        if not record.throttled:
            values = (
                ("Invocations", 1.0, "Count"),
                ("Errors", 1.0 if record.error else 0.0, "Count"),
                ("Throttles", 0.0, "Count"),
                ("Duration", record.duration_ms, "Milliseconds"),
            )
        if record.extensions_ms is not None:
            values += (("PostRuntimeExtensionsDuration", record.extensions_ms, "Milliseconds"),)
        for metric, value, unit in values:
            for name in self._metric_names(metric, record):
                self._metrics.put(name, value, at=record.at, unit=unit)

    def _metric_names(self, metric: str, record: InvocationRecord) -> list[MetricName]:
        function = record.function_name
        sets: list[dict[str, str]] = [{"FunctionName": function}]
        if record.qualifier:
            resource = f"{function}:{record.qualifier}"
            sets.append({"FunctionName": function, "Resource": resource})
            if record.qualifier != record.version:
                sets.append({"FunctionName": function, "Resource": resource, "ExecutedVersion": record.version})
        else:
            sets.append({"FunctionName": function, "Resource": function})
        return [MetricName.of(_NAMESPACE, metric, dimensions) for dimensions in sets]
