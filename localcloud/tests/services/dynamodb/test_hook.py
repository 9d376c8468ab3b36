"""DynamoDB under threads, and transactions that come twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.in_process import Client, Cloud


@pytest.fixture
def dynamodb(cloud: Cloud) -> Client:
    client = cloud.client("dynamodb")
    client.create_table(
        TableName="records",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return client


def add(pk: str = "counter") -> dict[str, Any]:
    return {
        "TableName": "records",
        "Key": {"pk": {"S": pk}},
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }


def count(dynamodb: Client, pk: str = "counter") -> int:
    return int(dynamodb.get_item(TableName="records", Key={"pk": {"S": pk}})["Item"]["n"]["N"])


@pytest.mark.parametrize("way", ["update", "transaction"])
def test_no_update_is_lost_under_threads(dynamodb: Client, way: str) -> None:
    def once(_: int) -> None:
        if way == "update":
            dynamodb.update_item(**add())
        else:
            dynamodb.transact_write_items(TransactItems=[{"Update": add()}])

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(once, range(160)))
    assert count(dynamodb) == 160


def test_one_of_many_conditional_writes_wins(dynamodb: Client) -> None:
    def claim(number: int) -> int:
        try:
            dynamodb.put_item(
                TableName="records",
                Item={"pk": {"S": "lock"}, "owner": {"N": str(number)}},
                ConditionExpression="attribute_not_exists(pk)",
            )
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return 0
        return 1

    with ThreadPoolExecutor(16) as threads:
        assert sum(threads.map(claim, range(48))) == 1


def test_a_transaction_with_the_same_token_happens_once(cloud: Cloud, dynamodb: Client) -> None:
    transaction = {"TransactItems": [{"Update": add()}], "ClientRequestToken": "one"}
    dynamodb.transact_write_items(**transaction)
    dynamodb.transact_write_items(**transaction)
    assert count(dynamodb) == 1
    cloud.advance(minutes=10)
    dynamodb.transact_write_items(**transaction)
    assert count(dynamodb) == 2


def test_the_same_token_with_other_items_is_refused(dynamodb: Client) -> None:
    dynamodb.transact_write_items(TransactItems=[{"Update": add()}], ClientRequestToken="one")
    with pytest.raises(dynamodb.exceptions.IdempotentParameterMismatchException):
        dynamodb.transact_write_items(TransactItems=[{"Update": add("other")}], ClientRequestToken="one")


def test_a_refused_transaction_can_be_tried_again_with_its_token(dynamodb: Client) -> None:
    condition = {
        "Put": {
            "TableName": "records",
            "Item": {"pk": {"S": "x"}},
            "ConditionExpression": "attribute_exists(pk)",
        }
    }
    for _ in range(2):
        with pytest.raises(dynamodb.exceptions.TransactionCanceledException):
            dynamodb.transact_write_items(TransactItems=[condition], ClientRequestToken="one")


def test_streams_are_refused_by_name(cloud: Cloud) -> None:
    with pytest.raises(ClientError, match=r"UnknownOperationException.*does not execute ListStreams of dynamodb"):
        cloud.client("dynamodbstreams").list_streams()
    keys = {
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    dynamodb = cloud.client("dynamodb")
    with pytest.raises(ClientError, match=r"StreamSpecification: .*does not support DynamoDB streams"):
        dynamodb.create_table(TableName="streamed", StreamSpecification=stream, **keys)
    dynamodb.create_table(TableName="plain", StreamSpecification={"StreamEnabled": False}, **keys)
    with pytest.raises(ClientError, match=r"StreamSpecification: .*does not support DynamoDB streams"):
        dynamodb.update_table(TableName="plain", StreamSpecification=stream)

    assert dynamodb.list_tables()["TableNames"] == ["plain"]
