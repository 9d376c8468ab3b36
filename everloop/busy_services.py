"""Tells a service that is busy, or down for a moment, from one that refuses.

The pipeline decides by an error's class name whether to try again. boto3 names an error after its code only where
the service's model lists it; the throttling of most services arrives as a plain ``ClientError``, like every refusal.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from everloop.exceptions import TransientError

BUSY_CODES = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
"""The codes that boto3 itself tries again after, for a second or two."""

BUSY_STATUSES = frozenset({500, 502, 503, 504})


class ServiceBusyError(TransientError):
    """A service throttled the request, failed, or was not reached; the same request may pass a little later."""


@contextmanager
def busy_services_named() -> Iterator[None]:
    """Raise what a busy service answers as :class:`ServiceBusyError`; other errors pass. Also a decorator.

    Raises
    ------
    ServiceBusyError
        With the service's own words.
    """
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if error.response["Error"]["Code"] not in BUSY_CODES and status not in BUSY_STATUSES:
            raise
        raise ServiceBusyError(f"{error}; try again in a minute") from error
    except (ConnectionError, HTTPClientError) as error:
        raise ServiceBusyError(f"{error}; try again in a minute") from error
