"""What each type of resource costs: one function for a type, and the reason where a type is free."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from everloop.cost.templates import Resource, definition_of, invoked_by, jobs_of, steps
from everloop.cost.work import ASSUMED, JOB_SECONDS, MONTH_DAYS, MONTH_HOURS, MONTH_SECONDS, SECONDS, Measured, Work
from everloop.model_file.worst_case import PROBE_TRIES
from everloop.names import ARCHIVE_RULE, ARCHIVED_AFTER_DAYS, DRILL_SCHEDULE, RECONCILE_SCHEDULE, ModelNames

MB = 1024.0**2
FIREHOSE_STEP = 5 * 1024
"""Firehose bills each record in steps of so many bytes."""
LEAST_SCANNED = 10 * MB
"""Of one query of Athena's."""

OF_JOBS = "everloop/model_file/prices.py, or cost.instance_usd_per_hour of the declaration"
OF_ENDPOINT = "serving.endpoint.usd_per_hour of the declaration"
OF_SERVERLESS = "serving.endpoint.serverless.usd_per_gb_second of the declaration"
"""Where the prices of instances are from."""

RESTORATION = frozenset({"NewestRows"})
"""Where a run branches off that brings an older version back: it is none of the trainings."""


@dataclass(frozen=True)
class Use:
    """What a resource uses in a month.

    Attributes
    ----------
    part : str
        The service, as a bill names it.
    counted : str
        A key of the prices, or a SageMaker instance type.
    quantity : float
    why : str
        How it was counted, for people.
    usd_each : float or None
        The price of one, where no table of prices has it.
    source : str
        Where that price is from.
    """

    part: str
    counted: str
    quantity: float
    why: str
    usd_each: float | None = None
    source: str = "no price is known here"


@dataclass(frozen=True)
class Model:
    """What the resources of one model's stack are counted with.

    Attributes
    ----------
    name : str
        The model's.
    resources : sequence of Resource
        Of its stack.
    instance_usd : callable
        The price of an hour of a SageMaker instance type; None where it is unknown.
    """

    name: str
    resources: tuple[Resource, ...]
    work: Work
    measured: Measured
    instance_usd: Callable[[str], float | None]

    def of(self, kind: str) -> list[Resource]:
        """The stack's resources of a type."""
        return [one for one in self.resources if one.type == kind]

    def seconds(self, function: str) -> float | None:
        """What an invocation of a function is billed for; None for a function that nothing is known of."""
        known = SECONDS.get(function)
        return self.measured.seconds.get(function, known.value if known else None)


def row_bytes(model: Model, kind: str) -> tuple[float, float]:
    """A row of the table ``predictions`` or ``labels``: bytes as the stream's JSON, and as Parquet in the lake.

    By the columns of its Glue table: a number is 12 characters and 8 bytes, a time 23 and 8, a text 32 and 24.
    Compression is not taken off.
    """
    (table,) = (
        one.properties["TableInput"]
        for one in model.of("AWS::Glue::Table")
        if one.properties["TableInput"]["Name"] == f"{model.name}_{kind}"
    )
    sizes = {"string": (34, 24), "timestamp": (25, 8)}
    columns = table["StorageDescriptor"]["Columns"]
    of_columns = [
        (len(c["Name"]) + 4 + sizes.get(c["Type"], (12, 8))[0], sizes.get(c["Type"], (12, 8))[1]) for c in columns
    ]
    return float(sum(json for json, _ in of_columns)), float(sum(parquet for _, parquet in of_columns))


def invocations(model: Model) -> Mapping[str, float]:
    """How often each function of a model is invoked in a month."""
    work = model.work
    counts: dict[str, float] = {
        "predict": work.requests,
        "labels": work.label_requests,
        "monitor": work.monitor_runs,
        "starter": work.trainings + work.probes,
        # Each calibration, and each training, changes what serves, and that is archived.
        "rollout": 2 * work.calibrations + work.trainings + work.reconciliations + work.drills,
        "registry": work.calibrations,
    }
    for machine in model.of("AWS::StepFunctions::StateMachine"):
        runs, states = _runs_and_states(machine, model)
        for function, times in invoked_by(states).items():
            in_each = work.steps if function == "rollout" else 1
            looks = work.looks if function == "rollout" else 0.0
            counts[function] = counts.get(function, 0.0) + runs * (times * in_each + looks)
            # A look that changes nothing writes nothing.
            if function in ("run", "register", "rollout"):
                counts["registry"] += runs * times * in_each
    return counts


def _runs_and_states(machine: Resource, model: Model) -> tuple[float, Mapping[str, Mapping[str, Any]]]:
    """How often a state machine runs in a month, and the states that a run comes to."""
    states = steps(definition_of(machine.properties), without=RESTORATION)
    is_probe = machine.properties["StateMachineName"].endswith("-probe")
    return (model.work.probes if is_probe else model.work.trainings), states


