"""What the account may do: quotas, and who governs the data catalogue.

Accounts differ, and a new one most of all: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html.
"""

from __future__ import annotations

from dataclasses import dataclass

LARGEST_FUNCTION_MB = 10_240
LEAST_UNRESERVED = 10
"""Concurrent executions that reservations have to leave, at least, in an account of this size and more."""


@dataclass(frozen=True)
class Account:
    """An account.

    Attributes
    ----------
    lambda_memory_mb : int
        The largest function; 3,008 in a new account.
    lambda_concurrency : int
        Functions that run at once; 10 in many a new account.
    sagemaker_instances : int
        Instances of each type that the jobs of one kind have at once; often 0 in a new account.
    lake_formation : bool
        Whether Lake Formation governs new databases and tables, rather than IAM alone.
    managed_layers : bool
        Whether the region has AWS's own layers.
    """

    lambda_memory_mb: int = LARGEST_FUNCTION_MB
    lambda_concurrency: int = 1_000
    sagemaker_instances: int = 20
    lake_formation: bool = False
    managed_layers: bool = True


KINDS = {
    "established": Account(),
    "new": Account(lambda_memory_mb=3_008, lambda_concurrency=10, sagemaker_instances=0),
    "lake-formation": Account(lake_formation=True),
    "no-layers": Account(managed_layers=False),
}
"""Accounts that a local cloud can be: one whose quotas were raised, a new one, one in which Lake Formation governs the
data catalogue, and one in a region without AWS's own layers."""
