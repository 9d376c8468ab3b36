"""How an API invokes the function behind it, in this process."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from localcloud.services.lambda_.seam import (
    MAX_SYNC_PAYLOAD_BYTES,
    FunctionStore,
    InvocationResult,
    Invoker,
    RequestTooLargeError,
    split_name,
)

_INVOCATION_ARN = re.compile(
    r"arn:[^:]+:apigateway:[^:]+:lambda:path/2015-03-31/functions/(?P<function>.+)/invocations\Z"
)
_slow_calls = ThreadPoolExecutor(32, thread_name_prefix="api-slow")


class InvocationForbiddenError(PermissionError):
    """The function's resource policy does not let API Gateway invoke it for this route."""


class _Gate(Protocol):
    def function_allows(self, function: str, qualifier: str | None, source_arn: str) -> bool:
        """Whether the function's resource policy lets API Gateway invoke it for this route."""


@dataclass(frozen=True)
class Functions:
    """Invokes functions as API Gateway does: under their resource policies, and not for longer than a timeout."""

    store: FunctionStore
    invoker: Invoker
    gate: _Gate

    def invoke(self, function_arn: str, source_arn: str, event: bytes, timeout_seconds: float) -> InvocationResult:
        """What the function answered, errors of its own included.

        Raises
        ------
        InvocationForbiddenError, TimeoutError
        LambdaServiceError
            As Lambda refuses it.
        """
        function, qualifier = split_name(function_arn, None)
        if not self.gate.function_allows(function, qualifier, source_arn):
            raise InvocationForbiddenError(f"{function_arn} does not let API Gateway invoke it for {source_arn}")
        if len(event) > MAX_SYNC_PAYLOAD_BYTES:
            raise RequestTooLargeError(
                f"the event has {len(event):,} bytes, and Lambda takes {MAX_SYNC_PAYLOAD_BYTES:,}"
            )
        resolved = self.store.resolve(function, qualifier)
        if resolved.version.timeout < timeout_seconds:
            return self.invoker.run(resolved, event, _invocation_id())
        # The function may go on for longer than the client is kept waiting.
        try:
            return _slow_calls.submit(self.invoker.run, resolved, event, _invocation_id()).result(timeout_seconds)
        except TimeoutError as error:
            raise TimeoutError(f"{function_arn} did not answer within {timeout_seconds:g} s") from error


def function_of(integration_uri: str) -> str:
    """The function or alias ARN of an integration URI, given plain or as an invocation ARN."""
    match = _INVOCATION_ARN.match(integration_uri)
    return match["function"] if match else integration_uri


def _invocation_id() -> str:
    raw = os.urandom(16).hex()
    return f"{raw[:8]}-{raw[8:12]}-4{raw[13:16]}-a{raw[17:20]}-{raw[20:]}"