def _function(resource: Resource, model: Model) -> Iterator[Use]:
    properties = resource.properties
    name = str(properties["FunctionName"]).removeprefix(f"everloop-{model.name}-")
    times, seconds = invocations(model).get(name), model.seconds(name)
    if times is None or seconds is None:
        yield Use("Lambda", "unknown function", 1, f"nothing is known of how often {name} runs, or for how long")
        return
    gigabytes = properties["MemorySize"] / 1024
    architecture = properties.get("Architectures", ["x86_64"])[0]
    yield Use("Lambda", "lambda requests", times, f"{name}: {times:,.0f} invocations")
    yield Use(
        "Lambda",
        f"lambda {architecture}",
        times * seconds * gigabytes,
        f"{name}: {times:,.0f} × {seconds:g} s × {gigabytes:g} GB",
    )
    if properties.get("TracingConfig", {}).get("Mode") == "Active":
        yield Use("X-Ray", "traces", model.work.traced(times), f"{name}: one a second, and 5% of the others")
    yield from _logs(f"{name}", times * ASSUMED["bytes of a log line"].value)


def _logs(what: str, size: float) -> Iterator[Use]:
    # Kept for three months, uncompressed: more than is billed.
    yield Use("CloudWatch logs", "log ingestion", size, f"{what}: {size / MB:,.2f} MB")
    yield Use("CloudWatch logs", "log storage", 3 * size, f"{what}: three months of it")


def _machine(resource: Resource, model: Model) -> Iterator[Use]:
    runs, states = _runs_and_states(resource, model)
    # A look, a decision and a wait; and one more shift for each step after the first.
    name = str(resource.properties["StateMachineName"]).removeprefix(f"everloop-{model.name}-")
    loop = 0.0 if name == "probe" else 3 * model.work.looks + max(0, model.work.steps - 1)
    transitions = runs * (len(states) + loop)
    yield Use("Step Functions", "step functions transitions", transitions, f"{name}: {runs:,.2f} runs")
    yield from _logs(name, transitions * ASSUMED["bytes of a transition's log"].value)
    seconds = JOB_SECONDS.value if model.measured.job_seconds is None else model.measured.job_seconds
    tries = PROBE_TRIES if name == "probe" else 1
    for job in jobs_of(states.items()):
        yield Use(
            "SageMaker",
            job.instance_type,
            runs * tries * job.instances * seconds / 3600,
            f"{job.state}: {runs * tries:,.2f} jobs × {seconds:g} s",
            usd_each=model.instance_usd(job.instance_type),
            source=OF_JOBS,
        )


def _stream(resource: Resource, model: Model) -> Iterator[Use]:
    kind = str(resource.properties["DeliveryStreamName"]).removeprefix(f"everloop-{model.name}-")
    work = model.work
    rows = work.captured_rows if kind == "predictions" else work.traffic.predictions * work.traffic.labelled
    json, parquet = row_bytes(model, kind)
    billed = rows * FIREHOSE_STEP * math.ceil(json / FIREHOSE_STEP)
    yield Use("Firehose", "firehose ingestion", billed, f"{kind}: {rows:,.0f} records of {json:,.0f} bytes")
    configuration = resource.properties["ExtendedS3DestinationConfiguration"]
    if configuration.get("DataFormatConversionConfiguration", {}).get("Enabled"):
        yield Use("Firehose", "firehose conversion", billed, f"{kind}: the same, to Parquet")
    hints = configuration["BufferingHints"]
    objects = min(rows, MONTH_SECONDS / hints["IntervalInSeconds"]) + rows * json / (hints["SizeInMBs"] * MB)
    yield Use("S3", "s3 writes", objects, f"{kind}: one object a buffer")
    stored = rows * work.traffic.months * parquet
    yield Use("S3", "s3 storage", stored, f"{kind}: {work.traffic.months:g} months of {parquet:,.0f} bytes a row")


def _alarm(resource: Resource, model: Model) -> Iterator[Use]:
    watched = max(1, sum("MetricStat" in one for one in resource.properties.get("Metrics", ())))
    counted = "alarm metrics" if resource.properties.get("Period", 60) >= 60 else "high-resolution alarm"
    yield Use("CloudWatch alarms", counted, watched, str(resource.properties["AlarmName"]))


def _schedule(resource: Resource, model: Model) -> Iterator[Use]:
    name, work = str(resource.properties["Name"]), model.work
    names = ModelNames(model.name)
    if name == names.function(DRILL_SCHEDULE):
        yield Use("EventBridge", "scheduled invocations", work.drills, name)
        return
    reconciles = name == names.function(RECONCILE_SCHEDULE)
    runs = work.reconciliations if reconciles else work.monitor_runs
    yield Use("EventBridge", "scheduled invocations", runs, name)
    yield from _reconciliations(runs) if reconciles else _monitor_runs(model)


