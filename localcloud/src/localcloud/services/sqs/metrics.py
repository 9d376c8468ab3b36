"""Queues tell CloudWatch what is sent, received and deleted, and how many messages they hold.

How many they hold, and how old the oldest is, is told at every change, then every minute for a quarter of an hour, and
every five minutes for as long as something is there.

Replaces: queues that put no metrics.
Why: an alarm on a dead-letter queue is there to go off, and would be judged on nothing.
Obsolete: once moto puts the metrics of namespace AWS/SQS, at a time that can be set.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

from moto.core.utils import unix_time_millis
from moto.sqs.models import Queue, SQSBackend, sqs_backends

from localcloud.core.clock import Timer
from localcloud.core.context import CloudContext
from localcloud.core.patching import wrap
from localcloud.services.cloudwatch.seam import MetricName, metric_store

_OFTEN, _SELDOM = timedelta(minutes=1), timedelta(minutes=5)
_OFTEN_FOR = timedelta(minutes=15)


def install(context: CloudContext) -> None:
    """Count what happens to queues."""
    metrics = QueueMetrics(context)

    def counted_send(original: Any) -> Any:
        def send_message(self: SQSBackend, queue_name: str, message_body: str, *rest: Any, **more: Any) -> Any:
            message = original(self, queue_name, message_body, *rest, **more)
            metrics.count(self.get_queue(queue_name), "NumberOfMessagesSent")
            metrics.count(self.get_queue(queue_name), "SentMessageSize", len(message_body.encode()), "Bytes")
            return message

        return send_message

    def counted_receive(original: Any) -> Any:
        def receive_message(self: SQSBackend, queue_name: str, *rest: Any, **more: Any) -> Any:
            messages = original(self, queue_name, *rest, **more)
            queue = self.get_queue(queue_name)
            if messages:
                metrics.count(queue, "NumberOfMessagesReceived", len(messages))
            else:
                metrics.count(queue, "NumberOfEmptyReceives")
            metrics.changed(queue)
            return messages

        return receive_message

    def counted_delete(original: Any) -> Any:
        def delete_message(self: Queue, receipt_handle: str) -> None:
            before = len(self._messages)
            original(self, receipt_handle)
            if len(self._messages) < before:
                metrics.count(self, "NumberOfMessagesDeleted")
                metrics.changed(self)

        return delete_message

    def gauged(original: Any) -> Any:
        def add_message(self: Queue, message: Any) -> None:
            original(self, message)
            metrics.changed(self)

        return add_message

    wrap(SQSBackend, "send_message", counted_send)
    wrap(SQSBackend, "receive_message", counted_receive)
    wrap(Queue, "delete_message", counted_delete)
    wrap(Queue, "add_message", gauged)


class QueueMetrics:
    """The metrics of namespace AWS/SQS."""

    def __init__(self, context: CloudContext) -> None:
        self._clock = context.clock
        self._metrics = metric_store(context)
        self._lock = threading.Lock()
        self._changed_at: WeakKeyDictionary[Queue, datetime] = WeakKeyDictionary()
        self._planned: WeakKeyDictionary[Queue, Timer] = WeakKeyDictionary()

    def count(self, queue: Queue, name: str, value: float = 1, unit: str = "Count") -> None:
        """Count something that happened to a queue."""
        self._metrics.put(MetricName.of("AWS/SQS", name, {"QueueName": queue.name}), value, unit=unit)

    def changed(self, queue: Queue) -> None:
        """Tell what a queue holds now, and again while it holds something."""
        with self._lock:
            self._changed_at[queue] = self._clock.now()
        self._tell(queue)
        self._plan(queue)

    def _tell(self, queue: Queue) -> None:
        messages = list(queue._messages)
        self.count(queue, "ApproximateNumberOfMessagesVisible", queue.approximate_number_of_messages)
        self.count(queue, "ApproximateNumberOfMessagesNotVisible", queue.approximate_number_of_messages_not_visible)
        self.count(queue, "ApproximateNumberOfMessagesDelayed", queue.approximate_number_of_messages_delayed)
        now = unix_time_millis()  # of the clock that moto dates messages with
        ages = [now - (message.sent_timestamp or 0) for message in messages]
        self.count(queue, "ApproximateAgeOfOldestMessage", max(ages, default=0) // 1000, "Seconds")

    def _plan(self, queue: Queue) -> None:
        now = self._clock.now()
        with self._lock:
            is_lively = now - self._changed_at[queue] < _OFTEN_FOR
            due = now + (_OFTEN if is_lively else _SELDOM)
            planned = self._planned.get(queue)
            if not (is_lively or queue._messages) or (planned is not None and planned.due <= due):
                return
            if planned is not None:
                planned.cancel()
            label = f"metrics of queue {queue.name}"
            self._planned[queue] = self._clock.call_at(due, lambda: self._again(queue), label=label)

    def _again(self, queue: Queue) -> None:
        with self._lock:
            self._planned.pop(queue, None)
        if sqs_backends[queue.account_id][queue.region].queues.get(queue.name) is queue:
            self._tell(queue)
            self._plan(queue)
