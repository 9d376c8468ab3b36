"""What DynamoDB refuses for its size: items and transactions.

Replaces: a limit of items 4,600 bytes before the service's, and none of transactions.
Why: an application that goes past them works here and fails on AWS.
Obsolete: once moto has the service's own figures (published quotas as of November 2026).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from moto.dynamodb.exceptions import ItemSizeTooLarge, MockValidationException
from moto.dynamodb.models.dynamo_type import DynamoType, LimitedSizeDict

from localcloud.core.context import CloudContext
from localcloud.core.patching import replace

LARGEST_ITEM_BYTES = 400 * 1024
LARGEST_TRANSACTION_BYTES = 4 * 1024 * 1024


def install(_context: CloudContext) -> None:
    """Refuse what is too large."""
    replace(LimitedSizeDict, "__setitem__", _limited_item)


def _limited_item(self: LimitedSizeDict, key: str, value: Any) -> None:
    """Moto stops 4,600 bytes before DynamoDB does."""
    size = sum(map(_size, self.keys())) + sum(map(_size, self.values())) + _size(key) + _size(value)
    if size > LARGEST_ITEM_BYTES:
        raise ItemSizeTooLarge
    dict.__setitem__(self, key, value)


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
