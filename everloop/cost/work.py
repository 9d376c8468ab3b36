"""What a model does in a month: how often each part of it is asked, and what is taken for granted about it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from everloop.model_file.schedule import due
from everloop.model_file.schema import ModelDeclaration, Rollout
from everloop.model_file.sections.serving import Endpoint
from everloop.model_file.worst_case import ENDPOINT_CHANGE_MINUTES, RUN_BESIDE, step_minutes
from everloop.numbers_of import number_of
from everloop.rollout.answered_query import SLOT
from everloop.rollout.cadence import FARTHEST_SECONDS, closest_seconds

MONTH_DAYS = 365 / 12
MONTH_HOURS = MONTH_DAYS * 24
MONTH_SECONDS = MONTH_HOURS * 3600

LABELS_IN_A_REQUEST = 500
"""What ``everloop labels import`` sends at once."""

_A_YEAR = (datetime(2025, 12, 31, 23, 59, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


@dataclass(frozen=True)
class Assumption:
    """Something no template says.

    Attributes
    ----------
    value : float
    unit : str
    why : str
        Where it comes from.
    """

    value: float
    unit: str
    why: str


_GUESSED = "no account was measured; above what the local cloud takes. --deployed measures it"

SECONDS: Mapping[str, Assumption] = {
    name: Assumption(seconds, "seconds an invocation", _GUESSED)
    for name, seconds in {
        "predict": 0.03,
        "labels": 0.2,
        "registry": 0.3,
        "run": 1.0,
        "snapshot": 90.0,
        "gate": 1.0,
        "register": 5.0,
        "rollout": 2.0,
        "monitor": 15.0,
        "starter": 1.0,
        "probe": 60.0,
    }.items()
}
"""What an invocation of each function is billed for, by the function's name."""

JOB_SECONDS = Assumption(
    300, "seconds a job", "no account was measured; a small job's start takes most of it. --deployed measures it"
)

_COUNTED = "benchmarks/control_plane.py counts"
_ESTIMATED = "estimated from the code; no account was measured"

ASSUMED: Mapping[str, Assumption] = {
    "bytes of a log line": Assumption(1_000, "bytes an invocation", "START, END, REPORT and one line of metrics"),
    "bytes of an access log line": Assumption(400, "bytes a request", "the stage's access log format"),
    "bytes of a transition's log": Assumption(3_000, "bytes a transition", "level ALL with the states' data"),
    "traced share": Assumption(0.05, "of requests", "beside the first of each second: Lambda's fixed sampling"),
    "queries of a monitor run": Assumption(3, "queries", f"{_COUNTED}: 2, and one more where labels match nothing"),
    "queries of a snapshot": Assumption(10, "queries", "docs/snapshots.md"),
    "queries of a probe": Assumption(8, "queries", "docs/retraining.md: 6, and one or two more for each span"),
    "reads of a monitor run": Assumption(150, "read units", f"{_COUNTED}: 31 at a cooldown of 6 days; here of 28"),
    "writes of a monitor run": Assumption(10, "write units", f"{_COUNTED}: 6 for four features; here for 22"),
    "reads of a calibration": Assumption(26, "read units", _COUNTED),
    "writes of a calibration": Assumption(12, "write units", _COUNTED),
    "writes of a training": Assumption(400, "write units", _ESTIMATED),
    "reads of a reconciliation": Assumption(30, "read units", _ESTIMATED),
    "bytes of a window": Assumption(10_000, "bytes", f"{_COUNTED}: 6,436 for four features; here for 22"),
    "metrics of a monitor run": Assumption(10, "metrics", "functions/monitor/handler.py"),
    "metrics of a request": Assumption(6, "metrics", "three, by model and by function version"),
    "metrics of a labels request": Assumption(1, "metrics", "functions/labels/handler.py"),
    "minutes of an endpoint's change": Assumption(
        ENDPOINT_CHANGE_MINUTES, "minutes", "AWS says minutes; no account was measured"
    ),
    "objects of a training": Assumption(60, "objects", "snapshot, jobs' results, artefacts, audit records"),
}
"""By name. What is counted elsewhere says where."""


