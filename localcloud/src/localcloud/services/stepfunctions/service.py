"""Step Functions."""

from __future__ import annotations

from localcloud.services.service import Service

SERVICE = Service(
    package="localcloud.services.stepfunctions",
    signing_name="states",
    backend="stepfunctions",
    hooks=("hook", "limits"),
)