def _reconciliations(runs: float) -> Iterator[Use]:
    """What a look at what is deployed uses beside its function: the registry's records, and a metric."""
    reads = runs * ASSUMED["reads of a reconciliation"].value
    yield Use("DynamoDB", "dynamodb reads", reads, "reconciliations")
    hours = min(runs, MONTH_HOURS)
    what = f"reconciliations: a metric in {hours:,.0f} hours of {MONTH_HOURS:,.0f}"
    yield Use("CloudWatch metrics", "custom metrics", hours / MONTH_HOURS, what)


def _monitor_runs(model: Model) -> Iterator[Use]:
    """What a run of the monitor uses beside its function: queries, records, metrics."""
    work = model.work
    runs, traffic = work.monitor_runs, work.traffic
    _, parquet = row_bytes(model, "predictions")
    a_day = traffic.predictions / (MONTH_HOURS / 24) * parquet
    queries = ASSUMED["queries of a monitor run"].value
    # The days of the window, of its late labels, and the day in which it begins.
    yield Use("Athena", "athena scans", runs * queries * max(LEAST_SCANNED, 3 * a_day), f"monitor: {runs:,.0f} runs")
    yield Use("S3", "s3 writes", 2 * runs * queries, "the monitor's queries: their answers")
    yield Use("DynamoDB", "dynamodb reads", runs * ASSUMED["reads of a monitor run"].value, "the monitor's runs")
    yield Use("DynamoDB", "dynamodb writes", runs * ASSUMED["writes of a monitor run"].value, "the monitor's windows")
    yield Use(
        "CloudWatch metrics",
        "custom metrics",
        ASSUMED["metrics of a monitor run"].value * min(runs, MONTH_HOURS) / MONTH_HOURS,
        f"monitor: 10 metrics in {min(runs, MONTH_HOURS):,.0f} hours of {MONTH_HOURS:,.0f}",
    )


def _table(resource: Resource, model: Model) -> Iterator[Use]:
    """A Glue table: an object of the catalogue."""
    yield Use("Glue", "catalogue objects", 1, str(resource.properties["TableInput"]["Name"]))


def _rule(resource: Resource, model: Model) -> Iterator[Use]:
    work = model.work
    asked = {
        "calibration-learned": work.calibrations,
        "retraining-requested": work.trainings,
        "probe-due": work.probes,
        ARCHIVE_RULE: work.trainings + work.calibrations,
    }
    name = str(resource.properties["Name"]).removeprefix(f"everloop-{model.name}-")
    yield Use("EventBridge", "custom events", asked.get(name, 0.0), f"{name}: each event is paid for once")


def _integration(resource: Resource, model: Model) -> Iterator[Use]:
    """A route's integration: all requests of a function, told at the first of its routes."""
    same = [
        one
        for one in model.of("AWS::ApiGatewayV2::Integration")
        if one.properties["IntegrationUri"] == resource.properties["IntegrationUri"]
    ]
    if resource.name != same[0].name:
        return
    # The alias is referred to, the labels function's ARN is an attribute.
    name = "predict" if "Ref" in resource.properties["IntegrationUri"] else "labels"
    yield from _requests(name, "http api requests", model)


def _method(resource: Resource, model: Model) -> Iterator[Use]:
    """A method of a REST API: of predictions, which are asked by any, or of labels."""
    yield from _requests(
        "predict" if resource.properties["HttpMethod"] == "ANY" else "labels", "rest api requests", model
    )


def _requests(name: str, counted: str, model: Model) -> Iterator[Use]:
    """All requests of a function, and what they leave in the log and among the metrics."""
    times = model.work.requests if name == "predict" else model.work.label_requests
    yield Use("API Gateway", counted, times, f"{name}: {times:,.0f} requests")
    yield from _logs(f"access log of {name}", times * ASSUMED["bytes of an access log line"].value)
    metrics = ASSUMED["metrics of a request" if name == "predict" else "metrics of a labels request"].value
    # Of so many hours, those in which at least one of evenly spread requests comes.
    hours = MONTH_HOURS * -math.expm1(-times / MONTH_HOURS)
    yield Use("CloudWatch metrics", "custom metrics", metrics * hours / MONTH_HOURS, f"{name}: {metrics:g} metrics")


def _queue(resource: Resource, model: Model) -> Iterator[Use]:
    yield Use("SQS", "queue requests", 0, "only events that could not be processed")


def _parameter(resource: Resource, model: Model) -> Iterator[Use]:
    advanced = resource.properties.get("Tier", "Standard") != "Standard"
    yield Use("Parameter Store", "advanced parameters", int(advanced), "standard parameters are free")


