"""What the account may do: quotas, and who governs the data catalogue.

Accounts differ, and a new one most of all: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

LARGEST_FUNCTION_MB = 10_240
LEAST_UNRESERVED = 10
"""Concurrent executions that reservations must leave, at least, in an account of this size and more."""


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
        Instances of each type that the jobs of one kind have at once, that endpoints have, and that all endpoints have
        together; often 0 in a new account.
    serverless_concurrency : int
        Of all serverless endpoints together, each with what it may answer at once; 10 in many a new account.
    lake_formation : bool
        Whether Lake Formation governs new databases and tables, rather than IAM alone.
    managed_layers : bool
        Whether the region has AWS's own layers.
    """

    lambda_memory_mb: int = LARGEST_FUNCTION_MB
    lambda_concurrency: int = 1_000
    sagemaker_instances: int = 20
    serverless_concurrency: int = 200
    lake_formation: bool = False
    managed_layers: bool = True


KINDS = {
    "established": Account(),
    "new": Account(lambda_memory_mb=3_008, lambda_concurrency=10, sagemaker_instances=0, serverless_concurrency=10),
    "lake-formation": Account(lake_formation=True),
    "no-layers": Account(managed_layers=False),
}
"""Accounts that a local cloud can be: one whose quotas were raised, a new one, one in which Lake Formation governs the
data catalogue, and one in a region without AWS's own layers."""


def instances_quota(instance_type: str, job: str) -> str:
    """What Service Quotas calls SageMaker's instances of a type for a kind of job."""
    return f"{instance_type} for {job} job usage"


def endpoint_quota(instance_type: str) -> str:
    """What Service Quotas calls SageMaker's instances of a type for endpoints."""
    return f"{instance_type} for endpoint usage"


OF_ALL_ENDPOINTS = "Number of instances across active endpoints"
"""What Service Quotas calls SageMaker's instances of all types for endpoints."""

OF_ALL_SERVERLESS = "Maximum total concurrency that can be allocated across all serverless endpoints"
"""What Service Quotas calls the requests that all serverless endpoints together may answer at once."""

GRANTED_AFTER = timedelta(days=1)
"""How long a request for more waits. On AWS it is minutes for some and days for others, and some are refused."""


@dataclass(frozen=True)
class Increase:
    """A request for more of a quota: what for, how much, and when it was made."""

    request_id: str
    service: str
    quota: str
    value: float
    asked_at: datetime

    def is_granted(self, now: datetime) -> bool:
        """Whether it has waited long enough."""
        return now >= self.asked_at + GRANTED_AFTER


class Increases:
    """The requests for more that were made of an account; each is granted after a day."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: list[Increase] = []

    def ask(self, increase: Increase) -> None:
        """Make a request."""
        with self._lock:
            self._made.append(increase)

    def of(self, service: str, quota: str) -> list[Increase]:
        """The requests for a quota, oldest first."""
        with self._lock:
            return [increase for increase in self._made if (increase.service, increase.quota) == (service, quota)]

    def find(self, request_id: str) -> Increase | None:
        """The request of that id; None where there is none."""
        with self._lock:
            return next((increase for increase in self._made if increase.request_id == request_id), None)

    def value(self, service: str, quota: str, before: float, now: datetime) -> float:
        """A quota as it stands, that was ``before`` when nobody had asked for more."""
        return max([before, *(each.value for each in self.of(service, quota) if each.is_granted(now))])
