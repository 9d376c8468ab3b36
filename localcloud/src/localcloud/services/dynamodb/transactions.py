"""DynamoDB's transactions keep what they change, and not a copy of the whole table.

Replaces: a deep copy of every table that a transaction names, made before each one.
Why: a transaction costs as much as all that the table holds: it grows with every item ever written.
Obsolete: once moto keeps only the items that a transaction changes.
"""

from __future__ import annotations

import copy
from contextvars import ContextVar
from typing import Any

from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table

from localcloud.core.context import CloudContext
from localcloud.core.patching import add, wrap

_within_transaction: ContextVar[bool] = ContextVar("within_transaction", default=False)


def install(_context: CloudContext) -> None:
    """Let a transaction cost what it changes."""
    keep_what_changes()


def keep_what_changes() -> None:
    """The same, where there is moto and no local cloud around it."""

    def within(original: Any) -> Any:
        def transact_write_items(self: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
            token = _within_transaction.set(True)
            try:
                original(self, transact_items)
            finally:
                _within_transaction.reset(token)

        return transact_write_items

    def renewing(original: Any) -> Any:
        def update_item(self: DynamoDBBackend, table_name: str, key: dict[str, Any], *rest: Any, **named: Any) -> Any:
            if _within_transaction.get():
                _renew(self.get_table(table_name), key)
            return original(self, table_name, key, *rest, **named)

        return update_item

    wrap(DynamoDBBackend, "transact_write_items", within)
    wrap(DynamoDBBackend, "update_item", renewing)
    add(Table, "__deepcopy__", _copy)


def _copy(table: Table, memo: dict[int, Any]) -> Table:
    """A copy of a table; what a transaction copies has the very items, of which none changes any more."""
    copied: Table = object.__new__(type(table))  # not by moto, which keeps what it makes
    memo[id(table)] = copied
    for name, value in vars(table).items():
        same = name == "items" and _within_transaction.get()
        vars(copied)[name] = _same_items(value) if same else copy.deepcopy(value, memo)
    return copied


def _same_items(items: dict[DynamoType, Any]) -> dict[DynamoType, Any]:
    """The items in containers of their own: with a range key, a partition is one more."""
    copied = copy.copy(items)
    for key, found in copied.items():
        if not isinstance(found, Item):
            copied[key] = dict(found)
    return copied


def _renew(table: Table, key: dict[str, Any]) -> None:
    """Put a copy in the place of the item that an update is about to change."""
    names = [table.hash_key_attr, *([table.range_key_attr] if table.range_key_attr else [])]
    if not all(name in key for name in names):
        return  # The update refuses it.
    hash_key, *range_key = (DynamoType(key[name]) for name in names)
    items, last = (table.items.get(hash_key, {}), range_key[0]) if range_key else (table.items, hash_key)
    found = items.get(last)
    if found is not None:
        items[last] = copy.deepcopy(found)
