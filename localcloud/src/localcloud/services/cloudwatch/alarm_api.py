"""Alarms between the CloudWatch API and :mod:`~.alarms`, and what they do when they change."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from localcloud.core.context import CloudContext
from localcloud.iam.policy import AccessRequest, Principal, decide_for_principal
from localcloud.services.cloudwatch.alarms import TREATMENTS, Alarm, AlarmSettings, Transition, is_comparison
from localcloud.services.cloudwatch.emitted import metric_problem
from localcloud.services.cloudwatch.metrics import Bucket, MetricError, MetricName

log = logging.getLogger(__name__)

_BASIC = ("SampleCount", "Sum", "Average", "Minimum", "Maximum")

ALARM_PARAMETERS = (
    "AlarmName",
    "AlarmDescription",
    "ActionsEnabled",
    "OKActions",
    "AlarmActions",
    "InsufficientDataActions",
    "MetricName",
    "Namespace",
    "Statistic",
    "ExtendedStatistic",
    "Dimensions",
    "Period",
    "Unit",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "Threshold",
    "ComparisonOperator",
    "TreatMissingData",
    "EvaluateLowSampleCountPercentile",
    "Metrics",
    "ThresholdMetricId",
)


def metric_name(namespace: str, metric: str, dimensions: Iterable[Mapping[str, str]] | None) -> MetricName:
    """The series that an API call names."""
    return MetricName.of(namespace, metric, {entry["Name"]: entry["Value"] for entry in dimensions or ()})


def alarm_settings(given: Mapping[str, Any], arn: str) -> AlarmSettings:
    """The settings of PutMetricAlarm; refuses what is not executed."""
    for name in ("Metrics", "ThresholdMetricId", "EvaluateLowSampleCountPercentile"):
        if given.get(name):
            raise MetricError(
                "InvalidParameterValue",
                f"{name} is not executed by the local cloud: an alarm is on one metric, by MetricName and Namespace",
            )
    if not is_comparison(given["ComparisonOperator"]):
        raise MetricError("InvalidParameterValue", f"ComparisonOperator {given['ComparisonOperator']} is not executed")
    problem = metric_problem(given["Namespace"], given["MetricName"])
    if problem:
        raise MetricError("InvalidParameterValue", problem)
    statistic = given.get("Statistic") or given.get("ExtendedStatistic")
    if not statistic:
        raise MetricError("ValidationError", "one of Statistic and ExtendedStatistic is needed")
    period, evaluation = int(given["Period"]), int(given["EvaluationPeriods"])
    if period < 60 or period % 60:
        raise MetricError("InvalidParameterValue", f"Period is {period}: the local cloud executes multiples of 60")
    datapoints = int(given.get("DatapointsToAlarm") or evaluation)
    if not 1 <= datapoints <= evaluation:
        raise MetricError("ValidationError", f"DatapointsToAlarm is {datapoints}: must be in 1 to {evaluation}")
    treatment = given.get("TreatMissingData") or "missing"
    if treatment not in TREATMENTS:
        raise MetricError("ValidationError", f"TreatMissingData {treatment!r} is none of {', '.join(TREATMENTS)}")
    actions = {key: tuple(given.get(key) or ()) for key in ("AlarmActions", "OKActions", "InsufficientDataActions")}
    for action in {arn for arns in actions.values() for arn in arns}:
        if action.split(":")[2:3] not in (["sns"], ["lambda"]):
            raise MetricError("InvalidParameterValue", f"action {action} is not executed: SNS topics and functions are")
    Bucket().statistic(statistic)
    return AlarmSettings(
        name=given["AlarmName"],
        arn=arn,
        metric=metric_name(given["Namespace"], given["MetricName"], given.get("Dimensions")),
        statistic=statistic,
        period=period,
        evaluation_periods=evaluation,
        datapoints_to_alarm=datapoints,
        threshold=float(given["Threshold"]),
        comparison=given["ComparisonOperator"],
        treat_missing=treatment,
        description=given.get("AlarmDescription"),
        unit=given.get("Unit"),
        actions_enabled=given.get("ActionsEnabled") is not False,
        alarm_actions=actions["AlarmActions"],
        ok_actions=actions["OKActions"],
        insufficient_data_actions=actions["InsufficientDataActions"],
    )


def describe_alarm(alarm: Alarm) -> dict[str, Any]:
    """The MetricAlarm structure of the API."""
    settings = alarm.settings
    kind = "Statistic" if settings.statistic in _BASIC else "ExtendedStatistic"
    return {
        "AlarmName": settings.name,
        "AlarmArn": settings.arn,
        "AlarmDescription": settings.description,
        "AlarmConfigurationUpdatedTimestamp": alarm.configured,
        "ActionsEnabled": settings.actions_enabled,
        "OKActions": list(settings.ok_actions),
        "AlarmActions": list(settings.alarm_actions),
        "InsufficientDataActions": list(settings.insufficient_data_actions),
        "StateValue": alarm.state,
        "StateReason": alarm.reason,
        "StateReasonData": alarm.reason_data,
        "StateUpdatedTimestamp": alarm.updated,
        "StateTransitionedTimestamp": alarm.transitioned,
        "MetricName": settings.metric.name,
        "Namespace": settings.metric.namespace,
        kind: settings.statistic,
        "Dimensions": [{"Name": key, "Value": value} for key, value in settings.metric.dimensions],
        "Period": settings.period,
        "Unit": settings.unit,
        "EvaluationPeriods": settings.evaluation_periods,
        "DatapointsToAlarm": settings.datapoints_to_alarm,
        "Threshold": settings.threshold,
        "ComparisonOperator": settings.comparison,
        "TreatMissingData": settings.treat_missing,
    }


class AlarmActions:
    """Carries out alarms' actions on a thread of their own, holding an activity token."""

    def __init__(self, context: CloudContext) -> None:
        self._context = context

    def __call__(self, transition: Transition, action: str) -> None:
        """Set one action off."""
        label = f"alarm action {transition.settings.name}"
        self._context.activity.enter(label)

        def run() -> None:
            try:
                self._run(transition, action)
            except Exception:  # no caller to tell: the log is where it shows, as in an alarm's history
                log.exception("%s: action %s failed", label, action)
            finally:
                self._context.activity.leave(label)

        threading.Thread(target=run, name=label, daemon=True).start()

    def _run(self, transition: Transition, action: str) -> None:
        service = action.split(":")[2]
        message = json.dumps(_message(transition, self._context))
        if service == "lambda":
            self._context.client("lambda").invoke(FunctionName=action, InvocationType="Event", Payload=message.encode())
            return
        client = self._context.client("sns")
        policy = client.get_topic_attributes(TopicArn=action)["Attributes"].get("Policy")
        if policy and not self._may_publish(policy, transition, action):
            log.error(
                "alarm %s can not notify %s: the topic's policy does not let cloudwatch.amazonaws.com publish",
                transition.settings.name,
                action,
            )
            return
        subject = f'{transition.after}: "{transition.settings.name}" in {self._context.region}'
        client.publish(TopicArn=action, Subject=subject[:100], Message=message)

    def _may_publish(self, policy: str, transition: Transition, topic: str) -> bool:
        account = self._context.account_id
        keys = {
            "aws:sourcearn": (transition.settings.arn,),
            "aws:sourceaccount": (account,),
            "aws:sourceowner": (account,),
            "aws:securetransport": ("true",),
        }
        request = AccessRequest("sns:Publish", topic, keys)
        as_service = decide_for_principal(policy, Principal(service="cloudwatch.amazonaws.com"), request)
        if as_service.explicit_deny:
            return False
        # the default policy of a topic names every AWS principal under the condition of its owner
        as_owner = decide_for_principal(policy, Principal(arns=(f"arn:aws:iam::{account}:root",)), request)
        return as_service.allowed or as_owner.allowed


def _message(transition: Transition, context: CloudContext) -> dict[str, Any]:
    settings = transition.settings
    return {
        "AlarmName": settings.name,
        "AlarmDescription": settings.description,
        "AWSAccountId": context.account_id,
        "NewStateValue": transition.after,
        "NewStateReason": transition.reason,
        "StateChangeTime": transition.at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000",
        "Region": context.region,
        "AlarmArn": settings.arn,
        "OldStateValue": transition.before,
        "Trigger": {
            "MetricName": settings.metric.name,
            "Namespace": settings.metric.namespace,
            "Statistic": settings.statistic,
            "Dimensions": [{"name": key, "value": value} for key, value in settings.metric.dimensions],
            "Period": settings.period,
            "EvaluationPeriods": settings.evaluation_periods,
            "DatapointsToAlarm": settings.datapoints_to_alarm,
            "ComparisonOperator": settings.comparison,
            "Threshold": settings.threshold,
            "TreatMissingData": settings.treat_missing,
        },
    }