@dataclass(frozen=True)
class Traffic:
    """What is asked of a model in a month.

    Attributes
    ----------
    predictions : float
        Rows that are answered.
    rows_per_request : float
    labelled : float
        The share of predictions for which a label is sent.
    trainings : float or None
        Runs of the pipeline; None for those that the declared schedule starts.
    history_rows : float
        Imported rows, beside what is captured.
    months : float
        How long rows and records have been kept: nothing deletes them.
    """

    predictions: float
    rows_per_request: float = 1.0
    labelled: float = 1.0
    trainings: float | None = None
    history_rows: float = 0.0
    months: float = 12.0


@dataclass(frozen=True)
class Measured:
    """What a deployed model was seen to take, in place of what is assumed.

    Attributes
    ----------
    seconds : mapping of str to float
        Mean of an invocation, by function.
    job_seconds : float or None
        Mean of a job that was billed.
    """

    seconds: Mapping[str, float] = field(default_factory=dict)
    job_seconds: float | None = None


@dataclass(frozen=True)
class EndpointWork:
    """What runs in a month on a model's SageMaker endpoint.

    Attributes
    ----------
    instance_type : str
    hours : float
        Of instances.
    usd_per_hour : float
        Of one, as declared.
    why : str
        How the hours were counted.
    """

    instance_type: str
    hours: float
    usd_per_hour: float
    why: str


@dataclass(frozen=True)
class ServerlessWork:
    """What is asked in a month of a model's serverless endpoints, all versions together.

    Attributes
    ----------
    requests : float
    gigabytes : float
        Of a container's memory.
    usd_per_gb_second : float
        As declared.
    """

    requests: float
    gigabytes: float
    usd_per_gb_second: float


@dataclass(frozen=True)
class Work:
    """How often things happen in a month; ``endpoint`` and ``serverless`` are None where a model has no such thing."""

    traffic: Traffic
    requests: float
    label_requests: float
    monitor_runs: float
    reconciliations: float
    calibrations: float
    trainings: float
    probes: float
    steps: int
    looks: float
    lake_looks: float = 0.0
    endpoint: EndpointWork | None = None
    serverless: ServerlessWork | None = None
    drills: float = 0.0
    captured_share: float = 1.0

    @property
    def kept_rows(self) -> float:
        """Rows in the lake in the last month of the traffic's months."""
        return self.traffic.history_rows + self.captured_rows * self.traffic.months

    @property
    def captured_rows(self) -> float:
        """Rows that come to the lake in a month."""
        return self.traffic.predictions * self.captured_share

    def traced(self, invocations: float) -> float:
        """How many of a function's invocations leave a trace: the first of each second, and a share of the others."""
        first = MONTH_SECONDS * -math.expm1(-invocations / MONTH_SECONDS)
        return first + (invocations - first) * ASSUMED["traced share"].value


def work_of(declaration: ModelDeclaration, schedule: str, traffic: Traffic) -> Work:
    """What happens in a month of ``traffic``.

    Parameters
    ----------
    schedule : str
        The monitor's, as the template has it.

    Raises
    ------
    ScheduleError
        Where it names days by a word, which gives no fixed number of runs.
    """
    runs = sum(1 for _ in due(schedule, *_A_YEAR)) / 12
    labels = traffic.predictions * traffic.labelled
    learns = labels > 0 and declaration.recalibration is not None
    retraining, investment = declaration.retraining, declaration.retraining.investment
    trainings = traffic.trainings
    if trainings is None:
        trainings = MONTH_DAYS / retraining.schedule_days if retraining.schedule_days else 0.0
    calibrations = runs if learns else 0.0
    drill, capture = declaration.rollout.drill, declaration.serving.capture
    return Work(
        traffic=traffic,
        captured_share=1.0 if capture is None else capture.share,
        drills=0.0 if drill is None else sum(1 for _ in due(drill.schedule, *_A_YEAR)) / 12,
        requests=traffic.predictions / traffic.rows_per_request,
        label_requests=labels / LABELS_IN_A_REQUEST,
        monitor_runs=runs,
        reconciliations=sum(1 for _ in due(declaration.rollout.reconcile.schedule, *_A_YEAR)) / 12,
        calibrations=calibrations,
        trainings=trainings,
        probes=MONTH_DAYS / investment.every_days if investment is not None and labels > 0 else 0.0,
        steps=len(declaration.rollout.steps) + (declaration.rollout.shadow is not None),
        looks=_looks(declaration.rollout, traffic.predictions / traffic.rows_per_request),
        lake_looks=_lake_looks(declaration.rollout),
        endpoint=_on_endpoint(declaration, traffic.predictions / traffic.rows_per_request, trainings, calibrations),
        serverless=_on_serverless(declaration, traffic.predictions / traffic.rows_per_request),
    )


