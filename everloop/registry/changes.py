"""The writes a transaction is made of, each with the condition under which it may happen.

A condition's ``meaning`` is what an error says when it does not hold. Nothing is ever deleted, so that nobody needs the
permission to: a place that becomes free is written as vacant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.registry.items import Item, Record, attribute
from everloop.typed_json import JsonObject

if TYPE_CHECKING:
    from everloop.registry.records import Champion

Key = tuple[str, str]
"""Partition and sort key of a place in the table."""

VACANT = "vacant"
"""The one attribute of a place that nothing holds: the pointer to a version, or to the active run."""


@dataclass(frozen=True)
class Condition:
    """A condition expression of DynamoDB with its values, and what it means."""

    expression: str
    meaning: str
    names: dict[str, str]
    values: Item

    def arguments(self) -> JsonObject:
        """The condition as arguments of a write."""
        arguments: JsonObject = {"ConditionExpression": self.expression}
        if self.names:
            arguments["ExpressionAttributeNames"] = self.names
        if self.values:
            arguments["ExpressionAttributeValues"] = self.values
        return arguments


@dataclass(frozen=True)
class Change:
    """One write (``Put``) or check (``ConditionCheck``) of a transaction."""

    verb: str
    content: Item
    condition: Condition

    def as_action(self, table: str) -> JsonObject:
        """The element of ``TransactItems``."""
        body = "Item" if self.verb == "Put" else "Key"
        return {self.verb: {"TableName": table, body: self.content, **self.condition.arguments()}}


def absent(meaning: str) -> Condition:
    """The item does not exist yet."""
    return Condition("attribute_not_exists(pk)", meaning, {}, {})


def free(meaning: str) -> Condition:
    """The place was never taken, or is vacant."""
    return Condition("attribute_not_exists(pk) OR attribute_exists(#vacant)", meaning, {"#vacant": VACANT}, {})


def holds(meaning: str, **expected: str | int | None) -> Condition:
    """The item exists and its attributes have the expected values; of None, it has no such attribute."""
    given = {name: value for name, value in expected.items() if value is not None}
    clauses = [f"#{name} = :{name}" if name in given else f"attribute_not_exists(#{name})" for name in expected]
    return Condition(
        " AND ".join(clauses),
        meaning,
        {f"#{name}": name for name in expected},
        {f":{name}": attribute(value) for name, value in given.items()},
    )


def champion_is(champion: Champion | None) -> Condition:
    """The champion is this one, served by this function version; without one, the place is free."""
    if champion is None:
        return free("there is no champion")
    meaning = f"version {champion.version} is the champion, served by function version {champion.lambda_version}"
    return holds(meaning, version=champion.version, lambda_version=champion.lambda_version)


def create(record: Record, meaning: str) -> Change:
    """Write a record that does not exist yet."""
    return Change("Put", record.to_item(), absent(meaning))


def replace(record: Record, condition: Condition) -> Change:
    """Write a record over the one that meets ``condition``."""
    return Change("Put", record.to_item(), condition)


def occupy(record: Record, meaning: str) -> Change:
    """Take a place that is free."""
    return Change("Put", record.to_item(), free(meaning))


def vacate(place: Key, condition: Condition) -> Change:
    """Make a place vacant, if what holds it meets ``condition``."""
    return Change("Put", key_item(place) | {VACANT: attribute(True)}, condition)


def require(place: Key, condition: Condition) -> Change:
    """Write nothing, but only if what is in a place meets ``condition``."""
    return Change("ConditionCheck", key_item(place), condition)


def key_item(place: Key) -> Item:
    """A key as DynamoDB's client speaks it."""
    partition_key, sort_key = place
    return {"pk": {"S": partition_key}, "sk": {"S": sort_key}}
