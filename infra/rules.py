"""Functions that are invoked by events of Everloop's bus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from everloop.infra.schedules import MAXIMUM_AGE_SECONDS, RETRIES
from everloop.names import EVENT_BUS, ModelNames


@dataclass(frozen=True)
class Said:
    """Which events of a model invoke a function: the rule's name among the model's, its source, and its detail types.

    ``target`` names the function in the rule.
    """

    name: str
    description: str
    source: str
    detail_types: Sequence[str]
    target: str


def invoke_on_event(
    scope: Construct,
    construct_id: str,
    function: lambda_.IFunction,
    said: Said,
    *,
    names: ModelNames,
    dead_letters: sqs.Queue,
) -> None:
    """Invoke a function with each such event of the model; what can't be delivered goes to the queue."""
    rule = events.CfnRule(
        scope,
        construct_id,
        name=names.function(said.name),
        description=said.description,
        event_bus_name=EVENT_BUS,
        event_pattern={
            "source": [said.source],
            "detail-type": list(said.detail_types),
            "detail": {"model": [names.model]},
        },
        targets=[
            events.CfnRule.TargetProperty(
                arn=function.function_arn,
                id=said.target,
                dead_letter_config=events.CfnRule.DeadLetterConfigProperty(arn=dead_letters.queue_arn),
                retry_policy=events.CfnRule.RetryPolicyProperty(
                    maximum_event_age_in_seconds=MAXIMUM_AGE_SECONDS, maximum_retry_attempts=RETRIES
                ),
            )
        ],
    )
    lambda_.CfnPermission(
        scope,
        f"{construct_id}MayInvoke",
        action="lambda:InvokeFunction",
        function_name=function.function_arn,
        principal="events.amazonaws.com",
        source_arn=rule.attr_arn,
    )
    dead_letters.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[iam.ServicePrincipal("events.amazonaws.com")],
            actions=["sqs:SendMessage"],
            resources=[dead_letters.queue_arn],
            conditions={"ArnEquals": {"aws:SourceArn": rule.attr_arn}},
        )
    )
