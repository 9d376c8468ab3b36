"""A transaction happens as a whole or not at all, for the cost of what it changes."""

from __future__ import annotations

from typing import Any

import pytest
from moto.backends import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID

from support.growth import calls
from support.in_process import Client, Cloud

Value = dict[str, Any]
"""A typed value, as DynamoDB writes it."""

Item = dict[str, Value]

Operation = dict[str, dict[str, Any]]
"""A part of a transaction: a Put, Update or Delete."""

KEYS = {"pk": "HASH", "sk": "RANGE"}


@pytest.fixture(params=[("pk",), ("pk", "sk")], ids=["hash key", "hash and range key"])
def table(cloud: Cloud, request: pytest.FixtureRequest) -> Records:
    client = cloud.client("dynamodb")
    client.create_table(
        TableName="records",
        KeySchema=[{"AttributeName": name, "KeyType": KEYS[name]} for name in request.param],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in request.param],
        BillingMode="PAY_PER_REQUEST",
    )
    return Records(client, request.param)


class Records:
    """A table with items of one partition, or of one each."""

    def __init__(self, client: Client, names: tuple[str, ...]) -> None:
        self.client, self.names = client, names

    def key(self, name: str) -> Item:
        return {
            "pk": {"S": name if len(self.names) == 1 else "all"},
            **({"sk": {"S": name}} if len(self.names) > 1 else {}),
        }

    def put(self, name: str, **attributes: Value) -> None:
        self.client.put_item(TableName="records", Item={**self.key(name), **attributes})

    def all(self) -> list[Item]:
        return sorted(self.client.scan(TableName="records")["Items"], key=str)

    def write(self, *operations: Operation) -> None:
        self.client.transact_write_items(TransactItems=list(operations))

    def updating(self, name: str, **more: Any) -> Operation:
        update = {"UpdateExpression": "SET #v.#k = :v, n = :v", "ExpressionAttributeValues": {":v": {"N": "9"}}}
        names = {"#v": "value", "#k": "kept"}
        return {
            "Update": {
                "TableName": "records",
                "Key": self.key(name),
                "ExpressionAttributeNames": names,
                **update,
                **more,
            }
        }

    def creating(self, name: str) -> Operation:
        update = {"UpdateExpression": "ADD n :one", "ExpressionAttributeValues": {":one": {"N": "1"}}}
        return {"Update": {"TableName": "records", "Key": self.key(name), **update}}

    def putting(self, name: str, **more: Any) -> Operation:
        return {"Put": {"TableName": "records", "Item": {**self.key(name), "n": {"N": "9"}}, **more}}

    def deleting(self, name: str) -> Operation:
        return {"Delete": {"TableName": "records", "Key": self.key(name)}}


VALUE: dict[str, Value] = {"value": {"M": {"kept": {"N": "1"}, "list": {"L": [{"S": "a"}]}}}, "n": {"N": "1"}}


def test_of_one_that_is_refused_nothing_stays(table: Records) -> None:
    # GIVEN items; WHEN a transaction changes, replaces, removes and adds some, and its last condition does not hold
    for name in ("updated", "replaced", "removed"):
        table.put(name, **VALUE)
    before = table.all()
    refused = table.putting("never", ConditionExpression="attribute_exists(pk)")
    changes = [
        table.updating("updated"),
        table.putting("replaced"),
        table.deleting("removed"),
        table.creating("added"),
        table.putting("put"),
    ]
    with pytest.raises(table.client.exceptions.TransactionCanceledException, match="ConditionalCheckFailed"):
        table.write(*changes, refused)
    # THEN all is as it was, to the innermost value; AND without that condition all of it happens
    assert table.all() == before
    table.write(*changes)
    after = {str(item): item for item in table.all()}
    assert len(after) == 4
    assert sorted(item["n"]["N"] for item in after.values()) == ["1", "9", "9", "9"]


def test_it_costs_what_it_changes_however_much_the_table_holds(table: Records) -> None:
    backend = get_backend("dynamodb")[DEFAULT_ACCOUNT_ID]["us-east-1"]

    def cost(held: int) -> float:
        for number in range(held):
            table.put(str(number), **VALUE)
        return calls(lambda: backend.transact_write_items([table.updating("0")]))

    few, many = cost(4), cost(64)
    assert many < 2 * few


def test_every_type_of_value_comes_back_as_it_was_put(table: Records) -> None:
    values: dict[str, Value] = {
        "a": {"S": "text"},
        "b": {"N": "1.50"},
        "c": {"B": b"\x00\xff"},
        "d": {"SS": ["x", "y"]},
        "e": {"NS": ["1", "2"]},
        "f": {"BS": [b"\x01", b"\x02"]},
        "g": {"M": {"S": {"S": "named as a type"}, "in": {"M": {"L": {"L": [{"NULL": True}, {"B": b"z"}]}}}}},
        "h": {"L": [{"BOOL": False}, {"M": {}}, {"L": []}, {"S": ""}]},
        "i": {"NULL": True},
        "j": {"BOOL": True},
    }
    table.put("one", **values)
    found = table.client.get_item(TableName="records", Key=table.key("one"))["Item"]
    assert {name: value for name, value in found.items() if name not in table.names} == values
    assert table.all() == [found]
