"""DynamoDB."""

from __future__ import annotations

from localcloud.services.service import Service

SERVICE = Service(
    package="localcloud.services.dynamodb",
    signing_name="dynamodb",
    backend="dynamodb",
    hooks=("hook", "limits", "transactions", "queries", "answers"),
)
