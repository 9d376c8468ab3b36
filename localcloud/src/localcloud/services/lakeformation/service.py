"""Lake Formation."""

from __future__ import annotations

from localcloud.services.service import Service

SERVICE = Service(
    package="localcloud.services.lakeformation",
    signing_name="lakeformation",
    backend="lakeformation",
    hooks=("hook",),
    resources=(),
    accesses=None,
    has_one_url=False,
)
"""All of Lake Formation in the local cloud: whether it governs the catalogue."""
