"""moto's DynamoDB by a shorter way: a call reaches moto's own action without becoming an HTTP request between.

The parameters are checked by botocore, the action is moto's, its answer is written by moto and read by botocore. Left
out is what lies between: the request, its address, and the look through all services for the one it is for. That is
half of a call. ``tests/test_moto_without_http.py`` holds both ways to the same answers.
"""

from __future__ import annotations

import json
from typing import Any

from botocore.model import OperationModel
from botocore.parsers import create_parser
from botocore.validate import ParamValidator
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.models import DEFAULT_ACCOUNT_ID, botocore_stubber
from moto.core.responses import BaseResponse
from moto.core.utils import utcnow
from moto.dynamodb.responses import DynamoHandler
from moto.utilities.utils import get_partition
from werkzeug.http import http_date

from tests.helpers.present import present

ACTIONS = frozenset(
    {"DeleteItem", "GetItem", "PutItem", "Query", "Scan", "TransactGetItems", "TransactWriteItems", "UpdateItem"}
)
"""Of which tests make thousands of calls; the others go the usual way."""

_STUBBER: BotocoreStubber = botocore_stubber
_parser = create_parser("json")
_validator = ParamValidator()


def shorten(client: Any, region: str) -> Any:
    """Let a DynamoDB client of this region call moto's actions; what is not answered so goes the usual way.

    That are other actions, parameters with bytes in them, and all calls outside of ``mock_aws``.
    """
    usual = client._make_api_call

    def call(operation: str, parameters: dict[str, Any]) -> Any:
        if operation not in ACTIONS or not _STUBBER.enabled:
            return usual(operation, parameters)
        model = client.meta.service_model.operation_model(operation)
        problems = _validator.validate(parameters, model.input_shape)
        try:
            text = None if problems.has_errors() else json.dumps(parameters)
        except TypeError:
            text = None
        if text is None:
            return usual(operation, parameters)
        answer, status = _answer(model, json.loads(text), region)
        if status >= 300:
            code = answer.get("Error", {}).get("Code")
            raise client.exceptions.from_code(code)(answer, operation)
        return answer

    client._make_api_call = call
    return client


def _answer(model: OperationModel, parameters: dict[str, Any], region: str) -> tuple[Any, int]:
    handler = DynamoHandler()
    handler.headers = {
        "X-Amz-Target": f"{model.metadata['targetPrefix']}.{model.name}",
        "Content-Type": "application/x-amz-json-1.0",
    }
    # The registry takes the table's own time from its answers.
    handler.response_headers = {"server": "amazon.com", "date": http_date(utcnow())}
    handler.method, handler.uri, handler.path = "POST", "/", "/"
    handler.region, handler.partition, handler.current_account = region, get_partition(region), DEFAULT_ACCOUNT_ID
    handler.querystring = handler.data = {}
    handler.body = handler.params = parameters
    status, headers, body = BaseResponse.call_action(handler)
    said = {"status_code": int(status), "headers": headers, "body": body.encode() if isinstance(body, str) else body}
    answer = _parser.parse(said, present(model.output_shape))
    if int(status) >= 300:
        shape = model.service_model.shape_for_error_code(answer.get("Error", {}).get("Code"))
        if shape is not None:
            answer.update(_parser.parse(said, shape))
    answer["ResponseMetadata"]["RetryAttempts"] = 0
    return answer, int(status)
