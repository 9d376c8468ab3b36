"""What the services refuse for its size, where moto takes it.

Figures are AWS's published quotas as of November 2026. Those of Lambda, HTTP APIs and Firehose stand with their own
parts, those of a state's size and of SQS are moto's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.core.responses import BaseResponse
from moto.dynamodb.exceptions import ItemSizeTooLarge, MockValidationException
from moto.dynamodb.models.dynamo_type import DynamoType, LimitedSizeDict
from moto.iam.exceptions import LimitExceededException
from moto.iam.models import IAMBackend
from moto.s3.exceptions import S3ClientError
from moto.s3.models import S3Backend
from moto.sns.exceptions import InvalidParameterValue
from moto.sns.models import SNSBackend
from moto.ssm.exceptions import ValidationException
from moto.ssm.models import SimpleSystemManagerBackend

from localcloud.core.constraints import message, operation_of, violations
from localcloud.core.context import CloudContext
from localcloud.core.patching import replace

CONSTRAINED = frozenset({"athena", "events", "glue", "sagemaker", "stepfunctions"})
"""Services whose requests are held against the lengths in their description."""

BUSY = frozenset({"GetQueryExecution", "GetQueryResults", "DescribeTrainingJob", "DescribeProcessingJob"})
"""Requests that carry nothing but a name, and come often."""

INVALID = {"athena": "InvalidRequestException"}

LONGEST_QUERY_BYTES = 262_144
LARGEST_EVENTS_BYTES = 1_048_576
"""Of all entries of one PutEvents together; 262,144 until January 2026."""
LARGEST_ITEM_BYTES = 400 * 1024
LARGEST_TRANSACTION_BYTES = 4 * 1024 * 1024
LONGEST_KEY_BYTES = 1024
LARGEST_ROLE_POLICIES = 10_240
LARGEST_MANAGED_POLICY = 6_144
LARGEST_PARAMETER = 4096
LARGEST_NOTIFICATION_BYTES = 262_144
"""SNS kept its limit when SQS, EventBridge and asynchronous invocations went to a megabyte."""


def install(_context: CloudContext) -> None:
    """Refuse what is too large."""
    replace(BaseResponse, "call_action", _constrained)
    replace(LimitedSizeDict, "__setitem__", _limited_item)
    replace(S3Backend, "put_object", _limited_key)
    replace(S3Backend, "create_multipart_upload", _limited_key)
    replace(IAMBackend, "put_role_policy", _limited_role)
    replace(IAMBackend, "create_policy", _limited_policy)
    replace(SimpleSystemManagerBackend, "put_parameter", _limited_parameter)
    replace(SNSBackend, "publish", _limited_notification)


def _constrained(original: Any) -> Any:
    def call_action(self: BaseResponse) -> Any:
        found = _request_problem(self) if self.service_name in CONSTRAINED else ""
        if not found:
            return original(self)
        error = JsonRESTError(INVALID.get(str(self.service_name), "ValidationException"), found)
        headers = dict(error.get_headers() or [])
        return 400, headers, error.description

    return call_action


def _request_problem(response: BaseResponse) -> str:
    action = response._get_action()
    if action in BUSY:
        return ""
    operation = operation_of(str(response.service_name), action)
    try:
        parameters = json.loads(response.body or "{}")
    except (TypeError, ValueError):
        return ""
    if operation is None or not isinstance(parameters, dict):
        return ""
    if action == "StartQueryExecution":
        size = len(str(parameters.get("QueryString", "")).encode())
        if size > LONGEST_QUERY_BYTES:
            return f"Query string has {size} bytes: it may have {LONGEST_QUERY_BYTES} in UTF-8"
    found = violations(operation, parameters)
    return message(found) if found else ""


def _limited_item(_original: Any) -> Any:
    """Moto stops 4,600 bytes before DynamoDB does."""

    def set_item(self: LimitedSizeDict, key: str, value: Any) -> None:
        size = sum(map(_size, self.keys())) + sum(map(_size, self.values())) + _size(key) + _size(value)
        if size > LARGEST_ITEM_BYTES:
            raise ItemSizeTooLarge
        dict.__setitem__(self, key, value)

    return set_item


def _size(value: Any) -> int:
    return value.size() if isinstance(value, DynamoType) else len(str(value).encode())


def check_transaction(items: Iterable[Mapping[str, Any]]) -> None:
    """Refuse a transaction that is too large.

    Raises
    ------
    MockValidationException
        Above 4 MB; moto itself counts the items.
    """
    size = sum(_bytes(write.get("Item") or write.get("Key") or {}) for item in items for write in item.values())
    if size > LARGEST_TRANSACTION_BYTES:
        raise MockValidationException(
            f"Transaction request cannot be larger than {LARGEST_TRANSACTION_BYTES} bytes (it has {size})"
        )


def _bytes(item: Mapping[str, Any]) -> int:
    return sum(len(name.encode()) + DynamoType(value).size() for name, value in item.items())


def check_events(entries: Iterable[Mapping[str, Any]]) -> None:
    """Refuse entries that are too large together.

    Raises
    ------
    JsonRESTError
        ValidationException.
    """
    size = sum(map(_entry_bytes, entries))
    if size > LARGEST_EVENTS_BYTES:
        raise JsonRESTError(
            "ValidationException",
            "1 validation error detected: Total size of the entries in the request is over the limit: "
            f"{size} bytes, at most {LARGEST_EVENTS_BYTES}.",
        )


def _entry_bytes(entry: Mapping[str, Any]) -> int:
    texts: Iterable[str] = [
        entry.get("Source"),
        entry.get("DetailType"),
        entry.get("Detail"),
        *entry.get("Resources", []),
    ]
    return sum(len(text.encode()) for text in texts if text) + (14 if entry.get("Time") else 0)


def _limited_key(original: Any) -> Any:
    def with_key(self: S3Backend, bucket_name: str, key_name: str, *rest: Any, **more: Any) -> Any:
        if len(key_name.encode()) > LONGEST_KEY_BYTES:
            raise S3ClientError("KeyTooLongError", "Your key is too long")
        return original(self, bucket_name, key_name, *rest, **more)

    return with_key


def _limited_role(original: Any) -> Any:
    def put_role_policy(self: IAMBackend, role_name: str, policy_name: str, policy_json: str) -> None:
        others = [text for name, text in self.get_role(role_name).policies.items() if name != policy_name]
        if sum(map(_without_space, [*others, policy_json])) > LARGEST_ROLE_POLICIES:
            raise LimitExceededException(
                f"Maximum policy size of {LARGEST_ROLE_POLICIES} bytes exceeded for role {role_name}"
            )
        original(self, role_name, policy_name, policy_json)

    return put_role_policy


def _limited_policy(original: Any) -> Any:
    def create_policy(
        self: IAMBackend, description: str, path: str, policy_document: str, policy_name: str, tags: Any
    ) -> Any:
        if _without_space(policy_document) > LARGEST_MANAGED_POLICY:
            raise LimitExceededException(f"Cannot exceed quota for PolicySize: {LARGEST_MANAGED_POLICY}")
        return original(self, description, path, policy_document, policy_name, tags)

    return create_policy


def _without_space(policy: str) -> int:
    """IAM counts no white space."""
    return len("".join(policy.split()))


def _limited_parameter(original: Any) -> Any:
    def put_parameter(self: Any, name: str, description: str, value: str, *rest: Any, **more: Any) -> Any:
        if value and len(value) > LARGEST_PARAMETER and "Advanced" not in (more.get("tier"), *rest):
            raise ValidationException(
                f"Standard tier parameters support a maximum parameter value of {LARGEST_PARAMETER} characters. To "
                "create a larger parameter value, upgrade the parameter to use the advanced-parameter tier."
            )
        return original(self, name, description, value, *rest, **more)

    return put_parameter


def _limited_notification(original: Any) -> Any:
    def publish(self: SNSBackend, message: str, *rest: Any, **more: Any) -> Any:
        if len(message.encode()) > LARGEST_NOTIFICATION_BYTES:
            raise InvalidParameterValue("Invalid parameter: Message too long")
        return original(self, message, *rest, **more)

    return publish
