"""Firehose."""

from __future__ import annotations

from localcloud.services.service import Service

SERVICE = Service(
    package="localcloud.services.firehose",
    signing_name="firehose",
    backend="firehose",
    hooks=("hook",),
)
