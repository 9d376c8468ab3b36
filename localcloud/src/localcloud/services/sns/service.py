"""SNS."""

from __future__ import annotations

from localcloud.services.service import Service, metrics_of

SERVICE = Service(
    package="localcloud.services.sns",
    signing_name="sns",
    backend="sns",
    hooks=("hook", "limits"),
    has_one_url=False,
    metrics=metrics_of("AWS/SNS", "NumberOfMessagesPublished PublishSize"),
)
