"""Tries a rollback on a schedule, where one is declared."""

from __future__ import annotations

from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from everloop.infra.platform_reference import Platform
from everloop.infra.schedules import Occasion, invoke_on_schedule
from everloop.model_file.schema import ModelDeclaration
from everloop.model_file.sections.rollout import Drill
from everloop.names import DRILL_SCHEDULE, ModelNames


class Drills(Construct):
    """A schedule for the rollout function, which alone may move the traffic."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        declaration: ModelDeclaration,
        drill: Drill,
        platform: Platform,
        rollout: lambda_.IFunction,
        dead_letters: sqs.Queue,
    ) -> None:
        super().__init__(scope, construct_id)
        invoke_on_schedule(
            self,
            rollout,
            Occasion(
                name=ModelNames(declaration.model).function(DRILL_SCHEDULE),
                description=f"Rolls {declaration.model} back and forward again, and times it",
                expression=drill.schedule,
                event='{"action": "drill", "at": "<aws.scheduler.scheduled-time>"}',
            ),
            platform=platform,
            dead_letters=dead_letters,
        )
