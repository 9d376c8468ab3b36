"""DynamoDB's queries look at what their key condition names, and not at the whole table.

Replaces: a sort of all that a table holds and then of the partition, and a measurement of each of the partition's
    items, before each page of an answer.
Why: a query of three items costs as much as the table has grown to.
Obsolete: once moto finds a partition by its key and keeps it in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from moto.dynamodb.models.dynamo_type import DDBType, DynamoType, Item
from moto.dynamodb.models.table import Table

from localcloud.core.context import CloudContext
from localcloud.core.patching import wrap


def install(_context: CloudContext) -> None:
    """Let a query cost what it finds."""
    narrow()


def narrow() -> None:
    """The same, where there is moto and no local cloud around it."""

    def narrowed(original: Any) -> Any:
        def query(
            self: Table,
            hash_key: DynamoType | None,
            range_comparison: str | None,
            range_objs: list[DynamoType],
            limit: int,
            exclusive_start_key: dict[str, Any],
            scan_index_forward: bool,
            projection_expressions: list[list[str]] | None,
            index_name: str | None = None,
            *rest: Any,
            **named: Any,
        ) -> Any:
            found = self
            if index_name is not None:
                found = _of_index(self, dict(named.get("hash_key_conditions") or []))
            elif hash_key is not None:
                found = _of_partition(self, hash_key, range_comparison, range_objs)
            asked = (limit, exclusive_start_key, scan_index_forward, projection_expressions, index_name)
            return original(found, hash_key, range_comparison, range_objs, *asked, *rest, **named)

        return query

    wrap(Table, "query", narrowed)


def _of_partition(table: Table, hash_key: DynamoType, comparison: str | None, values: list[DynamoType]) -> Table:
    """The table as if it held nothing but what the condition on its own keys names."""
    items = table.items.get(hash_key, {})
    if table.range_key_attr and comparison:
        named = _condition(comparison, values)
        items = {key: item for key, item in items.items() if named(key)}
    return _holding(table, {hash_key: items} if items else {})


def _condition(comparison: str, values: list[DynamoType]) -> Callable[[DynamoType], bool]:
    """Whether a range key is named, as moto compares it."""
    if comparison == "BEGINS_WITH" and values[0].type == DDBType.STRING:
        # The usual question, and a partition has many keys: moto looks for the type of each again.
        prefix = values[0].value
        return lambda key: key.value.startswith(prefix)
    return lambda key: bool(key.compare(comparison, values))


def _of_index(table: Table, wanted: dict[str, DynamoType]) -> Table:
    """The table as if it held nothing but the items that have the index's hash key as it is asked for."""
    if not wanted:
        return table
    if not table.range_key_attr:
        return _holding(table, {key: item for key, item in _items(table) if _has(item, wanted)})
    found: dict[DynamoType, Any] = {}
    for key, partition in table.items.items():
        matching = {name: item for name, item in partition.items() if _has(item, wanted)}
        if matching:
            found[key] = matching
    return _holding(table, found)


def _items(table: Table) -> Iterator[tuple[DynamoType, Any]]:
    """What a table without a range key holds by its hash keys: the items. Moto's type says partitions."""
    yield from table.items.items()


def _has(item: Item, wanted: dict[str, DynamoType]) -> bool:
    return all(name in item.attrs and item.attrs[name] == value for name, value in wanted.items())


def _holding(table: Table, items: dict[DynamoType, Any]) -> Table:
    """A view of the table with these items, for reading; it is not a table of moto's list."""
    view: Table = object.__new__(type(table))
    vars(view).update(vars(table))
    view.items = items  # type: ignore[assignment]  # moto builds them as a defaultdict
    return view
