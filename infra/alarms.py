"""The alarms of a model. All go to the platform's alert topic.

Each costs money whether or not anybody uses the model, so there is one for each thing to do, and none for what another
tells: a failed event of the monitor or the starter is in the dead-letter queue, and a failed command to the registry
fails whoever sent it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from everloop.infra.platform_reference import Platform
from everloop.model_file.schema import ModelDeclaration
from everloop.names import FAULTS, METRIC_NAMESPACE, ModelNames

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

    probing = _Alarm(
        "probe-failed",
        "A fresh probe failed: until the next one is measured, retraining decisions use older probes, or none.",
        "AWS/States",
        "ExecutionsFailed",
        {"StateMachineArn": str(probes)},
    )

    # Nobody else does: an execution that ends like this comes to no state that would.
    release = f"`everloop runs release {names.model} RUN --reason WHY` rolls back its traffic and closes the run."

    return [
        errors("predict", "The prediction function failed: callers got no answer."),
        errors("labels", "The labels function failed: labels were not accepted."),
        _Alarm(
            "faults",
            "Something was refused or lost. Metrics and logs say what: ArtifactRefused (a stored model is not the"
            " registered one, and does not serve), UnusableScores (no finite score for rows that the contract allows),"
            " FallbackAnswers (the fallback answered in the model's place), CaptureFallback (rows that could not be"
            " captured are in the log), LabelsNotStored (to be sent again), DrillFailed (a"
            " rollback that was tried did not work), DeploymentDiffers (everloop status tells what, and who did it).",
            METRIC_NAMESPACE,
            FAULTS,
            model,
        ),
        pipeline("pipeline-failed", "ExecutionsFailed", "A training run or a rollout failed."),
        pipeline("pipeline-timed-out", "ExecutionsTimedOut", f"A training run or a rollout never ended. {release}"),
        pipeline("pipeline-aborted", "ExecutionsAborted", f"A training run or a rollout was stopped. {release}"),
        *([probing] if probes is not None else []),
        _Alarm(
            "dead-letters",
            "Events could not be processed, so production may not be monitored, a requested retraining not started or"
            " a calibration not published; they are in the dead-letter queue.",
            "AWS/SQS",
            "ApproximateNumberOfMessagesVisible",
            {"QueueName": dead_letters},
            "Maximum",
        ),
    ]
