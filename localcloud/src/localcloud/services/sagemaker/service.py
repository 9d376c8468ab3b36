"""SageMaker."""

from __future__ import annotations

import re

from localcloud.services.service import Service, metrics_of

_PATHS = re.compile(r"/|/endpoints/[^/]+/invocations")

SERVICE = Service(
    package="localcloud.services.sagemaker",
    signing_name="sagemaker",
    backend="sagemaker",
    hooks=("hook", "hosting_hook", "limits"),
    follows_clock=True,
    resources=("resource",),
    settings="sagemaker",
    has_one_url=False,
    executes=lambda path: _PATHS.fullmatch(path) is not None,  # the rest of the runtime's API is not executed
    metrics=metrics_of(
        "AWS/SageMaker",
        "Invocations InvocationsPerInstance Invocation4XXErrors Invocation5XXErrors InvocationModelErrors ModelLatency"
        " OverheadLatency",
    ),
)
