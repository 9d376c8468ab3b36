"""Lines that services write into log groups, and the metrics embedded in them."""

from __future__ import annotations

import threading
from datetime import datetime

from moto.logs.models import LogEvent, LogGroup, LogStream, logs_backends

from localcloud.core.context import CloudContext
from localcloud.services.cloudwatch.seam import embedded_metrics, metric_store


class LogWriter:
    """Keeps lines as CloudWatch Logs does, and counts the metrics that are embedded in them.

    Log events and embedded metrics get the local clock's time: what a function itself stamps on them is real
    time, which a moved clock knows nothing of. Events are kept directly, since PutLogEvents refuses times more
    than two weeks from real now.
    """

    def __init__(self, context: CloudContext) -> None:
        self._backend = logs_backends[context.account_id][context.region]
        self._metrics = metric_store(context)
        self._lock = threading.Lock()

    def write(self, group: str, stream: str, lines: list[str], at: datetime) -> None:
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

    def _stream(self, group: str, stream: str) -> tuple[LogGroup, LogStream]:
        if group not in self._backend.groups:
            self._backend.create_log_group(group, {})
        log_group = self._backend.groups[group]
        if stream not in log_group.streams:
            log_group.create_log_stream(stream)
        return log_group, log_group.streams[stream]
