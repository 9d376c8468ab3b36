"""The alarms of a model. All go to the platform's alert topic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from everloop.infra.platform_reference import Platform
from everloop.model_file import ModelDeclaration
from everloop.names import METRIC_NAMESPACE, ModelNames

PERIOD_SECONDS = 300


@dataclass(frozen=True)
class _Alarm:
    name: str
    meaning: str
    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    statistic: str = "Sum"


class Alarms(Construct):
    """One alarm for each way in which the loop can break without anybody noticing."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        declaration: ModelDeclaration,
        platform: Platform,
        state_machine_arn: str,
        probe_machine_arn: str | None,
        dead_letters_name: str,
    ) -> None:
        super().__init__(scope, construct_id)
        names = ModelNames(declaration.model)
        owner = f"Owner: {declaration.owner.team}; escalation: {declaration.owner.escalation}"
        for alarm in _alarms(names, state_machine_arn, probe_machine_arn, dead_letters_name):
            dimension = cloudwatch.CfnAlarm.DimensionProperty
            cloudwatch.CfnAlarm(
                self,
                alarm.name.title().replace("-", ""),
                alarm_name=names.alarm(alarm.name),
                alarm_description=f"{alarm.meaning} {owner}",
                namespace=alarm.namespace,
                metric_name=alarm.metric,
                dimensions=[dimension(name=n, value=v) for n, v in alarm.dimensions.items()],
                statistic=alarm.statistic,
                period=PERIOD_SECONDS,
                evaluation_periods=1,
                threshold=1,
                comparison_operator="GreaterThanOrEqualToThreshold",
                treat_missing_data="notBreaching",
                alarm_actions=[platform.topic.topic_arn],
                ok_actions=[platform.topic.topic_arn],
            )


def _alarms(names: ModelNames, state_machine_arn: str, probes: str | None, dead_letters: str) -> list[_Alarm]:
    model = {"model": names.model}

    def errors(function: str, meaning: str) -> _Alarm:
        dimensions = {"FunctionName": names.function(function)}
        return _Alarm(f"{function}-errors", meaning, "AWS/Lambda", "Errors", dimensions)

    def pipeline(name: str, metric: str, meaning: str) -> _Alarm:
        return _Alarm(name, meaning, "AWS/States", metric, {"StateMachineArn": state_machine_arn})

    def probe(name: str, metric: str, what: str) -> _Alarm:
        meaning = f"A fresh probe {what}: retraining is decided on older ones, or on none, until the next is measured."
        return _Alarm(name, meaning, "AWS/States", metric, {"StateMachineArn": str(probes)})

    probing = [
        probe("probe-failed", "ExecutionsFailed", "failed"),
        probe("probe-timed-out", "ExecutionsTimedOut", "never ended"),
    ]

    # Nobody else does: an execution that ends like this comes to no state that would.
    release = f"`everloop runs release {names.model} RUN --reason WHY` takes its traffic back and closes the run."

    return [
        errors("registry", "The registry function failed: a change of state may not have been written."),
        errors("predict", "The prediction function failed: callers got no answer."),
        errors("labels", "The labels function failed: labels were not taken in."),
        errors("monitor", "The monitor failed: production is not watched."),
        errors("starter", "The starter failed: a retraining request may not have been followed."),
        _Alarm(
            "artifact-refused",
            "A model's bytes are not the registered ones, and it does not serve.",
            METRIC_NAMESPACE,
            "ArtifactRefused",
            model,
        ),
        _Alarm(
            "unusable-scores",
            "The model had no finite score for rows that its contract allows; their callers got 500.",
            METRIC_NAMESPACE,
            "UnusableScores",
            model,
        ),
        _Alarm(
            "capture-fallback",
            "Predictions could not be captured; they stand in the prediction function's log.",
            METRIC_NAMESPACE,
            "CaptureFallback",
            model,
        ),
        _Alarm(
            "labels-not-stored",
            "Labels could not be stored, and their sender was told to send them again.",
            METRIC_NAMESPACE,
            "LabelsNotStored",
            model,
        ),
        pipeline("pipeline-failed", "ExecutionsFailed", "A training run or a rollout failed."),
        pipeline("pipeline-timed-out", "ExecutionsTimedOut", f"A training run or a rollout never ended. {release}"),
        pipeline("pipeline-aborted", "ExecutionsAborted", f"A training run or a rollout was stopped. {release}"),
        *(probing if probes is not None else []),
        _Alarm(
            "dead-letters",
            "Events could not be worked off; they wait in the dead-letter queue.",
            "AWS/SQS",
            "ApproximateNumberOfMessagesVisible",
            {"QueueName": dead_letters},
            "Maximum",
        ),
    ]
