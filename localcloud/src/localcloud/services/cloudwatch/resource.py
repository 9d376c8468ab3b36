"""CloudWatch alarms and dashboards."""

from __future__ import annotations

from collections.abc import Iterator

from localcloud.cloudformation.intrinsics import Made, is_known
from localcloud.cloudformation.properties import TAGS, Problem, table_of
from localcloud.cloudformation.resource import Handler, Place, Properties, ignoring, known, names
from localcloud.cloudformation.shapes import call_arguments, document_text
from localcloud.services.cloudwatch.emitted import metric_problem


class Alarm(Handler):
    """A metric alarm."""

    type = "AWS::CloudWatch::Alarm"
    table = table_of(
        """
        AlarmName AlarmDescription ActionsEnabled AlarmActions OKActions InsufficientDataActions ComparisonOperator
        DatapointsToAlarm Dimensions(Name Value) EvaluationPeriods ExtendedStatistic MetricName Namespace Period
        Statistic Threshold TreatMissingData
        """,
        kept={"Tags": TAGS, "Unit": "a metric has only one unit here"},
        refused={
            "Metrics ThresholdMetricId EvaluationCriteria EvaluationInterval": (
                "an alarm here has one metric: give its MetricName and Namespace"
            ),
            "EvaluateLowSampleCountPercentile": "percentiles are always evaluated; leave it out",
        },
    )
    attributes = names("Arn")
    create_only = names("AlarmName")
    name_property = "AlarmName"

    def value_problems(self, properties: Properties) -> Iterator[Problem]:
        """Alarms that nothing would set off."""
        namespace, metric = known(properties, "Namespace"), known(properties, "MetricName")
        problem = metric_problem(namespace, metric) if namespace and metric else None
        if problem:
            yield Problem("MetricName", f"is not supported: {problem}")
        period = known(properties, "Period")
        if period is not None and (int(period) < 60 or int(period) % 60):
            yield Problem("Period", f"is {period}: the local cloud executes multiples of 60")
        for kind in ("AlarmActions", "OKActions", "InsufficientDataActions"):
            for action in properties.get(kind) or ():
                if is_known(action) and str(action).split(":")[2:3] not in (["sns"], ["lambda"]):
                    yield Problem(kind, f"has {action}: use topics and functions")

    def create(self, place: Place, properties: Properties) -> Made:
        """Put the alarm."""
        cloudwatch = place.client("cloudwatch")
        name = properties.get("AlarmName") or place.new_name(255)
        if cloudwatch.describe_alarms(AlarmNames=[name]).get("MetricAlarms"):
            raise place.exists_already(f"alarm {name}")
        return self._put(place, name, properties)

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Put the alarm again: the API takes all of it."""
        return self._put(place, made.physical_id, new)

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the alarm."""
        cloudwatch = place.client("cloudwatch")
        ignoring(lambda: cloudwatch.delete_alarms(AlarmNames=[made.physical_id]), "ResourceNotFound")

    def _put(self, place: Place, name: str, properties: Properties) -> Made:
        cloudwatch = place.client("cloudwatch")
        given = {"ActionsEnabled": True, **properties, "AlarmName": name}
        cloudwatch.put_metric_alarm(**call_arguments(cloudwatch, "PutMetricAlarm", given, place.where))
        return Made(name, {"Arn": place.arn("cloudwatch", f"alarm:{name}")})


class Dashboard(Handler):
    """A dashboard."""

    type = "AWS::CloudWatch::Dashboard"
    table = table_of("DashboardName", kept={"DashboardBody": "text for people: dashboards are not drawn here"})
    required = names("DashboardBody")
    create_only = names("DashboardName")
    name_property = "DashboardName"

    def create(self, place: Place, properties: Properties) -> Made:
        """Put the dashboard."""
        name = properties.get("DashboardName") or place.new_name(255)
        cloudwatch = place.client("cloudwatch")
        existing = cloudwatch.list_dashboards(DashboardNamePrefix=name).get("DashboardEntries", [])
        if any(entry["DashboardName"] == name for entry in existing):
            raise place.exists_already(f"dashboard {name}")
        return self._put(place, name, properties)

    def update(self, place: Place, made: Made, old: Properties, new: Properties) -> Made:
        """Put the new body."""
        return self._put(place, made.physical_id, new)

    def delete(self, place: Place, made: Made, properties: Properties) -> None:
        """Delete the dashboard."""
        cloudwatch = place.client("cloudwatch")
        ignoring(
            lambda: cloudwatch.delete_dashboards(DashboardNames=[made.physical_id]),
            "ResourceNotFound",
            "DashboardNotFoundError",
        )

    def _put(self, place: Place, name: str, properties: Properties) -> Made:
        place.client("cloudwatch").put_dashboard(
            DashboardName=name, DashboardBody=document_text(properties["DashboardBody"])
        )
        return Made(name)


HANDLERS = (Alarm(), Dashboard())
