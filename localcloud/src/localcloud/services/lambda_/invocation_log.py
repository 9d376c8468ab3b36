"""Function logs in moto's CloudWatch Logs, and the metrics of invocations."""

from __future__ import annotations

import threading
from datetime import datetime

from moto.logs.models import LogEvent, LogGroup, LogStream, logs_backends

from localcloud.core.context import CloudContext
from localcloud.services.cloudwatch.emf import embedded_metrics
from localcloud.services.cloudwatch.hook import metric_store
from localcloud.services.cloudwatch.metrics import MetricName
from localcloud.services.lambda_.runtime.invoker import InvocationRecord

_NAMESPACE = "AWS/Lambda"


class InvocationLog:
    """Keeps what functions write, and counts invocations.

    Log events and embedded metrics get the local clock's time: what a function itself stamps on them is real
    time, which a moved clock knows nothing of. Events are kept directly, since PutLogEvents refuses times more
    than two weeks from real now.
    """

    def __init__(self, context: CloudContext) -> None:
        self._backend = logs_backends[context.account_id][context.region]
        self._metrics = metric_store(context)
        self._lock = threading.Lock()

    def write_log(self, group: str, stream: str, lines: list[str], at: datetime) -> None:
        """Keep lines, and count the metrics embedded in them."""
        milliseconds = int(at.timestamp() * 1000)
        events = [{"timestamp": milliseconds, "message": line} for line in lines]
        with self._lock:
            log_group, target = self._stream(group, stream)
            if log_group.subscription_filters:
                target.put_log_events(events)
            else:
                target.events.extend(LogEvent(milliseconds, event) for event in events)
                target.stored_bytes += sum(map(len, lines))
                target.upload_sequence_token += 1
                target.last_ingestion_time = at.replace(tzinfo=None)
        for line in lines:
            for metric in embedded_metrics(line):
                self._metrics.put_values(metric.name, [(value, 1.0) for value in metric.values], at, metric.unit)

    def count(self, record: InvocationRecord) -> None:
        """Count an invocation under the function, and under the version or alias it went to."""
        if record.throttled:
            values = (("Throttles", 1.0, "Count"),)
        else:
            values = (
                ("Invocations", 1.0, "Count"),
                ("Errors", 1.0 if record.error else 0.0, "Count"),
                ("Throttles", 0.0, "Count"),
                ("Duration", record.duration_ms, "Milliseconds"),
            )
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

    def _stream(self, group: str, stream: str) -> tuple[LogGroup, LogStream]:
        if group not in self._backend.groups:
            self._backend.create_log_group(group, {})
        log_group = self._backend.groups[group]
        if stream not in log_group.streams:
            log_group.create_log_stream(stream)
        return log_group, log_group.streams[stream]
