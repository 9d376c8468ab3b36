"""Lambda."""

from __future__ import annotations

from localcloud.services.service import Service

SERVICE = Service(
    package="localcloud.services.lambda_",
    signing_name="lambda",
    backend="awslambda",
    hooks=("hook",),
    settings="lambda",
    resources=("resource", "version_resource"),
)
