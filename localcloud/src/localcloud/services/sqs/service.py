"""SQS."""

from __future__ import annotations

from localcloud.services.service import Service, metrics_of

SERVICE = Service(
    package="localcloud.services.sqs",
    signing_name="sqs",
    backend="sqs",
    hooks=("hook", "metrics"),
    metrics=metrics_of(
        "AWS/SQS",
        "ApproximateAgeOfOldestMessage ApproximateNumberOfMessagesDelayed ApproximateNumberOfMessagesNotVisible "
        "ApproximateNumberOfMessagesVisible NumberOfEmptyReceives NumberOfMessagesDeleted NumberOfMessagesReceived "
        "NumberOfMessagesSent SentMessageSize",
    ),
    has_one_url=False,
)
