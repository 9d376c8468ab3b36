"""Whatever is read of what is not there is answered, or refused by name: nothing fails inside the local cloud."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.model import OperationModel, Shape
from moto.utilities.arns import parse_arn

from localcloud.reads import code_of_nothing, is_left_unanswered
from localcloud.services.registry import services
from localcloud.services.service import Service
from support.in_process import Client, Cloud

NAMED = {
    "monitoring": "cloudwatch",
    "servicequotas": "service-quotas",
    "states": "stepfunctions",
}
READS = ("Get", "List", "Describe", "BatchGet", "Search", "Lookup", "Query", "Scan", "Head")
SCALARS = {"float": 1.0, "double": 1.0, "boolean": True, "timestamp": "2026-01-01T00:00:00Z", "blob": b"x"}


def names_of(service: Service) -> tuple[str, ...]:
    """What boto3 calls the clients of a service: API Gateway has one for each of its versions."""
    name = NAMED.get(service.signing_name, service.signing_name)
    return (name, "apigatewayv2") if name == "apigateway" else (name,)


def asked(shape: Any) -> Any:
    """The least that a client lets pass for a shape: of texts a name of nothing."""
    match shape.type_name:
        case "structure":
            return {name: asked(member) for name, member in shape.members.items() if name in shape.required_members}
        case "list":
            return [asked(shape.member)]
        case "map":
            return {"a": asked(shape.value)}
        case "string":
            name = "x" * max(3, shape.metadata.get("min", 1))
            return shape.enum[0] if shape.enum else name[: shape.metadata.get("max")]
        case "integer" | "long":
            return max(1, shape.metadata.get("min", 1))
    return SCALARS[shape.type_name]


def failure(client: Client, operation: OperationModel) -> str | None:
    """What an operation fails with; None where it answers, or refuses."""
    shape: Shape | None = operation.input_shape
    try:
        getattr(client, xform_name(operation.name))(**({} if shape is None else asked(shape)))
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        code = error.response["Error"]["Code"]
        refused = status < 500 and (not code.isdecimal() or operation.http["method"] == "HEAD")  # which has no body
        return None if refused or code == "NotExecutedLocally" else str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def test_no_read_of_any_service_fails_inside(cloud: Cloud) -> None:
    failed = {}
    for service in services():
        for called in names_of(service):
            client = cloud.client(called)
            model = client.meta.service_model
            for name in filter(lambda name: name.startswith(READS), model.operation_names):
                operation = model.operation_model(name)
                # What has a host of its own leaves the local cloud's address.
                if operation.endpoint is None and (said := failure(client, operation)):
                    failed[f"{called} {name}"] = said
    assert failed == {}


def test_the_error_is_the_one_that_the_action_declares() -> None:
    assert code_of_nothing("athena", "GetPreparedStatement") == "ResourceNotFoundException"
    assert code_of_nothing("sns", "GetTopicAttributes") == "NotFound"
    assert code_of_nothing("states", "ListExecutions") == "StateMachineDoesNotExist"
    assert code_of_nothing("sagemaker", "ListTags") == code_of_nothing("s3", "GET ?website") == "ValidationException"
    assert code_of_nothing("nothing", "GetNothing") == "ValidationException"


def test_what_this_project_raises_stays_its_own_fault() -> None:
    with pytest.raises(KeyError) as raised:
        code_of_nothing.__globals__["_CLIENTS"]["gone"]
    assert not is_left_unanswered("GetThing", raised.value)
    with pytest.raises(ValueError, match="unpack") as torn:
        parse_arn("no ARN")
    assert is_left_unanswered("GetThing", torn.value)
    assert not is_left_unanswered("PutThing", torn.value)
    assert not is_left_unanswered("Getaway", torn.value)


def test_an_apis_authorizers_are_listed(cloud: Cloud) -> None:
    client = cloud.client("apigatewayv2")
    api = client.create_api(Name="a", ProtocolType="HTTP")["ApiId"]
    assert client.get_authorizers(ApiId=api)["Items"] == []
    with pytest.raises(client.exceptions.NotFoundException):
        client.get_authorizers(ApiId="nothing")


def test_services_have_the_clients_that_are_asked() -> None:
    known = set(botocore.session.get_session().get_available_services())
    assert {name for service in services() for name in names_of(service)} <= known
