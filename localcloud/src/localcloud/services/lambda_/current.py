"""The Lambda service of this process's cloud, joined to moto's S3, STS and CloudWatch Logs."""

from __future__ import annotations

from moto.s3.exceptions import MissingBucket
from moto.s3.models import s3_backends

from localcloud.core.context import CloudContext
from localcloud.iam.roles import check_trust, role_credentials
from localcloud.services.lambda_.invocation_log import InvocationLog
from localcloud.services.lambda_.managed_layers import managed_layers
from localcloud.services.lambda_.preload import freezes, idle_time, preloaded_modules, shares_processor
from localcloud.services.lambda_.runtime.exceptions import InvalidParameterValueError
from localcloud.services.lambda_.runtime.pool import PoolLimits
from localcloud.services.lambda_.runtime.service import LambdaService

_PRINCIPAL = "lambda.amazonaws.com"


class _Current:
    """moto builds response objects by itself, one per request: this is how they find the cloud."""

    service: LambdaService | None = None
    context: CloudContext | None = None


def lambda_service() -> LambdaService:
    """The Lambda service of this process's cloud.

    Raises
    ------
    RuntimeError
        Before :func:`open_service`.
    """
    if _Current.service is None:
        raise RuntimeError("the Lambda service is not installed: install localcloud.services.lambda_.hook first")
    return _Current.service


def open_service(context: CloudContext) -> LambdaService:
    """Make the service of a context the one of this process; the one before is closed."""
    close_service()
    _Current.service = build_service(context)
    _Current.context = context
    return _Current.service


def close_service() -> None:
    """End all workers."""
    if _Current.service is not None:
        _Current.service.close()
    _Current.service = _Current.context = None


def check_function_role(role: str) -> None:
    """Check that Lambda may assume a role, as it does when a function is created.

    Raises
    ------
    InvalidParameterValueError
    """
    assert _Current.context is not None
    try:
        check_trust(_Current.context, role, _PRINCIPAL)
    except LookupError as error:
        raise InvalidParameterValueError(str(error)) from error
    except PermissionError:
        raise InvalidParameterValueError("The role defined for the function cannot be assumed by Lambda.") from None


def build_service(context: CloudContext) -> LambdaService:
    """The service for a context, with its packages in moto's S3 and its logs in moto's CloudWatch Logs."""

    def credentials(role: str, session: str) -> dict[str, str]:
        return role_credentials(context, role, session, _PRINCIPAL)

    return LambdaService(
        account_id=context.account_id,
        region=context.region,
        clock=context.clock,
        activity=context.activity,
        endpoint=context.endpoint,
        state_directory=context.state_directory,
        cache_directory=context.cache_directory,
        sink=InvocationLog(context),
        credentials=credentials,
        read_object=lambda bucket, key, version: _read_object(context, bucket, key, version),
        deliver=lambda role, target, body, attributes: _deliver(context, role, target, body, attributes),
        managed_layers=managed_layers(context.settings),
        preload=preloaded_modules(context.settings),
        standing=context.standing,
        limits=PoolLimits(
            idle_on_clock=idle_time(context.settings),
            freezes=freezes(context.settings),
            shares_processor=shares_processor(context.settings),
        ),
        account=context.account,
    )


def _read_object(context: CloudContext, bucket: str, key: str, version: str | None) -> bytes:
    place = f"s3://{bucket}/{key}"
    try:
        found = s3_backends[context.account_id]["aws"].get_object(bucket, key, version)
    except MissingBucket:
        found = None
    if found is None:
        raise InvalidParameterValueError(
            f"Error occurred while GetObject. S3 Error Code: NoSuchKey. {place} does not exist"
        )
    return bytes(found.value)


def _deliver(context: CloudContext, role: str, target: str, body: str, attributes: dict[str, str]) -> None:
    """Send a dead letter or a destination's record under the function's role."""
    service, name = target.split(":")[2], target.rsplit(":", 1)[-1]
    client = context.client(service, **role_credentials(context, role, "destination", _PRINCIPAL))
    message_attributes = {
        key: {"DataType": "String", "StringValue": value} for key, value in attributes.items() if value
    }
    if service == "sqs":
        url = f"{context.endpoint}/{context.account_id}/{name}"
        client.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=message_attributes)
    elif service == "sns":
        client.publish(TopicArn=target, Message=body, MessageAttributes=message_attributes)
    elif service == "lambda":
        client.invoke(FunctionName=target, InvocationType="Event", Payload=body.encode())
    elif service == "events":
        detail = {"Source": "lambda", "DetailType": "Lambda Function Invocation Result", "Detail": body}
        client.put_events(Entries=[{**detail, "EventBusName": target}])
    else:
        raise InvalidParameterValueError(f"destination {target} is of a service that Lambda does not send to")
