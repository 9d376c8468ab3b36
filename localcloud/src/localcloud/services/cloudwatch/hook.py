"""CloudWatch metrics and alarms, executed: percentiles, functions' own metrics, alarms that change state.

Metric math, composite alarms and anomaly detection are refused. Dashboards and tags stay moto's.

Replaces: metrics whose namespace is ignored when dimensions are given, and alarms that are never evaluated.
Why: both are wrong in silence.
Obsolete: once moto keeps metrics by all of their dimensions, has percentiles, and evaluates alarms at a time that
    can be set.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from moto.cloudwatch import urls as moto_urls
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult, EmptyResult

from localcloud.core.answers import refusal
from localcloud.core.context import CloudContext
from localcloud.core.patching import replace
from localcloud.services.cloudwatch.alarm_api import (
    ALARM_PARAMETERS,
    AlarmActions,
    alarm_settings,
    describe_alarm,
    metric_name,
)
from localcloud.services.cloudwatch.alarms import AlarmBoard
from localcloud.services.cloudwatch.metrics import Bucket, MetricError, MetricName, MetricStore

log = logging.getLogger(__name__)

_BASIC = ("SampleCount", "Sum", "Average", "Minimum", "Maximum")
_MAX_DATA_PER_PUT = 1000


class _Current:
    """moto builds response objects by itself, one per request: this is how they find the cloud."""

    metrics: MetricStore | None = None
    alarms: AlarmBoard | None = None


def metric_store(context: CloudContext) -> MetricStore:
    """The metrics of this process's cloud, made when first asked for."""
    if _Current.metrics is None:
        context.state_directory.mkdir(parents=True, exist_ok=True)
        _Current.metrics = MetricStore(context.clock.now, context.state_directory / "metrics.sqlite")
    return _Current.metrics


def install(context: CloudContext) -> None:
    """Put the metric store and the alarms behind moto's CloudWatch URL."""
    metrics = metric_store(context)
    _Current.alarms = AlarmBoard(metrics, context.clock, AlarmActions(context))
    replace(moto_urls, "url_paths", {"{0}/$": LocalCloudWatchResponse.dispatch})


def close() -> None:
    """Forget the metrics."""
    _Current.metrics = _Current.alarms = None


