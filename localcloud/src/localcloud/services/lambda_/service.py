"""Lambda."""

from __future__ import annotations

from localcloud.services.service import Service, metrics_of

SERVICE = Service(
    package="localcloud.services.lambda_",
    signing_name="lambda",
    backend="awslambda",
    hooks=("hook",),
    settings="lambda",
    resources=("resource", "version_resource"),
    metrics=metrics_of("AWS/Lambda", "Invocations Errors Throttles Duration PostRuntimeExtensionsDuration"),
)
