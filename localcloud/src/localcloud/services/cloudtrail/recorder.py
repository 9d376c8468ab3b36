"""What is recorded of a call: who asked for what, as CloudTrail writes it.

The form is AWS's: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
and https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape
from moto.core.responses import BaseResponse
from moto.core.utils import get_service_model

from localcloud.core.context import CloudContext
from localcloud.iam.identities import Session, find_session
from localcloud.iam.signer import Signer
from localcloud.services.cloudtrail.history import Recorded, parameters_text

SOURCES: Mapping[str, str] = {"lambda": "lambda.amazonaws.com", "sagemaker": "sagemaker.amazonaws.com"}
"""Whose calls are recorded, by what requests are signed for."""

_READS = ("Get", "List", "Describe", "Search", "Query", "BatchGet", "Invoke")
_OPERATOR = "moto"
"""What the operator is called by STS as well."""

_NAMES_OF_LAMBDA = {
    operation: f"{operation}{date}"
    for date, operations in {
        "20150331": "CreateAlias CreateEventSourceMapping CreateFunction DeleteAlias DeleteEventSourceMapping"
        " DeleteFunction PublishVersion UpdateAlias UpdateEventSourceMapping",
        "20150331v2": "AddPermission RemovePermission UpdateFunctionCode UpdateFunctionConfiguration",
        "20170331v2": "TagResource UntagResource",
        "20171031": "DeleteFunctionConcurrency PutFunctionConcurrency",
        "20181031": "PublishLayerVersion",
    }.items()
    for operation in operations.split()
}
"""Events of Lambda that are not called as their operations
(https://docs.aws.amazon.com/lambda/latest/dg/logging-using-cloudtrail.html)."""


@dataclass(frozen=True)
class Answered:
    """How a call was answered; ``error`` is the code where it was refused."""

    status: int
    error: str = ""
    message: str = ""


@cache
def event_name(service: str, operation: str) -> str | None:
    """What CloudTrail calls an operation; None for one that changes nothing, or is no management event."""
    if operation.startswith(_READS) or operation not in get_service_model(service).operation_names:
        return None
    return _NAMES_OF_LAMBDA.get(operation, operation) if service == "lambda" else operation


@cache
def recorded_names() -> frozenset[str]:
    """All names that a recorded event may have."""
    names = (event_name(service, name) for service in SOURCES for name in get_service_model(service).operation_names)
    return frozenset(filter(None, names))


def maker(
    context: CloudContext, response: BaseResponse, signer: Signer, operation: str, at: datetime, answered: Answered
) -> Callable[[int], Recorded]:
    """Makes the record of a call from its number."""
    session = find_session(context.account_id, signer.access_key_id)
    event_id, name = str(uuid.uuid4()), event_name(signer.service, operation)
    parameters = _asked(response, signer.service, operation)
    event: dict[str, Any] = {
        "eventVersion": "1.11",
        "userIdentity": _identity(context, signer, session),
        "eventTime": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": SOURCES[signer.service],
        "eventName": name,
        "awsRegion": signer.region,
        "sourceIPAddress": "127.0.0.1",
        "userAgent": str(response.headers.get("User-Agent") or "")[:256],
        "requestParameters": parameters_text(parameters),
        "responseElements": None,
        "eventID": event_id,
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": context.account_id,
        "eventCategory": "Management",
    }
    if answered.status >= 400:
        event |= {"errorCode": answered.error or str(answered.status), "errorMessage": answered.message[:1024]}
    username = session.name if session else _OPERATOR
    text = json.dumps(event, default=str)

    def make(number: int) -> Recorded:
        source = SOURCES[signer.service]
        return Recorded(number, at, event_id, str(name), source, username, signer.access_key_id, text)

    return make


def _identity(context: CloudContext, signer: Signer, session: Session | None) -> dict[str, Any]:
    account = context.account_id
    if session is None:
        return {
            "type": "IAMUser",
            "principalId": "AIDOPERATOROFTHISCLOUD",
            "arn": f"arn:aws:sts::{account}:user/{_OPERATOR}",
            "accountId": account,
            "accessKeyId": signer.access_key_id,
            "userName": _OPERATOR,
        }
    return {
        "type": "AssumedRole",
        "principalId": f"{session.role_id}:{session.name}",
        "arn": session.arn,
        "accountId": account,
        "accessKeyId": signer.access_key_id,
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": session.role_id,
                "arn": session.role_arn,
                "accountId": account,
                "userName": session.role_arn.rpartition("/")[2],
            }
        },
    }


def _asked(response: BaseResponse, service: str, operation: str) -> dict[str, Any] | None:
    """The parameters by the service's model, their names as CloudTrail writes them, without what is secret or code."""
    shape = get_service_model(service).operation_model(operation).input_shape
    try:
        given = json.loads(response.body or "{}")
    except (ValueError, RecursionError):
        given = {}
    given = {**(given if isinstance(given, dict) else {}), **response.uri_match}
    return _written(shape, given) if shape is not None else None


def _written(shape: Shape, value: Any) -> Any:
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        by_name = {member.serialization.get("name", name): (name, member) for name, member in shape.members.items()}
        known = ((*by_name[name], each) for name, each in value.items() if name in by_name)
        return {_first_lower(name): _written(member, each) for name, member, each in known if not _left_out(member)}
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_written(shape.member, each) for each in value]
    if isinstance(shape, MapShape) and isinstance(value, Mapping):
        return {str(name): _written(shape.value, each) for name, each in value.items()}
    return value


def _left_out(shape: Shape) -> bool:
    """Code and the variables of an environment, as AWS leaves them out, and all else that is secret."""
    return shape.type_name == "blob" or shape.name == "Environment" or bool(shape.metadata.get("sensitive"))


def _first_lower(name: str) -> str:
    return name[:1].lower() + name[1:]
