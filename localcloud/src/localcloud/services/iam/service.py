"""IAM."""

from __future__ import annotations

from localcloud.services.service import Service

SERVICE = Service(
    package="localcloud.services.iam",
    signing_name="iam",
    backend="iam",
    hooks=("limits", "managed_policies"),
    follows_clock=True,
)
