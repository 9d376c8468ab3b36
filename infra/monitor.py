"""What watches a model, and what its retraining requests start."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from everloop.infra.acknowledgments import acknowledge
from everloop.infra.platform_reference import Platform
from everloop.infra.rules import Said, invoke_on_event
from everloop.infra.schedules import Occasion, invoke_on_schedule
from everloop.model_file.schema import ModelDeclaration
from everloop.names import (
    CALIBRATION_LEARNED,
    MONITORING_SOURCE,
    PROBE_DUE,
    RESTORE_REQUESTED,
    RETRAINING_REQUESTED,
    ModelNames,
)


class DeadLetters(Construct):
    """Where events go that could not be delivered or worked off; an alarm watches its depth."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self.queue = sqs.Queue(
            self,
            "Queue",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),
        )
        acknowledge(
            self.queue,
            "Serverless-SQSRedrivePolicy",
            reason="This is the dead-letter queue itself; an alarm watches its depth.",
        )


class Monitor(Construct):
    """A schedule for the monitor, rules from its requests to the starter and from what it learns to the rollout.

    The scheduled time travels in the event: a run that is late or repeated looks at the same window.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        declaration: ModelDeclaration,
        platform: Platform,
        monitor: lambda_.IFunction,
        starter: lambda_.IFunction,
        rollout: lambda_.IFunction,
        dead_letters: sqs.Queue,
    ) -> None:
        super().__init__(scope, construct_id)
        self._names = ModelNames(declaration.model)
        self._dead_letters = dead_letters
        self._schedule(declaration, platform, monitor, dead_letters)
        self._rule(
            "Rule",
            "retraining-requested",
            RETRAINING_REQUESTED,
            "starter",
            starter,
            "A retraining request starts the pipeline",
        )
        self._rule(
            "CalibrationRule",
            "calibration-learned",
            CALIBRATION_LEARNED,
            "rollout",
            rollout,
            "A learned calibration is published",
        )
        if declaration.retraining.investment is not None:
            self._rule(
                "RestoreRule",
                "restore-requested",
                RESTORE_REQUESTED,
                "starter",
                starter,
                "A request for an older version starts the pipeline",
            )
            self._rule(
                "ProbeRule", "probe-due", PROBE_DUE, "starter", starter, "A due fresh probe starts its state machine"
            )

    def _schedule(
        self,
        declaration: ModelDeclaration,
        platform: Platform,
        monitor: lambda_.IFunction,
        dead_letters: sqs.Queue,
    ) -> None:
        invoke_on_schedule(
            self,
            monitor,
            Occasion(
                name=self._names.function("monitor"),
                description=f"Monitors each window of {declaration.model}",
                expression=declaration.monitoring.schedule,
                event='{"scheduled_time": "<aws.scheduler.scheduled-time>"}',
            ),
            platform=platform,
            dead_letters=dead_letters,
        )

    def _rule(
        self,
        construct_id: str,
        name: str,
        detail_type: str,
        target: str,
        function: lambda_.IFunction,
        description: str,
    ) -> None:
        """What the monitor says of this model invokes a function."""
        said = Said(name, description, MONITORING_SOURCE, [detail_type], target)
        invoke_on_event(self, construct_id, function, said, names=self._names, dead_letters=self._dead_letters)
