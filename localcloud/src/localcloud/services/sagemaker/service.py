"""SageMaker."""

from __future__ import annotations

from localcloud.services.service import Service

SERVICE = Service(
    package="localcloud.services.sagemaker",
    signing_name="sagemaker",
    backend="sagemaker",
    hooks=("hook", "limits"),
    follows_clock=True,
    resources=(),
    settings="sagemaker",
    has_one_url=False,
    executes=lambda path: path == "/",  # moto answers the runtime's invocations without running a model
)
