"""KMS."""

from __future__ import annotations

from localcloud.services.service import Service

SERVICE = Service(
    package="localcloud.services.kms",
    signing_name="kms",
    backend="kms",
    hooks=("hook",),
)
