"""What SageMaker refuses for its length.

moto takes lengths that the API's description rules out; superfluous once it does not.
"""

from __future__ import annotations

from moto.sagemaker.responses import SageMakerResponse

from localcloud.core.constraints import constrain
from localcloud.core.context import CloudContext


def install(_context: CloudContext) -> None:
    """Refuse what is too large."""
    constrain(SageMakerResponse, "sagemaker")
