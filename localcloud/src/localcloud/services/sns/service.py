"""SNS."""

from __future__ import annotations

from localcloud.services.service import Service, metrics_of, refusals

SERVICE = Service(
    package="localcloud.services.sns",
    signing_name="sns",
    backend="sns",
    hooks=("hook", "deliveries", "limits"),
    has_one_url=False,
    metrics=metrics_of(
        "AWS/SNS", "NumberOfMessagesPublished NumberOfNotificationsDelivered NumberOfNotificationsFailed PublishSize"
    ),
    refused=refusals(
        {"CreatePlatformApplication CreatePlatformEndpoint": "subscribe a queue or a function to a topic"}
    ),
)
