"""Systems Manager's parameters."""

from __future__ import annotations

from localcloud.services.service import Service, refusals

SERVICE = Service(
    package="localcloud.services.ssm",
    signing_name="ssm",
    backend="ssm",
    hooks=("limits",),
    follows_clock=True,
    refused=refusals(
        {"SendCommand CreateMaintenanceWindow CreateDocument": "there are no machines here: invoke a function"}
    ),
)
