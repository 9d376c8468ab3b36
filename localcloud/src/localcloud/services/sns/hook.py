"""Topics forget what was published, and tell CloudWatch of it.

Replaces: every message that was sent to a topic, kept for whoever tests a publisher, and no metrics.
Why: nobody reads it here, and a cloud that lives through a year can not keep it all.
Obsolete: once moto keeps them only when it is asked to, and puts the metrics of namespace AWS/SNS.
"""

from __future__ import annotations

from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sns.models import Topic, sns_backends

from localcloud.core.context import CloudContext
from localcloud.core.patching import wrap
from localcloud.services.cloudwatch.seam import MetricName, metric_store

CERTIFICATES_KEPT = 100


def install(context: CloudContext) -> None:
    """Publish messages without keeping them, and count them."""
    metrics = TopicMetrics(context)

    def forgetting(original: Any) -> Any:
        def publish(self: Topic, *arguments: Any, **keywords: Any) -> Any:
            answer = original(self, *arguments, **keywords)
            self.sent_notifications.clear()
            metrics.count(self, arguments[0] if arguments else keywords.get("message", ""))
            certificates = sns_backends[DEFAULT_ACCOUNT_ID][self.sns_backend.region_name]._message_public_keys
            for name in list(certificates)[:-CERTIFICATES_KEPT]:
                certificates.pop(name, None)
            return answer

        return publish

    wrap(Topic, "publish", forgetting)


class TopicMetrics:
    """The metrics of namespace AWS/SNS."""

    def __init__(self, context: CloudContext) -> None:
        self._metrics = metric_store(context)

    def count(self, topic: Topic, message: str) -> None:
        """Count a message that was published."""
        dimensions = {"TopicName": topic.name}
        self._metrics.put(MetricName.of("AWS/SNS", "NumberOfMessagesPublished", dimensions), 1, unit="Count")
        size = float(len(message.encode()))
        self._metrics.put(MetricName.of("AWS/SNS", "PublishSize", dimensions), size, unit="Bytes")
