"""Functions that are invoked on a schedule of EventBridge Scheduler."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from everloop.infra.grants import Grant, give
from everloop.infra.platform_reference import Platform
from everloop.model_file.schedule import spread_minutes

RETRIES = 3
MAXIMUM_AGE_SECONDS = 6 * 3600


@dataclass(frozen=True)
class Occasion:
    """When a function is invoked, and with what.

    Attributes
    ----------
    expression : str
        In UTC.
    event : str
        JSON, in which Scheduler fills in ``<aws.scheduler.scheduled-time>``: a run that is late or repeated knows when
        it was due.
    """

    name: str
    description: str
    expression: str
    event: str


def invoke_on_schedule(
    scope: Construct,
    function: lambda_.IFunction,
    occasion: Occasion,
    *,
    platform: Platform,
    dead_letters: sqs.Queue,
) -> None:
    """Invoke a function on a schedule, by a role that may do no more; what can't be delivered goes to the queue."""
    role = iam.Role(
        scope,
        "ScheduleRole",
        assumed_by=iam.ServicePrincipal(
            "scheduler.amazonaws.com",
            conditions={"StringEquals": {"aws:SourceAccount": Stack.of(scope).account}},
        ),
    )
    grants = [
        Grant(("lambda:InvokeFunction",), (function.function_arn,)),
        Grant(("sqs:SendMessage",), (dead_letters.queue_arn,)),
    ]
    give(role, grants, platform.exports)
    schedule = scheduler.CfnSchedule(
        scope,
        "Schedule",
        name=occasion.name,
        description=occasion.description,
        schedule_expression=occasion.expression,
        schedule_expression_timezone="UTC",
        flexible_time_window=_spread(occasion.expression),
        target=scheduler.CfnSchedule.TargetProperty(
            arn=function.function_arn,
            role_arn=role.role_arn,
            input=occasion.event,
            dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(arn=dead_letters.queue_arn),
            retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                maximum_event_age_in_seconds=MAXIMUM_AGE_SECONDS, maximum_retry_attempts=RETRIES
            ),
        ),
    )
    schedule.node.add_dependency(role.node.find_child("DefaultPolicy"))


def _spread(schedule: str) -> scheduler.CfnSchedule.FlexibleTimeWindowProperty:
    """When a run begins, at the latest: models of one schedule do not all begin at once."""
    minutes = spread_minutes(schedule)
    if not minutes:
        return scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF")
    return scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="FLEXIBLE", maximum_window_in_minutes=minutes)
