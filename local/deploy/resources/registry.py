"""Every resource type that can be deployed."""

from __future__ import annotations

from local.deploy.intrinsics import Made
from local.deploy.resources import (
    apigatewayv2,
    athena,
    cloudwatch,
    dynamodb,
    events,
    firehose,
    glue,
    iam,
    kms,
    lambda_,
    lambda_versions,
    logs,
    s3,
    scheduler,
    sns,
    sqs,
    ssm,
    stepfunctions,
)
from local.deploy.resources.base import Handler, Place, Properties, names


class CdkMetadata(Handler):
    """What the CDK tells AWS of the constructs in use; it makes nothing."""

    type = "AWS::CDK::Metadata"
    properties = names("Analytics")

    def create(self, place: Place, properties: Properties) -> Made:
        """Nothing to make."""
        return Made(place.logical_id)

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Nothing to change."""
        return made

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Nothing to delete."""


_MODULES = (
    apigatewayv2,
    athena,
    cloudwatch,
    dynamodb,
    events,
    firehose,
    glue,
    iam,
    kms,
    lambda_,
    lambda_versions,
    logs,
    s3,
    scheduler,
    sns,
    sqs,
    ssm,
    stepfunctions,
)
HANDLERS: dict[str, Handler] = {handler.type: handler for module in _MODULES for handler in (*module.HANDLERS,)} | {
    CdkMetadata.type: CdkMetadata()
}


def handler_of(resource_type: str) -> Handler | None:
    """The handler of a resource type, or None when there is none."""
    return HANDLERS.get(resource_type)
