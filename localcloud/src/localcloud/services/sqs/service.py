"""SQS."""

from __future__ import annotations

from localcloud.services.service import Service

SERVICE = Service(
    package="localcloud.services.sqs",
    signing_name="sqs",
    backend="sqs",
    hooks=("hook",),
    has_one_url=False,
)
