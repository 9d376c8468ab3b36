"""Athena."""

from __future__ import annotations

from localcloud.services.service import Service

SERVICE = Service(
    package="localcloud.services.athena",
    signing_name="athena",
    backend="athena",
    hooks=("hook", "limits"),
)
