"""What SageMaker says of an endpoint: that it changes at this moment, or that something is not there.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html
"""

from __future__ import annotations

UNDER_WAY = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
"""The states in which a call that changes an endpoint is refused."""


def is_not_there(error: Exception) -> bool:
    """Whether the endpoint, configuration or model that was asked for does not exist.

    SageMaker answers with a ``ValidationException`` then, as to a request that is wrong: its words tell them apart.
    """
    return "Could not find" in str(error)
