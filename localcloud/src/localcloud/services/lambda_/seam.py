"""What other services may use: functions, invoked in this process."""

from __future__ import annotations

from localcloud.services.lambda_.current import lambda_service
from localcloud.services.lambda_.runtime.exceptions import (
    LambdaServiceError,
    RequestTooLargeError,
    TooManyRequestsError,
)
from localcloud.services.lambda_.runtime.functions import Resolved, split_name
from localcloud.services.lambda_.runtime.invoker import MAX_SYNC_PAYLOAD_BYTES, InvocationResult, Invoker
from localcloud.services.lambda_.runtime.store import FunctionStore

__all__ = [
    "MAX_SYNC_PAYLOAD_BYTES",
    "FunctionStore",
    "InvocationResult",
    "Invoker",
    "LambdaServiceError",
    "RequestTooLargeError",
    "Resolved",
    "TooManyRequestsError",
    "lambda_service",
    "split_name",
]
