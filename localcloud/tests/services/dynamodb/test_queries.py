"""A query finds what moto's own finds, and does not cost what else the table holds."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from moto.backends import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table

from support.growth import calls
from support.in_process import Client, Cloud

ITEMS = [("a", "x#1"), ("a", "x#2"), ("a", "x#3"), ("a", "y#1"), ("a", "x"), ("b", "x#1"), ("b", "y#2")]


@pytest.fixture
def client(cloud: Cloud) -> Client:
    client = cloud.client("dynamodb")
    client.create_table(
        TableName="records",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "state")],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by_state",
                "KeySchema": [
                    {"AttributeName": "state", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    for number, (partition, name) in enumerate(ITEMS):
        state = {"state": {"S": "good" if number % 2 else "bad"}} if number < 5 else {}
        put(client, partition, name, n={"N": str(number)}, **state)
    return client


def put(client: Client, partition: str, name: str, **attributes: dict[str, str]) -> None:
    client.put_item(TableName="records", Item={"pk": {"S": partition}, "sk": {"S": name}, **attributes})


def query(client: Client, condition: str, values: dict[str, str], **more: Any) -> tuple[list[tuple[str, str]], int]:
    """All pages of it, and how many items were looked at."""
    arguments: dict[str, Any] = {
        "TableName": "records",
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": {f":{name}": {"S": value} for name, value in values.items()},
        **more,
    }
    items: list[tuple[str, str]] = []
    scanned = 0
    while True:
        page = client.query(**arguments)
        items += [(item["pk"]["S"], item["sk"]["S"]) for item in page["Items"]]
        scanned += page["ScannedCount"]
        if "LastEvaluatedKey" not in page:
            return items, scanned
        arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]


@pytest.mark.parametrize(
    ("condition", "values", "index"),
    [
        ("pk = :p", {"p": "a"}, None),
        ("pk = :p", {"p": "nobody"}, None),
        ("pk = :p AND begins_with(sk, :x)", {"p": "a", "x": "x#"}, None),
        ("pk = :p AND begins_with(sk, :x)", {"p": "b", "x": "z"}, None),
        ("pk = :p AND sk BETWEEN :x AND :y", {"p": "a", "x": "x#2", "y": "y"}, None),
        ("pk = :p AND sk > :x", {"p": "a", "x": "x#1"}, None),
        ("pk = :p AND sk = :x", {"p": "a", "x": "x"}, None),
        ("#s = :s", {"s": "bad"}, "by_state"),
        ("#s = :s AND begins_with(sk, :x)", {"s": "bad", "x": "x#"}, "by_state"),
        ("#s = :s", {"s": "nobody's"}, "by_state"),
    ],
)
def test_it_finds_what_moto_finds(
    client: Client, monkeypatch: pytest.MonkeyPatch, condition: str, values: dict[str, str], index: str | None
) -> None:
    indexed = {"IndexName": index, "ExpressionAttributeNames": {"#s": "state"}} if index is not None else {}
    # From either end, and on pages of any size.
    ways = [
        {"ScanIndexForward": forward, **({"Limit": limit} if limit else {}), **indexed}
        for forward in (True, False)
        for limit in (None, 1, 2, 9)
    ]
    found = [query(client, condition, values, **way) for way in ways]
    # WHEN the same is asked of moto as it was shipped
    monkeypatch.setattr(Table, "query", inspect.getclosurevars(Table.query).nonlocals["original"])
    assert found == [query(client, condition, values, **way) for way in ways]


def test_a_filter_sees_what_the_keys_name(client: Client) -> None:
    more = {"FilterExpression": "sk <> :y"}
    assert query(client, "pk = :p", {"p": "b", "y": "y#2"}, **more) == ([("b", "x#1")], 2)


def test_an_index_that_is_not_there_is_refused(client: Client) -> None:
    with pytest.raises(client.exceptions.ClientError, match="Invalid index"):
        query(client, "#s = :s", {"s": "bad"}, IndexName="by_name", ExpressionAttributeNames={"#s": "state"})


def test_other_items_cost_it_nothing(client: Client) -> None:
    """Those of the partition are looked at, once each; those of others are not."""
    table = get_backend("dynamodb")[DEFAULT_ACCOUNT_ID]["us-east-1"].get_table("records")

    def cost() -> float:
        key, bound = DynamoType({"S": "a"}), DynamoType({"S": "x#"})
        start: Any = None  # what moto hands on where a request has none
        return calls(lambda: table.query(key, "BEGINS_WITH", [bound], 10, start, True, None))

    before = cost()
    for number in range(200):
        put(client, "b", f"x#{number:03d}")
    assert cost() == before
    for number in range(200):
        put(client, "a", f"z#{number:03d}")
    assert cost() <= before + 3 * 200
