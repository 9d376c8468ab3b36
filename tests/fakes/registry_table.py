"""The registry's table in moto's DynamoDB, and a client that fails the way networks do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from moto.dynamodb.models import dynamodb_backends

from tests.fakes.aws import ACCOUNT, REGION, aws_client
from tests.fakes.built_once import built_once

TABLE = "everloop"


def create_table(client: Any) -> None:
    """The table as the platform's template declares it."""
    names = ("pk", "sk", "state_pk", "state_sk", "snapshot_pk", "snapshot_sk")
    client.create_table(
        TableName=TABLE,
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in names],
        KeySchema=_keys("pk", "sk"),
        GlobalSecondaryIndexes=[_index("by_state", "state"), _index("by_snapshot", "snapshot")],
        BillingMode="PAY_PER_REQUEST",
    )


def dynamodb() -> Any:
    """A client inside ``mock_aws``, with the table created."""
    found = aws_client("dynamodb")
    built_once("the table", lambda: create_table(found))
    return found


def table_is_empty() -> bool:
    """Whether nothing has been written to the table that :func:`dynamodb` created."""
    return not dynamodb_backends[ACCOUNT][REGION].tables[TABLE].items


def alter(client: Any, sort_key: str, name: str, value: dict[str, Any] | None, *, model: str = "flights") -> None:
    """Change an attribute of an item behind the registry's back; None takes it away."""
    change = {"UpdateExpression": "REMOVE #n"} if value is None else {"UpdateExpression": "SET #n = :v"}
    values = {} if value is None else {"ExpressionAttributeValues": {":v": value}}
    key = {"pk": {"S": f"MODEL#{model}"}, "sk": {"S": sort_key}}
    client.update_item(TableName=TABLE, Key=key, ExpressionAttributeNames={"#n": name}, **change, **values)


def _keys(hash_key: str, range_key: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": hash_key, "KeyType": "HASH"},
        {"AttributeName": range_key, "KeyType": "RANGE"},
    ]


def _index(name: str, prefix: str) -> dict[str, Any]:
    return {
        "IndexName": name,
        "KeySchema": _keys(f"{prefix}_pk", f"{prefix}_sk"),
        "Projection": {"ProjectionType": "ALL"},
    }


class UnreliableClient:
    """Passes calls on; transactions may fail before or after they are written, or be overtaken.

    Attributes
    ----------
    faults : list of str
        What happens to the next transactions: ``before`` (not sent), ``after`` (written, the answer lost),
        ``twice`` (sent twice, the second answer counts), ``fine``.
    overtake : callable or None
        Run once, just before the next transaction is sent: another writer who comes first.
    page_size : int or None
        The most items one page of a query holds.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self.faults: list[str] = []
        self.overtake: Callable[[], Any] | None = None
        self.page_size: int | None = None
        self.transactions = 0

    @property
    def is_disturbed(self) -> bool:
        """Whether the next calls are to go otherwise than they were sent."""
        return bool(self.faults or self.overtake or self.page_size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def query(self, **arguments: Any) -> Any:
        if self.page_size is not None:
            arguments["Limit"] = min(arguments.get("Limit", self.page_size), self.page_size)
        return self._client.query(**arguments)

    def transact_write_items(self, **arguments: Any) -> Any:
        if self.overtake is not None:
            first, self.overtake = self.overtake, None
            first()
        self.transactions += 1
        fault = self.faults.pop(0) if self.faults else "fine"
        if fault == "before":
            raise EndpointConnectionError(endpoint_url="https://dynamodb")
        answer = self._client.transact_write_items(**arguments)
        if fault == "after":
            raise ReadTimeoutError(endpoint_url="https://dynamodb")
        if fault == "twice":
            return self._client.transact_write_items(**arguments)
        return answer
