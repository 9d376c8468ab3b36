"""What a model's stack must know of the platform's."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns

from everloop.infra.grants import Exports
from everloop.names import ATHENA_WORKGROUP, EVENT_BUS, GLUE_DATABASE


@dataclass(frozen=True)
class Platform:
    """The platform's resources, as model stacks see them.

    Only what CloudFormation names or numbers itself (table, buckets, topic, key, API) crosses as a stack export:
    those live as long as the platform. The bus, the database and the workgroup have fixed names and are found by
    them.
    """

    table: dynamodb.ITable
    lake: s3.IBucket
    artifacts: s3.IBucket
    audit: s3.IBucket
    topic: sns.ITopic
    signing_key_arn: str
    api_id: str
    api_endpoint: str
    exports: Exports

    def bus_arn(self, stack: Stack) -> str:
        """The event bus that retraining requests go over."""
        return stack.format_arn(service="events", resource="event-bus", resource_name=EVENT_BUS)

    def workgroup_arn(self, stack: Stack) -> str:
        """The Athena workgroup of all queries."""
        return stack.format_arn(service="athena", resource="workgroup", resource_name=ATHENA_WORKGROUP)

    def glue_arns(self, stack: Stack, tables: list[str]) -> list[str]:
        """The catalogue, the database and ``tables``: Glue asks for all three."""
        names = ["catalog", f"database/{GLUE_DATABASE}", *(f"table/{GLUE_DATABASE}/{t}" for t in tables)]
        return [stack.format_arn(service="glue", resource=n, arn_format=ArnFormat.NO_RESOURCE_NAME) for n in names]
