"""What Athena refuses for its size.

Replaces: lengths and sizes that moto takes and the API's description or quota rules out (published as of November
    2026).
Why: an application that goes past them works here and fails on AWS.
Obsolete: once moto holds requests to the service's own description and quotas.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.athena.responses import AthenaResponse

from localcloud.core.constraints import constrain
from localcloud.core.context import CloudContext

LONGEST_QUERY_BYTES = 262_144


def install(_context: CloudContext) -> None:
    """Refuse what is too large."""
    constrain(AthenaResponse, "athena", code="InvalidRequestException", also=_long_query)


def _long_query(action: str, parameters: Mapping[str, Any]) -> str | None:
    if action != "StartQueryExecution":
        return None
    size = len(str(parameters.get("QueryString", "")).encode())
    if size <= LONGEST_QUERY_BYTES:
        return None
    return f"Query string has {size} bytes: it may have {LONGEST_QUERY_BYTES} in UTF-8"
