"""ECR: repositories, in which nothing can be put."""

from __future__ import annotations

from localcloud.services.service import Service

SERVICE = Service(
    package="localcloud.services.ecr",
    signing_name="ecr",
    backend="ecr",
    hooks=("hook",),
    follows_clock=True,
)