def model_wide(model: Model) -> Iterator[Use]:
    """What a model uses beside its stack: the platform's table, lake and artefacts, and an endpoint's instances."""
    work = model.work
    if work.endpoint is not None:
        runs = work.endpoint
        part, each = "SageMaker endpoint", runs.usd_per_hour
        yield Use(part, runs.instance_type, runs.hours, runs.why, usd_each=each, source=OF_ENDPOINT)
    yield from _serverless(model)
    yield Use(
        "DynamoDB", "dynamodb writes", work.calibrations * ASSUMED["writes of a calibration"].value, "calibrations"
    )
    yield Use("DynamoDB", "dynamodb reads", work.calibrations * ASSUMED["reads of a calibration"].value, "calibrations")
    yield Use("DynamoDB", "dynamodb writes", work.trainings * ASSUMED["writes of a training"].value, "trainings")
    kept = work.monitor_runs * work.traffic.months * 2 * ASSUMED["bytes of a window"].value
    yield Use("DynamoDB", "dynamodb storage", kept, f"{work.traffic.months:g} months of windows and calibrations")
    yield Use("DynamoDB", "dynamodb recovery", kept, "point-in-time recovery of the same")
    objects = work.trainings * ASSUMED["objects of a training"].value + 2 * work.calibrations
    yield Use("S3", "s3 writes", objects, "snapshots, results, artefacts, locked audit records")
    _, parquet = row_bytes(model, "predictions")
    training_set = work.kept_rows * parquet
    queries = ASSUMED["queries of a snapshot"].value
    yield Use(
        "Athena",
        "athena scans",
        work.trainings * queries * max(LEAST_SCANNED, training_set),
        f"training sets: {work.trainings:,.2f} × {queries:g} queries over {work.kept_rows:,.0f} rows",
    )
    queries = ASSUMED["queries of a probe"].value
    yield Use(
        "Athena",
        "athena scans",
        work.probes * queries * max(LEAST_SCANNED, training_set),
        f"fresh probes: {work.probes:,.2f} × {queries:g} queries over {work.kept_rows:,.0f} rows",
    )
    yield from _captured_reads(work, parquet)
    # The parts, and the rows that were unloaded on the way, which are deleted after 14 days.
    recent = min(work.traffic.months, ARCHIVED_AFTER_DAYS / MONTH_DAYS)
    sets = 2 * work.trainings * training_set
    yield Use("S3", "s3 storage", sets * recent, f"training sets of {recent:.3g} months")
    older = work.traffic.months - recent
    yield Use("S3", "s3 archive", sets * older, f"training sets of the {older:.3g} months before")
    yield Use("S3", "s3 storage", work.traffic.history_rows * parquet, "imported history")


def _serverless(model: Model) -> Iterator[Use]:
    """The seconds of a container are taken to be those of the prediction function, whose data plane it has."""
    work, seconds = model.work.serverless, model.seconds("predict")
    if work is None or seconds is None:
        return
    why = f"{work.requests:,.0f} requests × {seconds:g} s × {work.gigabytes:g} GB; nothing while nobody asks"
    used, each = work.requests * seconds * work.gigabytes, work.usd_per_gb_second
    yield Use("SageMaker serverless", "GB-seconds", used, why, usd_each=each, source=OF_SERVERLESS)


def _captured_reads(work: Work, parquet: float) -> Iterator[Use]:
    """What rollouts read of what callers asked: each time the days since they began, and the one before."""
    looks = work.trainings * work.lake_looks
    a_day = work.traffic.predictions / (MONTH_HOURS / 24) * parquet
    what = f"rollouts: {looks:,.0f} queries for what callers asked"
    yield Use("Athena", "athena scans", looks * max(LEAST_SCANNED, 3 * a_day), what)
    yield Use("S3", "s3 writes", 2 * looks, "rollouts' queries: their answers")


Costing = Callable[[Resource, Model], Iterator[Use]]

USES: Mapping[str, Costing] = {
    "AWS::ApiGateway::Method": _method,
    "AWS::ApiGatewayV2::Integration": _integration,
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::Events::Rule": _rule,
    "AWS::Glue::Table": _table,
    "AWS::KinesisFirehose::DeliveryStream": _stream,
    "AWS::Lambda::Function": _function,
    "AWS::SQS::Queue": _queue,
    "AWS::SSM::Parameter": _parameter,
    "AWS::Scheduler::Schedule": _schedule,
    "AWS::StepFunctions::StateMachine": _machine,
}
"""By type, of a model's stack."""

PLATFORM: Mapping[str, Callable[[Resource], Iterator[Use]]] = {
    "AWS::KMS::Key": lambda one: iter([Use("KMS", "keys", 1, one.name)]),
    "AWS::Glue::Database": lambda one: iter([Use("Glue", "catalogue objects", 1, one.name)]),
    "AWS::SSM::Parameter": lambda one: iter([]),
}
"""By type, of the platform's stack, which all models share."""