def _on_serverless(declaration: ModelDeclaration, requests: float) -> ServerlessWork | None:
    """Rollouts add nothing: whichever version a request goes to, one answers it."""
    endpoint = declaration.serving.endpoint
    if endpoint is None or endpoint.serverless is None:
        return None
    declared = endpoint.serverless
    return ServerlessWork(requests, declared.memory_mb / 1024, declared.usd_per_gb_second)


def _on_endpoint(
    declaration: ModelDeclaration, requests: float, trainings: float, calibrations: float
) -> EndpointWork | None:
    """The instances of the version that serves, of those on trial and kept warm, and of lists that change.

    With autoscaling a version has as many instances as requests need that come evenly through the month.
    """
    endpoint, rollout = declaration.serving.endpoint, declaration.rollout
    if endpoint is None or endpoint.instance_type is None or endpoint.usd_per_hour is None:
        return None
    beside = min(1.0, trainings * (sum(step_minutes(rollout)) + rollout.bake_minutes) / 60 / MONTH_HOURS)
    changing = (
        RUN_BESIDE * (trainings + calibrations) * ASSUMED["minutes of an endpoint's change"].value / 60 / MONTH_HOURS
    )
    instances = _instances(endpoint, requests)
    of_one = instances * MONTH_HOURS
    return EndpointWork(
        endpoint.instance_type,
        of_one * (1 + beside + changing),
        endpoint.usd_per_hour,
        f"{_told(endpoint, instances)} all the time, as many beside them for {beside:.1%} of it, through"
        f" rollouts, and {changing:.1%} more while the endpoint changes",
    )


def _instances(endpoint: Endpoint, requests: float) -> float:
    if endpoint.autoscaling is None:
        return float(endpoint.instances)
    needed = requests / (MONTH_HOURS * 60) / endpoint.autoscaling.invocations_per_instance
    return min(max(float(endpoint.instances), needed), float(endpoint.most_instances))


def _told(endpoint: Endpoint, instances: float) -> str:
    if endpoint.autoscaling is None:
        return number_of(endpoint.instances, "instance")
    return f"{instances:.1f} instances (of {endpoint.instances} to {endpoint.most_instances}, by even traffic)"


def _looks(rollout: Rollout, requests: float) -> float:
    """How often a rollout that need not wait for traffic is looked at, by how often its version is asked."""
    phases = [*((step.percent / 100, step.minutes * 60) for step in rollout.steps), (1.0, rollout.bake_minutes * 60)]
    least = closest_seconds(sum(seconds for _, seconds in phases))
    apart = MONTH_SECONDS / requests if requests else math.inf
    return sum(math.ceil(seconds / max(least, min(apart / share, FARTHEST_SECONDS))) for share, seconds in phases)


def _lake_looks(rollout: Rollout) -> float:
    """How often a rollout reads what callers asked: once after a shadow, and as often as the lake gets it."""
    unseen = float(rollout.shadow is not None)
    if not rollout.guardrail.judges_answers:
        return unseen
    minutes = [*(step.minutes for step in rollout.steps), rollout.bake_minutes]
    return unseen + sum(math.floor(each * 60 / SLOT.total_seconds()) for each in minutes)
