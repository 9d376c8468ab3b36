"""EventBridge Scheduler."""

from __future__ import annotations

from localcloud.services.service import Service

SERVICE = Service(
    package="localcloud.services.scheduler",
    signing_name="scheduler",
    backend="scheduler",
    hooks=("hook",),
    follows_clock=True,
    has_one_url=False,
)
