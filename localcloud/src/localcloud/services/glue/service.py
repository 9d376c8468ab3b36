"""Glue."""

from __future__ import annotations

from localcloud.services.service import Service

SERVICE = Service(
    package="localcloud.services.glue",
    signing_name="glue",
    backend="glue",
    hooks=("limits",),
)
