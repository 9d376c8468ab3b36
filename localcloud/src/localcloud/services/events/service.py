"""EventBridge."""

from __future__ import annotations

from localcloud.services.service import Service

SERVICE = Service(
    package="localcloud.services.events",
    signing_name="events",
    backend="events",
    hooks=("hook", "limits"),
    follows_clock=True,
)