class LocalCloudWatchResponse(CloudWatchResponse):
    """One request to CloudWatch."""

    _REFUSED: ClassVar[Mapping[str, str]] = {
        "put_composite_alarm": "composite alarms",
        "put_anomaly_detector": "anomaly detection",
        "put_insight_rule": "Contributor Insights",
        "put_metric_stream": "metric streams",
        "get_metric_widget_image": "metric images",
    }

    def call_action(self) -> Any:
        try:
            return super().call_action()
        except MetricError as error:
            return refusal(self, error.code, error.message)
        except NotImplementedError:
            message = f"{self._get_action()} is not executed by the local cloud"
            return refusal(self, "InvalidParameterValue", message)

    @property
    def _metrics(self) -> MetricStore:
        assert _Current.metrics is not None
        return _Current.metrics

    @property
    def _alarms(self) -> AlarmBoard:
        assert _Current.alarms is not None
        return _Current.alarms

    # metrics

    def put_metric_data(self) -> ActionResult:
        namespace = self._get_param("Namespace")
        data = self._get_param("MetricData") or []
        if self._get_param("EntityMetricData"):
            raise MetricError("InvalidParameterValue", "EntityMetricData is not executed by the local cloud")
        if namespace.startswith("AWS/"):
            raise MetricError("InvalidParameterValue", f"The namespace {namespace} is reserved for AWS services")
        if len(data) > _MAX_DATA_PER_PUT:
            raise MetricError("InvalidParameterValue", f"{len(data)} metrics: at most {_MAX_DATA_PER_PUT} in a request")
        for datum in data:
            _put(self._metrics, namespace, datum)
        return EmptyResult()

    def get_metric_statistics(self) -> ActionResult:
        statistics = list(self._get_param("Statistics") or [])
        extended = list(self._get_param("ExtendedStatistics") or [])
        if not statistics and not extended:
            raise MetricError(
                "InvalidParameterCombination", "At least one of Statistics and ExtendedStatistics is needed"
            )
        name = metric_name(self._get_param("Namespace"), self._get_param("MetricName"), self._get_param("Dimensions"))
        start, end = _utc(self._get_param("StartTime")), _utc(self._get_param("EndTime"))
        period = self._get_int_param("Period")
        unit = self._metrics.unit(name)
        points = [
            _point(at, bucket, statistics, extended, unit)
            for at, bucket in self._metrics.periods(name, start, end, period).items()
        ]
        return ActionResult({"Label": name.name, "Datapoints": points})

    def get_metric_data(self) -> ActionResult:
        start, end = _utc(self._get_param("StartTime")), _utc(self._get_param("EndTime"))
        ascending = self._get_param("ScanBy") == "TimestampAscending"
        results = []
        for query in self._get_param("MetricDataQueries") or []:
            if query.get("Expression"):
                raise MetricError(
                    "ValidationError",
                    f"query {query['Id']!r} is an Expression: metric math is not executed by the local cloud; ask "
                    "for its metrics and compute from those",
                )
            if query.get("ReturnData") is not False:
                results.append(self._query(query, start, end, ascending))
        return ActionResult({"MetricDataResults": results, "Messages": []})

    def _query(self, query: Mapping[str, Any], start: datetime, end: datetime, ascending: bool) -> dict[str, Any]:
        wanted = query.get("MetricStat")
        if not wanted:
            raise MetricError("ValidationError", f"query {query['Id']!r} needs a MetricStat")
        metric = wanted["Metric"]
        name = metric_name(metric["Namespace"], metric["MetricName"], metric.get("Dimensions"))
        buckets = self._metrics.periods(name, start, end, int(wanted["Period"]))
        points = [(at, bucket.statistic(wanted["Stat"])) for at, bucket in buckets.items()]
        if not ascending:
            points.reverse()
        return {
            "Id": query["Id"],
            "Label": query.get("Label") or name.name,
            "Timestamps": [at for at, _ in points],
            "Values": [value for _, value in points],
            "StatusCode": "Complete",
        }

    def list_metrics(self) -> ActionResult:
        wanted_name = self._get_param("MetricName")
        filters = self._get_param("Dimensions") or []
        found = [
            {
                "Namespace": name.namespace,
                "MetricName": name.name,
                "Dimensions": [{"Name": key, "Value": value} for key, value in name.dimensions],
            }
            for name in self._metrics.names(self._get_param("Namespace"))
            if (not wanted_name or name.name == wanted_name) and _has(name, filters)
        ]
        return ActionResult({"Metrics": found})

    # alarms

    def put_metric_alarm(self) -> ActionResult:
        region, account = self.region, self.current_account
        name = self._get_param("AlarmName")
        arn = f"arn:aws:cloudwatch:{region}:{account}:alarm:{name}"
        self._alarms.put(alarm_settings({key: self._get_param(key) for key in ALARM_PARAMETERS}, arn))
        tags = self._get_param("Tags")
        if tags:
            self.cloudwatch_backend.tag_resource(arn, {tag["Key"]: tag["Value"] for tag in tags})
        return EmptyResult()

    def describe_alarms(self) -> ActionResult:
        names, prefix = self._get_param("AlarmNames"), self._get_param("AlarmNamePrefix")
        state, action = self._get_param("StateValue"), self._get_param("ActionPrefix")
        kinds = self._get_param("AlarmTypes") or ["MetricAlarm"]
        found = [
            describe_alarm(alarm)
            for alarm in self._alarms.alarms()
            if "MetricAlarm" in kinds
            and (not names or alarm.settings.name in names)
            and (not prefix or alarm.settings.name.startswith(prefix))
            and (not state or alarm.state == state)
            and (not action or any(arn.startswith(action) for arn in alarm.settings.alarm_actions))
        ]
        return ActionResult({"MetricAlarms": found, "CompositeAlarms": []})

    def describe_alarms_for_metric(self) -> ActionResult:
        name = metric_name(self._get_param("Namespace"), self._get_param("MetricName"), self._get_param("Dimensions"))
        found = [describe_alarm(alarm) for alarm in self._alarms.alarms() if alarm.settings.metric == name]
        return ActionResult({"MetricAlarms": found})

    def describe_alarm_history(self) -> ActionResult:
        wanted = self._get_param("AlarmName")
        items = [
            {"AlarmName": alarm.settings.name, "AlarmType": "MetricAlarm", **item}
            for alarm in self._alarms.alarms()
            if not wanted or alarm.settings.name == wanted
            for item in alarm.history
        ]
        items.sort(key=lambda item: item["Timestamp"], reverse=True)
        return ActionResult({"AlarmHistoryItems": items})

    def delete_alarms(self) -> ActionResult:
        names = self._get_param("AlarmNames") or []
        unknown = self._alarms.delete(names)
        if unknown and len(names) == 1:
            raise MetricError("ResourceNotFound", f"no such alarm: {unknown[0]}")
        return EmptyResult()

    def set_alarm_state(self) -> ActionResult:
        name, state = self._get_param("AlarmName"), self._get_param("StateValue")
        if state not in ("OK", "ALARM", "INSUFFICIENT_DATA"):
            raise MetricError("InvalidParameterValue", f"StateValue {state!r} is not OK, ALARM or INSUFFICIENT_DATA")
        reason = self._get_param("StateReason")
        if not self._alarms.set_state(name, state, reason, self._get_param("StateReasonData")):
            raise MetricError("ResourceNotFound", f"no such alarm: {name}")
        return EmptyResult()

    def enable_alarm_actions(self) -> ActionResult:
        self._alarms.enable_actions(self._get_param("AlarmNames") or [], True)
        return EmptyResult()

    def disable_alarm_actions(self) -> ActionResult:
        self._alarms.enable_actions(self._get_param("AlarmNames") or [], False)
        return EmptyResult()


