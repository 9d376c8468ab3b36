"""CloudFormation."""

from __future__ import annotations

from localcloud.services.service import Service

SERVICE = Service(
    package="localcloud.services.cloudformation",
    signing_name="cloudformation",
    backend="cloudformation",
    hooks=("hook",),
    resources=(),
    executes=lambda path: path == "/",
)
