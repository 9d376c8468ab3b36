"""What Step Functions refuses for its length.

moto takes lengths that the API's description rules out; superfluous once it does not.
"""

from __future__ import annotations

from moto.stepfunctions.responses import StepFunctionResponse

from localcloud.core.constraints import constrain
from localcloud.core.context import CloudContext


def install(_context: CloudContext) -> None:
    """Refuse what is too large."""
    constrain(StepFunctionResponse, "stepfunctions")