def _refusing(action: str, what: str) -> Any:
    def refuse(self: LocalCloudWatchResponse) -> ActionResult:
        raise MetricError("InvalidParameterValue", f"{what} are not executed by the local cloud")

    refuse.__name__ = action
    return refuse


for _action, _what in LocalCloudWatchResponse._REFUSED.items():
    setattr(LocalCloudWatchResponse, _action, _refusing(_action, _what))


def _put(metrics: MetricStore, namespace: str, datum: Mapping[str, Any]) -> None:
    name = metric_name(namespace, datum["MetricName"], datum.get("Dimensions"))
    at = _utc(datum["Timestamp"]) if datum.get("Timestamp") else None
    unit = datum.get("Unit")
    summary = datum.get("StatisticValues")
    if summary:
        metrics.put_summary(
            name,
            count=float(summary["SampleCount"]),
            total=float(summary["Sum"]),
            low=float(summary["Minimum"]),
            high=float(summary["Maximum"]),
            at=at,
            unit=unit,
        )
    elif datum.get("Values"):
        counts = datum.get("Counts") or [1.0] * len(datum["Values"])
        if len(counts) != len(datum["Values"]):
            raise MetricError("InvalidParameterValue", "Values and Counts must have the same number of members")
        pairs = zip(map(float, datum["Values"]), map(float, counts), strict=True)
        metrics.put_values(name, list(pairs), at, unit)
    elif datum.get("Value") is not None:
        metrics.put(name, float(datum["Value"]), at=at, unit=unit)
    else:
        raise MetricError("MissingParameter", f"metric {name.name} needs Value, Values or StatisticValues")


def _has(name: MetricName, filters: Iterable[Mapping[str, str]]) -> bool:
    held = dict(name.dimensions)
    return all(entry["Name"] in held and entry.get("Value") in (None, held[entry["Name"]]) for entry in filters)


def _point(at: datetime, bucket: Bucket, statistics: list[str], extended: list[str], unit: str) -> dict[str, Any]:
    point: dict[str, Any] = {"Timestamp": at, "Unit": unit}
    point.update({name: bucket.statistic(name) for name in statistics})
    if extended:
        point["ExtendedStatistics"] = {name: bucket.statistic(name) for name in extended}
    return point


def _utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
