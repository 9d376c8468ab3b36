"""Secrets Manager, as moto has it."""

from __future__ import annotations

from localcloud.services.service import Service, refusals

SERVICE = Service(
    package="localcloud.services.secretsmanager",
    signing_name="secretsmanager",
    backend="secretsmanager",
    resources=(),
    accesses=None,
    refused=refusals({"RotateSecret": "put the new value with PutSecretValue"}),
)
