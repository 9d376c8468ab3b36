"""What SageMaker says of endpoints: that one changes at this moment, that something is not there, what there is.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html
"""

from __future__ import annotations

from typing import Any

UNDER_WAY = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
"""The states in which a call that changes an endpoint is refused."""


def is_not_there(error: Exception) -> bool:
    """Whether the endpoint, configuration or model that was asked for does not exist.

    SageMaker answers with a ``ValidationException`` then, as to a request that is wrong: its words tell them apart.
    """
    return "Could not find" in str(error)


def names_with(client: Any, operation: str, key: str, name: str, contains: str) -> list[str]:
    """The names that hold a text, of all that SageMaker lists by an operation."""
    arguments: dict[str, Any] = {"NameContains": contains, "MaxResults": 100}
    found: list[str] = []
    while True:
        page = getattr(client, operation)(**arguments)
        found += [each[name] for each in page[key]]
        if not page.get("NextToken"):
            return found
        arguments["NextToken"] = page["NextToken"]
