"""Each part against a calculation by hand, from templates of one resource."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from everloop.cost.parts import OF_SERVERLESS, Model
from everloop.cost.prices import PRICES, Price
from everloop.cost.report import Cost, cost_of_model, cost_of_platform
from everloop.cost.templates import Resource, jobs_of, steps
from everloop.cost.work import Measured, Traffic, Work, work_of
from everloop.model_file.schedule import ScheduleError
from tests.helpers.declarations import binary_document, declare, serverless, with_endpoint

PRICE = PRICES["us-east-1"]
DAILY = "cron(0 6 * * ? *)"
COLUMNS = [
    {"Name": "prediction_id", "Type": "string"},
    {"Name": "time", "Type": "timestamp"},
    {"Name": "wind", "Type": "double"},
]
TABLES = [
    Resource(
        "S",
        f"Table{kind}",
        "AWS::Glue::Table",
        {"TableInput": {"Name": f"late_train_{kind}", "StorageDescriptor": {"Columns": COLUMNS}}},
    )
    for kind in ("predictions", "labels")
]
JSON_BYTES = (13 + 4 + 34) + (4 + 4 + 25) + (4 + 4 + 12)
PARQUET_BYTES = 24 + 8 + 8


def cost(
    kind: str,
    properties: dict[str, Any],
    traffic: Traffic | None = None,
    *,
    models: int = 1,
    measured: Measured | None = None,
    prices: Mapping[str, Price] = PRICE,
    **changes: Any,
) -> Cost:
    """The cost of a stack that has this resource, beside the tables of the lake."""
    work = work_of(declare(binary_document(**changes)), DAILY, traffic or Traffic(0))
    resources = (*TABLES, Resource("S", "One", kind, properties))
    price_of = {"ml.m5.large": 0.115}.get
    return cost_of_model(Model("late_train", resources, work, measured or Measured(), price_of), prices, models=models)


def usd(found: Cost, part: str, counted: str) -> float | None:
    (line,) = (line for line in found.lines if (line.part, line.counted) == (part, counted))
    return line.usd


FUNCTION = {"FunctionName": "everloop-late_train-predict", "MemorySize": 512, "Architectures": ["x86_64"]}


def test_a_function_costs_its_requests_and_its_gigabyte_seconds() -> None:
    found = cost(
        "AWS::Lambda::Function", FUNCTION, Traffic(2_000_000, rows_per_request=2), measured=Measured({"predict": 0.1})
    )
    assert usd(found, "Lambda", "lambda requests") == pytest.approx(1 * 0.20)
    assert usd(found, "Lambda", "lambda x86_64") == pytest.approx(1_000_000 * 0.1 * 0.5 * 0.0000166667)


def test_an_arm_function_has_its_own_price() -> None:
    found = cost("AWS::Lambda::Function", FUNCTION | {"Architectures": ["arm64"]}, Traffic(1_000_000))
    assert usd(found, "Lambda", "lambda arm64") == pytest.approx(1_000_000 * 0.03 * 0.5 * 0.0000133334)


def test_a_thousand_models_share_the_tiers_of_a_price() -> None:
    # 1,000 models × 10 million requests × 2 s × 0.5 GB are 10^10 GB-seconds: 6×10^9 at the first price.
    found = cost("AWS::Lambda::Function", FUNCTION, Traffic(1e7), models=1000, measured=Measured({"predict": 2.0}))
    assert usd(found, "Lambda", "lambda x86_64") == pytest.approx(6e9 * 0.0000166667 + 4e9 * 0.000015)


def test_traces_are_of_the_first_request_of_each_second_and_of_a_share_of_the_others() -> None:
    traced = FUNCTION | {"TracingConfig": {"Mode": "Active"}}
    seconds = 365 / 12 * 86_400
    few = usd(cost("AWS::Lambda::Function", traced, Traffic(1000)), "X-Ray", "traces")
    assert few == pytest.approx(1000 * 5 / 1e6, rel=1e-3)
    many = usd(cost("AWS::Lambda::Function", traced, Traffic(1e9)), "X-Ray", "traces")
    assert many == pytest.approx((seconds + 0.05 * (1e9 - seconds)) * 5 / 1e6)
    assert all(line.part != "X-Ray" for line in cost("AWS::Lambda::Function", FUNCTION, Traffic(1e9)).lines)


def test_a_function_that_nothing_is_known_of_is_named() -> None:
    found = cost("AWS::Lambda::Function", FUNCTION | {"FunctionName": "everloop-late_train-new"})
    assert any("new" in sentence for sentence in found.unknown)


def test_a_stream_bills_each_record_in_steps_of_five_kilobytes() -> None:
    stream = {
        "DeliveryStreamName": "everloop-late_train-predictions",
        "ExtendedS3DestinationConfiguration": {
            "BufferingHints": {"IntervalInSeconds": 900, "SizeInMBs": 64},
            "DataFormatConversionConfiguration": {"Enabled": True},
        },
    }
    found = cost("AWS::KinesisFirehose::DeliveryStream", stream, Traffic(1_000_000, months=6))
    assert usd(found, "Firehose", "firehose ingestion") == pytest.approx(1_000_000 * 5 * 1024 / 1024**3 * 0.029)
    assert usd(found, "Firehose", "firehose conversion") == pytest.approx(1_000_000 * 5 * 1024 / 1024**3 * 0.018)
    assert usd(found, "S3", "s3 storage") == pytest.approx(6 * 1_000_000 * PARQUET_BYTES / 1024**3 * 0.023)
    (writes,) = (line for line in found.lines if line.counted == "s3 writes")
    buffers = 365 / 12 * 86_400 / 900 + 1_000_000 * JSON_BYTES / (64 * 1024**2)
    assert writes.quantity >= buffers / 1000
    idle = cost("AWS::KinesisFirehose::DeliveryStream", stream, Traffic(0))
    assert usd(idle, "Firehose", "firehose ingestion") == 0
    assert not any("firehose" in sentence for sentence in idle.unknown)


def test_an_alarm_costs_each_metric_that_it_watches() -> None:
    alarm = {"AlarmName": "everloop-late_train-x", "Period": 300}
    assert usd(cost("AWS::CloudWatch::Alarm", alarm), "CloudWatch alarms", "alarm metrics") == pytest.approx(0.10)
    two = alarm | {"Metrics": [{"MetricStat": {}}, {"MetricStat": {}}, {"Expression": "a+b"}]}
    assert usd(cost("AWS::CloudWatch::Alarm", two), "CloudWatch alarms", "alarm metrics") == pytest.approx(0.20)
    fast = cost("AWS::CloudWatch::Alarm", alarm | {"Period": 10})
    assert any("high-resolution alarm" in sentence for sentence in fast.unknown)


def test_the_monitor_costs_its_queries_its_records_and_its_metrics() -> None:
    schedule = {"Name": "everloop-late_train-monitor", "ScheduleExpression": DAILY}
    found = cost("AWS::Scheduler::Schedule", schedule)
    days = 365 / 12
    assert usd(found, "EventBridge", "scheduled invocations") == pytest.approx(days / 1e6, rel=0.01)
    (queries,) = (line for line in found.lines if line.part == "Athena" and line.counted == "athena scans")
    # Each query is billed for ten megabytes at least, however few rows there are.
    assert queries.usd == pytest.approx(days * 3 * 10 * 1024**2 / 1024**4 * 5, rel=0.01)
    assert usd(found, "CloudWatch metrics", "custom metrics") == pytest.approx(10 * 0.30 * days / (days * 24), rel=0.01)


def test_requests_of_a_function_are_counted_once_however_many_routes_it_has() -> None:
    work = work_of(declare(binary_document()), DAILY, Traffic(1_000_000, labelled=0.5))
    uris: list[dict[str, Any]] = [{"Ref": "Alias"}, {"Ref": "Alias"}, {"Fn::GetAtt": ["Labels", "Arn"]}]
    routes = [
        Resource("S", f"I{n}", "AWS::ApiGatewayV2::Integration", {"IntegrationUri": uri}) for n, uri in enumerate(uris)
    ]
    model = Model("late_train", (*TABLES, *routes), work, Measured(), lambda _: None)
    # 500,000 labels in requests of 500.
    assert usd(cost_of_model(model, PRICE), "API Gateway", "http api requests") == pytest.approx(1.0 + 0.001)


def test_requests_of_a_rest_api_are_counted_at_its_methods_by_its_own_price() -> None:
    work = work_of(declare(binary_document()), DAILY, Traffic(1_000_000, labelled=0.5))
    methods = [Resource("S", f"M{n}", "AWS::ApiGateway::Method", {"HttpMethod": n}) for n in ("ANY", "POST")]
    found = cost_of_model(Model("late_train", (*TABLES, *methods), work, Measured(), lambda _: None), PRICE)
    assert usd(found, "API Gateway", "rest api requests") == pytest.approx(3.50 * 1.001)
    assert any(line.part.startswith("CloudWatch") and line.usd for line in found.lines)


TASK = "arn:aws:states:::sagemaker:create{}Job.sync"
CLUSTER = {"InstanceType": "ml.m5.large", "InstanceCount": 1}
DEFINITION: dict[str, Any] = {
    "StartAt": "Kind",
    "States": {
        "Kind": {"Type": "Choice", "Choices": [{"Next": "Train"}, {"Next": "NewestRows"}], "Default": "Failed"},
        "NewestRows": {"Type": "Task", "Next": "OlderEvaluation"},
        "OlderEvaluation": {
            "Resource": TASK.format("Processing"),
            "Parameters": {"ProcessingResources": {"ClusterConfig": CLUSTER}},
        },
        "Train": {
            "Resource": TASK.format("Training"),
            "Parameters": {"ResourceConfig": CLUSTER},
            "Next": "Evaluate",
            "Catch": [{"Next": "Failed"}],
        },
        "Evaluate": {
            "Resource": TASK.format("Processing"),
            "Parameters": {"ProcessingResources": {"ClusterConfig": CLUSTER}},
            "Next": "Close",
        },
        "Close": {
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": "${RunFunction}"},
            "End": True,
        },
        "Failed": {"Type": "Fail"},
    },
}
MACHINE = {"StateMachineName": "everloop-late_train-pipeline", "DefinitionString": json.dumps(DEFINITION)}


def test_a_run_costs_its_jobs_and_its_transitions_and_no_restoration() -> None:
    found = cost("AWS::StepFunctions::StateMachine", MACHINE, Traffic(0, trainings=3), measured=Measured({}, 600))
    assert usd(found, "SageMaker", "ml.m5.large") == pytest.approx(3 * 2 * 600 / 3600 * 0.115)
    # Kind, Train, Evaluate, Close, the rollout's second shift, and three for each look.
    looks = work_of(declare(binary_document()), DAILY, Traffic(0)).looks
    expected = 3 * (4 + 1 + 3 * looks) * 0.025 / 1000
    assert usd(found, "Step Functions", "step functions transitions") == pytest.approx(expected)


def test_a_rollout_is_looked_at_as_often_as_requests_come() -> None:
    """GIVEN an hour at 25%, an hour at 50%, and a day of bake."""
    rollout = {"steps": [{"percent": 25, "minutes": 60}, {"percent": 50, "minutes": 60}], "bake_minutes": 1440}
    declared = declare(binary_document(rollout=rollout))
    a_month = 365 / 12 * 24 * 60

    def looks(requests_a_minute: float) -> float:
        return work_of(declared, DAILY, Traffic(requests_a_minute * a_month)).looks

    assert looks(0) == 4 + 4 + 96
    assert looks(1 / 5) == 4 + 6 + 288
    assert looks(1000) == 60 + 60 + 1440


def test_an_instance_without_a_price_is_told() -> None:
    other = json.loads(json.dumps(DEFINITION).replace("ml.m5.large", "ml.x9.large"))
    found = cost(
        "AWS::StepFunctions::StateMachine", MACHINE | {"DefinitionString": json.dumps(other)}, Traffic(0, trainings=1)
    )
    assert usd(found, "SageMaker", "ml.x9.large") is None
    assert any("ml.x9.large" in sentence for sentence in found.unknown)


def test_trainings_are_those_of_the_declared_schedule_unless_said_otherwise() -> None:
    declared = declare(binary_document(retraining={"schedule_days": 30}))
    assert work_of(declared, DAILY, Traffic(0)).trainings == pytest.approx(365 / 12 / 30)
    assert work_of(declared, DAILY, Traffic(0, trainings=2)).trainings == 2
    assert work_of(declare(binary_document()), DAILY, Traffic(0)).trainings == 0


@pytest.mark.parametrize(("schedule", "runs"), [("rate(1 hour)", 8760 / 12), ("cron(0 6 ? * MON *)", 52 / 12)])
def test_the_monitors_runs_are_counted_over_a_year(schedule: str, runs: float) -> None:
    assert work_of(declare(binary_document()), schedule, Traffic(0)).monitor_runs == pytest.approx(runs, rel=0.01)


def test_a_schedule_by_words_has_no_number_of_runs() -> None:
    with pytest.raises(ScheduleError):
        work_of(declare(binary_document()), "cron(0 6 L * ? *)", Traffic(0))


def test_history_is_stored_and_read_by_each_training() -> None:
    found = cost("AWS::SQS::Queue", {}, Traffic(0, trainings=1, history_rows=1e10, months=0))
    size = 1e10 * PARQUET_BYTES
    assert usd(found, "S3", "s3 storage") == pytest.approx(size / 1024**3 * 0.023)
    assert usd(found, "Athena", "athena scans") == pytest.approx(10 * size / 1024**4 * 5)


def test_training_sets_are_kept_and_archived_after_three_months() -> None:
    set_bytes = 1e10 * PARQUET_BYTES

    def kept(months: float) -> tuple[float, float]:
        found = cost("AWS::SQS::Queue", {}, Traffic(0, trainings=1, history_rows=1e10, months=months))
        history = set_bytes / 1024**3 * 0.023
        return (usd(found, "S3", "s3 storage") or 0.0) - history, usd(found, "S3", "s3 archive") or 0.0

    each, days = 2 * set_bytes / 1024**3, 365 / 12
    assert kept(1) == pytest.approx((each * 0.023, 0.0))
    recent = 90 / days
    assert kept(12) == pytest.approx((each * recent * 0.023, each * (12 - recent) * 0.004))


def test_a_price_that_is_unknown_is_told_and_no_part_of_the_sum() -> None:
    table = {name: replace(price, tiers=None) for name, price in PRICE.items()}
    found = cost("AWS::SQS::Queue", {}, Traffic(0, trainings=1, history_rows=1e10), prices=table)
    assert usd(found, "S3", "s3 storage") is None
    assert any("s3 storage" in sentence for sentence in found.unknown)


def test_a_type_that_is_not_known_is_named_and_never_free() -> None:
    found = cost("AWS::RDS::DBInstance", {})
    assert "AWS::RDS::DBInstance (1): this type is not known here" in found.unknown


def test_a_setting_that_costs_extra_is_named() -> None:
    alias = cost("AWS::Lambda::Alias", {"ProvisionedConcurrencyConfig": {"ProvisionedConcurrentExecutions": 2}})
    assert any("ProvisionedConcurrencyConfig" in sentence for sentence in alias.unknown)
    detailed = Resource(
        "P", "Stage", "AWS::ApiGatewayV2::Stage", {"DefaultRouteSettings": {"DetailedMetricsEnabled": True}}
    )
    assert any("DetailedMetricsEnabled" in s for s in cost_of_platform([detailed], PRICE).unknown)
    limits = [{"ThrottlingRateLimit": 1}, {"ThrottlingRateLimit": 2, "MetricsEnabled": True}]
    told = cost("AWS::ApiGateway::Stage", {"MethodSettings": limits}).unknown
    assert [sentence.partition(": ")[2] for sentence in told] == [
        "MethodSettings.MetricsEnabled costs extra, which is not counted"
    ]
    assert list(cost("AWS::ApiGateway::Stage", {"MethodSettings": limits[:1]}).unknown) == []


def test_the_platforms_key_costs_a_dollar() -> None:
    found = cost_of_platform([Resource("P", "Key", "AWS::KMS::Key", {})], PRICE)
    assert found.usd == pytest.approx(1.00)


def test_an_advanced_parameter_is_not_free() -> None:
    assert usd(cost("AWS::SSM::Parameter", {"Tier": "Advanced"}), "Parameter Store", "advanced parameters") == 0.05
    assert usd(cost("AWS::SSM::Parameter", {}), "Parameter Store", "advanced parameters") == 0


def test_only_what_comes_without_a_failure_is_a_step() -> None:
    found = steps(DEFINITION, without=frozenset({"NewestRows"}))
    assert set(found) == {"Kind", "Train", "Evaluate", "Close"}
    assert [job.kind for job in jobs_of(found.items())] == ["training", "processing"]


def test_an_endpoint_costs_what_serves_what_is_on_trial_and_what_changes() -> None:
    """Two instances all the time; two more for 2 h and a bake of 1 h, ten times; eight times 10 min for each change."""
    steps = [{"percent": 10, "minutes": 60}, {"percent": 50, "minutes": 60}]
    document = with_endpoint(binary_document(rollout={"steps": steps, "bake_minutes": 60}))
    document["serving"]["endpoint"]["instances"] = 2
    work = work_of(declare(document), DAILY, Traffic(0, trainings=10))
    assert work.endpoint is not None
    assert work.endpoint.hours == pytest.approx(2 * (730 + 10 * 3 + 10 * 4 * 10 / 60))
    found = cost_of_model(Model("late_train", tuple(TABLES), work, Measured(), lambda _: None), PRICE, models=3)
    assert usd(found, "SageMaker endpoint", "ml.m5.large") == pytest.approx(3 * 0.115 * work.endpoint.hours)


@pytest.mark.parametrize(("a_minute", "instances"), [(0, 1.0), (900, 1.5), (90_000, 4.0)])
def test_instances_that_follow_requests_cost_what_even_traffic_needs(a_minute: float, instances: float) -> None:
    document = with_endpoint(binary_document(recalibration="none"))
    document["cost"]["monthly_budget_usd"] = 10_000
    document["serving"]["endpoint"]["autoscaling"] = {"max_instances": 4, "invocations_per_instance": 600}
    work = work_of(declare(document), DAILY, Traffic(a_minute * 60 * 730, trainings=0))
    assert work.endpoint is not None
    assert work.endpoint.hours == pytest.approx(instances * 730)
    assert f"{instances} instances (of 1 to 4, by even traffic) all the time" in work.endpoint.why


def test_each_calibration_changes_an_endpoint() -> None:
    document = with_endpoint(binary_document())
    document["recalibration"] = {}
    idle, busy = (work_of(declare(document), DAILY, Traffic(rows)).endpoint for rows in (0, 1000))
    assert idle is not None
    assert busy is not None
    assert busy.hours - idle.hours == pytest.approx(4 * (365 / 12) * 10 / 60)


def test_serverless_endpoints_cost_what_they_answer_and_nothing_else() -> None:
    """A million requests of 0.03 s and 2 GB, at $0.00002; ten rollouts add nothing, and an idle month is free."""
    declared = declare(serverless(binary_document()))
    for rows, expected in ((1e6, 1e6 * 0.03 * 2 * 0.00002), (0, 0.0)):
        work = work_of(declared, DAILY, Traffic(rows, trainings=10))
        assert work.endpoint is None
        found = cost_of_model(Model("late_train", tuple(TABLES), work, Measured(), lambda _: None), PRICE)
        assert usd(found, "SageMaker serverless", "GB-seconds") == pytest.approx(expected)
    (line,) = (line for line in found.lines if line.part == "SageMaker serverless")
    assert (line.unit, line.source) == ("GB-second", OF_SERVERLESS)


def test_traces_never_exceed_requests() -> None:
    work = Work(Traffic(0), 0, 0, 0, 0, 0, 0, 0, 0, 0)
    for times in (0.0, 1.0, 1e3, 1e6, 1e9):
        assert 0 <= work.traced(times) <= times + 1e-9
        assert math.isfinite(work.traced(times))
