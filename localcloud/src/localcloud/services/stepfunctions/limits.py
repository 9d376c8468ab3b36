"""What Step Functions refuses for its length.

Replaces: lengths and sizes that moto takes and the API's description or quota rules out (published as of November
    2026).
Why: an application that goes past them works here and fails on AWS.
Obsolete: once moto holds requests to the service's own description and quotas.
"""

from __future__ import annotations

from moto.stepfunctions.responses import StepFunctionResponse

from localcloud.core.constraints import constrain
from localcloud.core.context import CloudContext


def install(_context: CloudContext) -> None:
    """Refuse what is too large."""
    constrain(StepFunctionResponse, "stepfunctions")
