"""Calls that state machines make: under the machine's role, in the words of the service's own API.

Parameters and responses are put into the form of the service by its botocore model.

Replaces: calls with fixed credentials, whose parameters and responses are not normalised.
Why: a machine may do what its role may, and its paths are written for the service's own names.
Obsolete: once moto calls under the machine's role and normalises both.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

from botocore.config import Config
from botocore.model import OperationModel
from moto.core.utils import get_service_model
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_aws_sdk as aws_sdk,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import (
    StateTaskService,
)
from moto.stepfunctions.parser.utils import camel_to_snake_case

from localcloud.core.botocore_values import as_json
from localcloud.core.clients import make_client
from localcloud.core.context import CloudContext
from localcloud.core.patching import replace, replace_in_holders
from localcloud.iam.roles import role_credentials
from localcloud.services.stepfunctions.tokens import current_baton

_BOTO_NAMES = {
    "cloudwatchlogs": "logs",
    "eventbridge": "events",
    "sagemakerruntime": "sagemaker-runtime",
    "sfn": "stepfunctions",
    "states": "stepfunctions",
}
_ERROR_NAMES = {
    "athena": "Athena",
    "cloudwatch": "CloudWatch",
    "cloudwatchlogs": "CloudWatchLogs",
    "dynamodb": "DynamoDb",
    "eventbridge": "EventBridge",
    "firehose": "Firehose",
    "glue": "Glue",
    "lambda": "Lambda",
    "s3": "S3",
    "sagemaker": "SageMaker",
    "sfn": "Sfn",
    "sns": "Sns",
    "sqs": "Sqs",
    "ssm": "Ssm",
}
_SERVICE_PRINCIPAL = "states.amazonaws.com"


def attach(context: CloudContext) -> None:
    """Give the interpreter clients under the machine's role, and normalisation."""
    clients = RoleClients(context)

    def boto_client_for(region: str, service: str, state_credentials: Any = None) -> Any:
        return clients.get(service, region, state_credentials.role_arn)

    replace_in_holders("moto.stepfunctions.parser", "boto_client_for", boto_client_for)
    replace(StateTaskService, "_SERVICE_NAME_SFN_TO_BOTO_OVERRIDES", _BOTO_NAMES)
    replace(aws_sdk, "_SERVICE_ERROR_NAMES", _ERROR_NAMES)
    replace(StateTaskService, "_normalise_parameters", _normalise_parameters)
    replace(StateTaskService, "_normalise_response", _normalise_response)


class RoleClients:
    """boto3 clients by service and role; making one takes milliseconds."""

    def __init__(self, context: CloudContext) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str, str], Any] = {}

    def get(self, service: str, region: str, role_arn: str) -> Any:
        """The client of ``service`` under a role that Step Functions may assume."""
        machine = current_baton().machine_arn
        credentials = role_credentials(self._context, role_arn, "states", _SERVICE_PRINCIPAL, machine)
        key = (service, region, credentials["aws_access_key_id"])
        with self._lock:
            if key not in self._clients:
                self._clients[key] = make_client(
                    service,
                    region_name=region,
                    endpoint_url=self._context.endpoint,
                    config=Config(
                        parameter_validation=False,
                        retries={"total_max_attempts": 1},
                        read_timeout=900,
                        s3={"addressing_style": "path"},
                        inject_host_prefix=False,
                    ),
                    **credentials,
                )
            return self._clients[key]


@lru_cache(maxsize=512)
def _operation(service: str, action: str) -> OperationModel:
    model = get_service_model(service)
    names = {camel_to_snake_case(name): name for name in model.operation_names}
    if action not in names:
        raise ValueError(f"{service}: no API action {action!r} (it is written in lower camel case)")
    operation: OperationModel = model.operation_model(names[action])
    return operation


def _normalise_parameters(
    self: StateTaskService,
    parameters: dict[str, Any],
    boto_service_name: str | None = None,
    service_action_name: str | None = None,
) -> None:
    operation = _operation(
        self._get_boto_service_name(boto_service_name), self._get_boto_service_action(service_action_name)
    )
    if operation.input_shape is not None:
        self._to_boto_request(parameters, operation.input_shape)


def _normalise_response(
    self: StateTaskService,
    response: Any,
    boto_service_name: str | None = None,
    service_action_name: str | None = None,
) -> None:
    operation = _operation(
        self._get_boto_service_name(boto_service_name), self._get_boto_service_action(service_action_name)
    )
    if operation.output_shape is not None:
        self._from_boto_response(response, operation.output_shape)
    if isinstance(response, dict):
        plain = as_json(response)
        response.clear()
        response.update(plain)
