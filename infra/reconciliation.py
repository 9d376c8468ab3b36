"""Holds what is deployed against the registry, on a schedule."""

from __future__ import annotations

from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from everloop.infra.platform_reference import Platform
from everloop.infra.schedules import Occasion, invoke_on_schedule
from everloop.model_file.schema import ModelDeclaration
from everloop.names import RECONCILE_SCHEDULE, ModelNames


class Reconciliation(Construct):
    """A schedule for the rollout function, which alone may move the traffic."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        declaration: ModelDeclaration,
        platform: Platform,
        rollout: lambda_.IFunction,
        dead_letters: sqs.Queue,
    ) -> None:
        super().__init__(scope, construct_id)
        invoke_on_schedule(
            self,
            rollout,
            Occasion(
                name=ModelNames(declaration.model).function(RECONCILE_SCHEDULE),
                description=f"Holds what is deployed of {declaration.model} against the registry",
                expression=declaration.rollout.reconcile.schedule,
                event='{"action": "reconcile", "at": "<aws.scheduler.scheduled-time>"}',
            ),
            platform=platform,
            dead_letters=dead_letters,
        )
