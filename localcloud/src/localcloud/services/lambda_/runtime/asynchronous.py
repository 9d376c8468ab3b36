"""Asynchronous invocation: a queue in front of a function, with retries, a dead letter and destinations."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from localcloud.core.activity import Activity
from localcloud.core.clock import Clock
from localcloud.services.lambda_.runtime.exceptions import (
    LambdaServiceError,
    RequestTooLargeError,
    TooManyRequestsError,
)
from localcloud.services.lambda_.runtime.functions import Resolved
from localcloud.services.lambda_.runtime.invoker import InvocationResult, Invoker
from localcloud.services.lambda_.runtime.policies import PolicyStore
from localcloud.services.lambda_.runtime.store import FunctionStore

log = logging.getLogger(__name__)

MAX_ASYNC_PAYLOAD_BYTES = 1_048_576
RETRY_AFTER = (timedelta(minutes=1), timedelta(minutes=2))
_THROTTLED_AGAIN_AFTER = timedelta(seconds=1)
_DEFAULT_MAX_AGE_SECONDS = 21_600
_THREADS = 16


@dataclass(frozen=True)
class _Event:
    name: str
    qualifier: str | None
    payload: bytes
    request_id: str
    accepted_at: datetime
    attempt: int = 1


@dataclass(frozen=True)
class _Policy:
    retries: int
    max_age_seconds: int
    destinations: dict[str, str]


class AsynchronousInvoker:
    """Takes events and sees each of them to its end.

    Parameters
    ----------
    deliver : callable
        Role ARN, target ARN and body → sends a dead letter or destination record as the function's role.
    """

    def __init__(
        self,
        *,
        store: FunctionStore,
        policies: PolicyStore,
        invoker: Invoker,
        clock: Clock,
        activity: Activity,
        deliver: Callable[[str, str, str, dict[str, str]], None],
    ) -> None:
        self._store = store
        self._policies = policies
        self._invoker = invoker
        self._clock = clock
        self._activity = activity
        self._deliver = deliver
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="lambda-async")

    def accept(self, name: str, qualifier: str | None, payload: bytes) -> str:
        """Queue an event; it holds an activity token from here on.

        Returns
        -------
        str
            The request id, the same for all its attempts.
        """
        if len(payload) > MAX_ASYNC_PAYLOAD_BYTES:
            raise RequestTooLargeError(
                f"{len(payload)} byte payload is too large for the Event invocation type "
                f"(limit {MAX_ASYNC_PAYLOAD_BYTES} bytes)"
            )
        self._store.resolve(name, qualifier)
        event = _Event(name, qualifier, payload, str(uuid.uuid4()), self._clock.now())
        self._submit(event)
        return event.request_id

    def _submit(self, event: _Event) -> None:
        label = f"lambda async {event.name}"
        self._activity.enter(label)

        def attempt() -> None:
            try:
                self._attempt(event)
            except Exception:  # a thread of the pool has no caller to tell
                log.exception("asynchronous invocation %s of %s failed", event.request_id, event.name)
            finally:
                self._activity.leave(label)

        self._threads.submit(attempt)

    def _attempt(self, event: _Event) -> None:
        try:
            resolved = self._store.resolve(event.name, event.qualifier)
        except LambdaServiceError as error:
            log.warning("event %s for %s is dropped: %s", event.request_id, event.name, error)
            return
        policy = self._policy(resolved)
        try:
            result = self._invoker.run(resolved, event.payload, event.request_id)
        except TooManyRequestsError:
            self._later(event, _THROTTLED_AGAIN_AFTER, event.attempt)
            return
        if result.function_error is None:
            if "OnSuccess" in policy.destinations:
                self._send(event, resolved, policy.destinations["OnSuccess"], result, "Success")
            return
        delay = RETRY_AFTER[min(event.attempt, len(RETRY_AFTER)) - 1]
        age = (self._clock.now() + delay - event.accepted_at).total_seconds()
        if event.attempt <= policy.retries and age <= policy.max_age_seconds:
            self._later(event, delay, event.attempt + 1)
            return
        condition = "RetriesExhausted" if event.attempt > policy.retries else "EventAgeExceeded"
        self._give_up(event, resolved, policy, result, condition)

    def _later(self, event: _Event, delay: timedelta, attempt: int) -> None:
        again = _Event(event.name, event.qualifier, event.payload, event.request_id, event.accepted_at, attempt)
        due = self._clock.now() + delay
        self._clock.call_at(due, lambda: self._submit(again), label=f"lambda retry {event.name}")

    def _policy(self, resolved: Resolved) -> _Policy:
        config: dict[str, Any] = self._policies.event_config(resolved.version.name, resolved.qualifier) or {}
        destinations = {
            kind: target["Destination"]
            for kind, target in (config.get("DestinationConfig") or {}).items()
            if target and target.get("Destination")
        }
        return _Policy(
            config.get("MaximumRetryAttempts", len(RETRY_AFTER)),
            config.get("MaximumEventAgeInSeconds", _DEFAULT_MAX_AGE_SECONDS),
            destinations,
        )

    def _give_up(
        self, event: _Event, resolved: Resolved, policy: _Policy, result: InvocationResult, condition: str
    ) -> None:
        version = resolved.version
        if version.dead_letter_arn:
            attributes = {
                "RequestID": event.request_id,
                "ErrorCode": "200",
                "ErrorMessage": _error_message(result)[:1024],
            }
            self._deliver(version.role, version.dead_letter_arn, event.payload.decode(), attributes)
        if "OnFailure" in policy.destinations:
            self._send(event, resolved, policy.destinations["OnFailure"], result, condition)

    def _send(self, event: _Event, resolved: Resolved, target: str, result: InvocationResult, condition: str) -> None:
        record = {
            "version": "1.0",
            "timestamp": self._clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "requestContext": {
                "requestId": event.request_id,
                "functionArn": resolved.invoked_arn,
                "condition": condition,
                "approximateInvokeCount": event.attempt,
            },
            "requestPayload": json.loads(event.payload or b"{}"),
            "responseContext": {
                "statusCode": 200,
                "executedVersion": result.executed_version,
                **({"functionError": result.function_error} if result.function_error else {}),
            },
            "responsePayload": json.loads(result.payload) if result.payload else None,
        }
        self._deliver(resolved.version.role, target, json.dumps(record), {})


def _error_message(result: InvocationResult) -> str:
    try:
        return str(json.loads(result.payload).get("errorMessage", ""))
    except (ValueError, AttributeError):
        return ""
