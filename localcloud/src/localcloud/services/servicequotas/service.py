"""Service Quotas."""

from __future__ import annotations

from localcloud.services.service import Service

SERVICE = Service(
    package="localcloud.services.servicequotas",
    signing_name="servicequotas",
    backend="servicequotas",
    hooks=("hook",),
    resources=(),
    accesses=None,
)
"""All of Service Quotas in the local cloud: what the account may do."""
