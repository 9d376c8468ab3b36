"""A request that is nested too deeply to be read is refused as one; the cloud has not failed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.in_process import Cloud

DEPTH = 20_000
"""No Python reads so many; 3.13 reads ten times as many as 3.11, and what it can read is refused for what it says."""


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("dynamodb", "put_item", {"TableName": "t", "Item": {}}),
        ("sqs", "send_message", {"QueueUrl": "http://q", "MessageBody": "m"}),
        ("stepfunctions", "start_execution", {"stateMachineArn": "arn:aws:states:::m"}),
        ("lambda", "create_alias", {"FunctionName": "f", "Name": "a", "FunctionVersion": "1"}),
    ],
)
def test_a_body_of_brackets_is_400(cloud: Cloud, service: str, operation: str, parameters: dict[str, Any]) -> None:
    client = cloud.client(service)
    deep = json.dumps({"TableName": "t"})[:-1] + ', "Item": ' + '{"M":' * DEPTH + "1" + "}" * (DEPTH + 1)

    def swap(params: dict[str, Any], **_: Any) -> None:
        params["body"] = deep.encode()

    client.meta.events.register(f"before-call.{service}", swap)
    try:
        with pytest.raises(ClientError, match=r"SerializationException.*nested 20,001 deep"):
            getattr(client, operation)(**parameters)
    finally:  # the next test has the same client
        client.meta.events.unregister(f"before-call.{service}", swap)
