"""What requests to DynamoDB need: each action with its table or index, and the partitions it reaches.

The condition key ``dynamodb:LeadingKeys`` holds the values of the partition key: the table's, or that of the index
which is queried. Where they can't be told from a request, a policy with that condition denies it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.parsing.key_condition_expression import parse_expression

from localcloud.iam.calls import Access, Call

_TRANSACT_ACTIONS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}

_BEFORE_THE_TABLE = {
    "SELECT": r"""(?:"[^"]*"|'[^']*'|[^"'])*?\bFROM\s*""",
    "INSERT": r"\s+INTO\s*",
    "UPDATE": r"\s*",
    "DELETE": r"\s+FROM\s*",
}
_TABLE = r"""(?P<table>"[^"]+"|[\w-]+)(?:\.(?P<index>"[^"]+"|[\w-]+))?"""
_PARTIQL = {
    verb: re.compile(rf"\s*(?:EXISTS\s*\(\s*)?{verb}\b{before}{_TABLE}", re.IGNORECASE)
    for verb, before in _BEFORE_THE_TABLE.items()
}
"""The beginning of a statement, up to its table."""

Item = Mapping[str, Any]
"""An item, or its key: attribute name to typed value."""


def accesses(call: Call) -> Iterable[Access] | None:
    """The accesses of a request. A transaction needs those of its parts."""
    params = call.params
    if "TransactItems" in params:
        return [
            _access(call, _TRANSACT_ACTIONS[kind], part["TableName"], [_item(part)])
            for entry in params["TransactItems"]
            for kind, part in entry.items()
        ]
    if isinstance(params.get("RequestItems"), dict):
        return [_access(call, call.action, name, _batch(part)) for name, part in params["RequestItems"].items()]
    statements = _statements(params)
    if statements:
        return [_stated(call, statement) for statement in statements]
    if params.get("TableName"):
        table, index = params["TableName"], params.get("IndexName")
        if call.action == "Query":
            return [_access(call, call.action, table, [_queried(call)], index)]
        return [_access(call, call.action, table, [_item(params)], index)]
    if params.get("ResourceArn"):
        return [Access(f"dynamodb:{call.action}", (params["ResourceArn"],))]
    return None


def _statements(params: Mapping[str, Any]) -> list[str]:
    """The PartiQL statements of ExecuteStatement, BatchExecuteStatement or ExecuteTransaction."""
    several = params.get("Statements") or params.get("TransactStatements") or []
    return [str(part.get("Statement")) for part in ([params] if params.get("Statement") else several)]


def _stated(call: Call, statement: str) -> Access:
    """What a PartiQL statement needs: the action of its verb, on its table or index.

    Its partition keys are not looked for, so a policy with a condition on them denies it.
    """
    for verb, pattern in _PARTIQL.items():
        if found := pattern.match(statement):
            arn = call.named_arn("dynamodb", "table/", found["table"].strip('"'))
            index = (found["index"] or "").strip('"')
            return Access(f"dynamodb:PartiQL{verb.capitalize()}", (f"{arn}/index/{index}" if index else arn,))
    return Access(f"dynamodb:{call.action}")


def _access(call: Call, action: str, table: str, items: list[Item], index: str | None = None) -> Access:
    arn = call.named_arn("dynamodb", "table/", table)
    values = _leading_keys(_schema(call, table, index), items)
    context = {"dynamodb:leadingkeys": values} if values else {}
    return Access(f"dynamodb:{action}", (f"{arn}/index/{index}" if index else arn,), context)


def _item(part: Item) -> Item:
    return part.get("Key") or part.get("Item") or {}


def _batch(part: Any) -> list[Item]:
    """The keys that BatchGetItem reads of one table, or the items and keys that BatchWriteItem writes."""
    if isinstance(part, dict):
        return list(part.get("Keys") or [])
    return [_item(request) for entry in part for request in entry.values()]


def _queried(call: Call) -> Item:
    """The key that a query's condition asks for, as moto will read the condition when it answers."""
    params = call.params
    schema = _schema(call, params["TableName"], params.get("IndexName"))
    try:
        partition, _sort, _names = parse_expression(
            key_condition_expression=params.get("KeyConditionExpression") or "",
            expression_attribute_values=params.get("ExpressionAttributeValues") or {},
            expression_attribute_names=params.get("ExpressionAttributeNames") or {},
            schema=schema,
        )
    except Exception:
        # moto asserts, indexes and raises as it parses; whatever it is, the answer to the request will be the same.
        return {}
    return dict(partition)


def _schema(call: Call, table: str, index: str | None) -> list[dict[str, Any]]:
    """The key schema of a table or an index; empty where there is none of that name."""
    try:
        return dynamodb_backends[call.account][call.region].get_schema(table, index)
    except JsonRESTError:
        return []


def _leading_keys(schema: list[dict[str, Any]], items: list[Item]) -> tuple[str, ...]:
    """The items' partition keys; none when that of any one can't be told."""
    names = [key["AttributeName"] for key in schema if key["KeyType"] == "HASH"]
    found = [value for item in items for value in _texts(item.get(names[0]))] if len(names) == 1 else []
    return tuple(found) if len(found) == len(items) else ()


def _texts(value: Any) -> Iterator[str]:
    """The one text of a typed value: ``{"S": "a"}`` or ``{"N": "1"}``."""
    if isinstance(value, dict) and len(value) == 1:
        yield from (text for text in value.values() if isinstance(text, str))
