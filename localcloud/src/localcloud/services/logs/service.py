"""CloudWatch Logs."""

from __future__ import annotations

from localcloud.services.service import Service

SERVICE = Service(
    package="localcloud.services.logs",
    signing_name="logs",
    backend="logs",
    hooks=("hook",),
    follows_clock=True,
)
