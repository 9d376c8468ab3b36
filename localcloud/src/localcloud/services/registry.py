"""Every resource type that can be deployed."""

from __future__ import annotations

from localcloud.cloudformation.intrinsics import Made
from localcloud.cloudformation.resource import Handler, Place, Properties, names
from localcloud.services.apigatewayv2 import resource as apigatewayv2
from localcloud.services.athena import resource as athena
from localcloud.services.cloudwatch import resource as cloudwatch
from localcloud.services.dynamodb import resource as dynamodb
from localcloud.services.events import resource as events
from localcloud.services.firehose import resource as firehose
from localcloud.services.glue import resource as glue
from localcloud.services.iam import resource as iam
from localcloud.services.kms import resource as kms
from localcloud.services.lambda_ import resource as lambda_
from localcloud.services.lambda_ import version_resource as lambda_versions
from localcloud.services.logs import resource as logs
from localcloud.services.s3 import resource as s3
from localcloud.services.scheduler import resource as scheduler
from localcloud.services.sns import resource as sns
from localcloud.services.sqs import resource as sqs
from localcloud.services.ssm import resource as ssm
from localcloud.services.stepfunctions import resource as stepfunctions


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
