"""STS."""

from __future__ import annotations

from localcloud.services.service import Service

SERVICE = Service(
    package="localcloud.services.sts",
    signing_name="sts",
    backend="sts",
    resources=(),
)
