"""What moto's DynamoDB answers is the same by the shorter way."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ParamValidationError
from moto import mock_aws

from tests.fakes.aws import REGION, aws_client
from tests.fakes.moto_without_http import ACTIONS
from tests.fakes.registry_table import TABLE, create_table

KEY = {"pk": {"S": "MODEL#a"}, "sk": {"S": "RUN#1"}}
OTHER = {"pk": {"S": "MODEL#a"}, "sk": {"S": "RUN#2"}}
ITEM = {
    **KEY,
    "state_pk": {"S": "x"},
    "state_sk": {"S": "é✓"},
    "n": {"N": "1.50"},
    "b": {"BOOL": False},
    "none": {"NULL": True},
    "l": {"L": [{"S": ""}, {"M": {"deep": {"N": "-7"}}}]},
    "names": {"SS": ["a", "b"]},
}
NEW: dict[str, Any] = {"TableName": TABLE, "ConditionExpression": "attribute_not_exists(pk)"}
ADD: dict[str, Any] = {
    "TableName": TABLE,
    "UpdateExpression": "SET #n = if_not_exists(#n, :z) + :o",
    "ExpressionAttributeNames": {"#n": "n"},
    "ExpressionAttributeValues": {":z": {"N": "0"}, ":o": {"N": "1"}},
}
GONE: dict[str, Any] = {"TableName": TABLE, "Key": KEY}
PAGE = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": "MODEL#a"}}}
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("put_item", {"TableName": TABLE, "Item": ITEM}),
    ("put_item", {**NEW, "Item": ITEM}),
    ("put_item", {**NEW, "Item": ITEM, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}),
    ("put_item", {"TableName": TABLE, "Item": {**OTHER, "raw": {"B": b"\x00\xff"}}}),
    ("put_item", {"TableName": TABLE, "Item": {"pk": {"S": ""}, "sk": {"S": "x"}}}),
    ("put_item", {"TableName": TABLE, "Item": {"pk": {"S": "no sort key"}}}),
    ("put_item", {"TableName": "no such table", "Item": ITEM}),
    ("put_item", {"TableName": TABLE}),
    ("put_item", {"TableName": TABLE, "Item": {**KEY, "n": {"N": 7}}}),
    ("get_item", {"TableName": TABLE, "Key": KEY, "ConsistentRead": True}),
    ("get_item", {"TableName": TABLE, "Key": OTHER}),
    ("get_item", {"TableName": TABLE, "Key": {**KEY, "sk": {"S": "not there"}}}),
    ("get_item", {"TableName": TABLE, "Key": KEY, "ProjectionExpression": "l, n"}),
    ("get_item", {"TableName": TABLE, "Key": {"pk": {"S": "half"}}}),
    ("update_item", {**ADD, "Key": KEY, "ReturnValues": "ALL_NEW"}),
    ("update_item", {**ADD, "Key": KEY, "ConditionExpression": "#n > :z AND #n < :o"}),
    ("update_item", {**ADD, "Key": KEY, "UpdateExpression": "SET nonsense"}),
    ("query", {"TableName": TABLE, **PAGE, "Limit": 1}),
    ("query", {"TableName": TABLE, **PAGE, "ExclusiveStartKey": KEY, "ScanIndexForward": True}),
    ("query", {"TableName": TABLE, **PAGE, "Select": "COUNT", "ReturnConsumedCapacity": "TOTAL"}),
    ("query", {"TableName": TABLE, "IndexName": "no such index", **PAGE}),
    ("query", {"TableName": TABLE, "IndexName": "by_state", "KeyConditionExpression": "state_pk = :s",
               "ExpressionAttributeValues": {":s": {"S": "x"}}}),
    ("transact_write_items", {"TransactItems": [{"Update": {**ADD, "Key": KEY}}, {"Put": {**NEW, "Item": ITEM}}]}),
    ("transact_write_items", {"TransactItems": [{"Update": {**ADD, "Key": OTHER}}, {"Delete": GONE}]}),
    ("transact_write_items", {"TransactItems": [{"Put": {**NEW, "Item": ITEM}}, {"Put": {**NEW, "Item": ITEM}}]}),
    ("transact_write_items", {"TransactItems": []}),
    ("transact_get_items", {"TransactItems": [{"Get": {"TableName": TABLE, "Key": k}} for k in (KEY, OTHER)]}),
    ("delete_item", {"TableName": TABLE, "Key": OTHER, "ReturnValues": "ALL_OLD"}),
    ("scan", {"TableName": TABLE}),
]  # fmt: skip


def told(client: Any) -> list[tuple[str, Any]]:
    """What each call answers, or how it is refused."""
    with mock_aws():
        create_table(client)
        return [(name, _said(client, name, parameters)) for name, parameters in CALLS]


def _said(client: Any, name: str, parameters: dict[str, Any]) -> Any:
    try:
        answer = getattr(client, name)(**parameters)
    except ClientError as error:
        return type(error).__name__, str(error), _without_transport(error.response)
    except ParamValidationError as error:
        return "not sent", str(error)
    return _without_transport(answer)


def _without_transport(answer: Any) -> Any:
    metadata = answer["ResponseMetadata"]
    now = parsedate_to_datetime(metadata["HTTPHeaders"]["date"])
    assert abs(datetime.now(UTC) - now) < timedelta(minutes=5)
    kept = {"status": metadata["HTTPStatusCode"], "attempts": metadata["RetryAttempts"], "zone": now.tzinfo}
    return {**answer, "ResponseMetadata": kept}


def test_both_ways_answer_alike() -> None:
    usual = boto3.client("dynamodb", REGION, aws_access_key_id="testing", aws_secret_access_key="testing")
    for shorter, longer in zip(told(aws_client("dynamodb")), told(usual), strict=True):
        assert shorter == longer


def test_every_action_is_tried_and_each_is_refused_or_answered() -> None:
    assert {re.sub("_", "", name) for name, _ in CALLS} == {action.lower() for action in ACTIONS}
    kinds = [type(said) for _, said in told(aws_client("dynamodb"))]
    assert kinds.count(tuple) >= 8
    assert kinds.count(dict) >= 12


def test_what_was_given_and_answered_is_nobodys_but_the_callers() -> None:
    client = aws_client("dynamodb")
    given: dict[str, Any] = {**KEY, "l": {"L": [{"S": "a"}]}}
    with mock_aws():
        create_table(client)
        client.put_item(TableName=TABLE, Item=given)
        given["l"]["L"].append({"S": "b"})
        client.get_item(TableName=TABLE, Key=KEY)["Item"]["l"]["L"].clear()
        assert client.get_item(TableName=TABLE, Key=KEY)["Item"]["l"] == {"L": [{"S": "a"}]}


def test_each_test_has_an_account_of_its_own() -> None:
    client = aws_client("dynamodb")
    with mock_aws():
        create_table(client)
    with mock_aws(), pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_item(TableName=TABLE, Key=KEY)
