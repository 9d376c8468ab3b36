"""CloudWatch."""

from __future__ import annotations

from localcloud.services.service import Service

SERVICE = Service(
    package="localcloud.services.cloudwatch",
    signing_name="monitoring",
    backend="cloudwatch",
    iam_prefix="cloudwatch",
    hooks=("hook",),
)
