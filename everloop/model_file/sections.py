"""The sections of a declaration: every key, and what keys of one section ask of each other.

What sections ask of each other is :mod:`everloop.model_file.schema`'s, which is imported instead of this.

Every key is checked and unknown keys are mistakes. Durations carry their unit in their name.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    Strict,
    model_validator,
)

from everloop.evaluation.baselines import BASELINES
from everloop.model_file.misfit import refuse
from everloop.model_file.names import NAME_PATTERN
from everloop.model_file.partial import Rule, broken
from everloop.model_file.schedule import parse_schedule
from everloop.model_file.section_rules import SECTION_RULES
from everloop.model_file.sentences import CRITERION, NAMED, SENTENCE
from everloop.monitoring.detectors import DETECTORS
from everloop.rollout.targets import TARGETS

ADD = "add"
"""Marks a required key with what to write there, for declarations of releases that did not have it."""

READ_BY = "read_by"
FOR_PEOPLE = Field(json_schema_extra={READ_BY: "people"})
"""Marks keys that people read and no program does: they are declared so that they are known, and kept with the rest."""

LONGEST_DAYS = 36_500
"""A hundred years: beyond them, dates that are counted back from today come to an end."""


LONGEST_PROBE_DAYS = 92
"""A quarter. What a probe found of each day must find room in one record, for itself and all kept ones."""


def _schedule(text: str) -> str:
    parse_schedule(text)
    return text


def _script(text: str) -> str:
    # Hidden files are not shipped with the job.
    part = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
    if not re.fullmatch(rf"({part}/){{0,9}}{part}", text) or not text.endswith(".py"):
        raise ValueError("a Python file inside the model's folder, e.g. train.py or src/train.py")
    return text


def _parameter(value: Any) -> Any:
    finite = not isinstance(value, float) or math.isfinite(value)
    if not isinstance(value, str | int | float) or not finite:
        raise ValueError("a string, a finite number, true or false")
    return value


Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Text = Annotated[str, Field(min_length=3), AfterValidator(NAMED)]
Sentence = Annotated[str, AfterValidator(SENTENCE)]
Criterion = Annotated[str, AfterValidator(CRITERION)]
ShortText = Annotated[str, Field(min_length=3, max_length=256), AfterValidator(NAMED)]
"""What the description of an alarm repeats, for which CloudWatch has 1,024 characters."""

Fraction = Annotated[float, Field(ge=0, le=1)]
OpenFraction = Annotated[float, Field(gt=0, lt=1)]
Days = Annotated[int, Field(ge=1, le=LONGEST_DAYS)]
Script = Annotated[str, AfterValidator(_script)]
InstanceType = Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")]
ScheduleExpression = Annotated[str, AfterValidator(_schedule)]

# One validator and not a union of types, which would tell one wrong value as a mistake of each type.
Parameter = Annotated[str | float | int | bool, PlainValidator(_parameter)]

Confidence = Annotated[float, Field(ge=0.5, lt=1)]
"""Below a half, a bound with that confidence lies on the good side of the estimate, and what is worse would pass."""

DEFAULT_SCRIPT = "train.py"


class Section(BaseModel):
    """A part of the declaration: frozen, closed to unknown keys, and without conversions.

    Infinity is not a value either: JSON has none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="after")
    def _keys_fit_each_other(self) -> Self:
        refuse(type(self).__name__, broken(self.rules(), self))
        return self

    @classmethod
    def rules(cls) -> tuple[Rule, ...]:
        """What its keys ask of each other."""
        return SECTION_RULES.get(cls.__name__, ())


class Baseline(Section):
    """The rule the model must beat, scored like any candidate.

    ``prior`` answers the training rate (or mean) to everyone; ``group_mean`` the training rate (or mean) of
    the row's value of the feature ``by``; ``last_value`` what became of the last row that was known, of the same ``by``
    where it is given; ``expression`` what the ``expression`` over features says; ``rule_in_force`` what the function
    ``rule(features)`` of the file ``script`` says; ``logistic_regression`` is the model that anybody would try first.
    """

    kind: Annotated[str, PlainValidator(BASELINES.registered)]
    by: str | None = None
    expression: Annotated[str, Field(min_length=1)] | None = None
    script: Script | None = None


class Value(Section):
    """How money follows from predictions, in ``currency`` (ISO 4217) per row.

    Reports, gate, windows and backtests count with it. A classification has a price of acting wrongly
    (``false_positive_cost``) and something to gain by acting rightly (``false_negative_cost``, ``true_positive_value``
    or both): without either, always acting or never acting would cost least, and no model is needed. A regression pays
    ``error_cost_per_unit`` for each unit of its absolute error.
    """

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    false_positive_cost: float = Field(default=0, ge=0)
    false_negative_cost: float = Field(default=0, ge=0)
    true_positive_value: float = Field(default=0, ge=0)
    error_cost_per_unit: float = Field(default=0, ge=0)


class PredictionInterval(Section):
    """Of a regression: each answer has a ``low`` and a ``high`` between which the share ``coverage`` of outcomes lies.

    Half of the others is meant to lie below, and half above.
    """

    coverage: float = Field(ge=0.5, le=0.99)


class Risk(Section):
    """How much harm a wrong or unfair answer can do, and so which controls are mandatory.

    ``light``: nobody is harmed; ``standard``: a mistake costs money or time; ``high``: answers decide about people. See
    :mod:`everloop.model_file.tiers` for the controls of each. ``done_outside`` says of each control that the tier asks
    for and Everloop does not have, by its name, who does it and how.
    """

    tier: Literal["light", "standard", "high"]
    done_outside: dict[str, Sentence] = {}


class Problem(Section):
    """What is predicted, for whom, and why a model at all.

    ``affected`` are those whom an answer concerns. A caller has an answer within ``acceptable_latency_ms``: limits of
    the gate and of the guardrail that are wider are refused.
    """

    objective: Sentence
    type: Literal["binary_classification", "regression"]
    decided_by: Text
    affected: Text | None = None
    why_ml: Sentence
    success_criterion: Criterion
    acceptable_latency_ms: float | None = Field(default=None, gt=0)
    baseline: Baseline
    value: Value
    interval: PredictionInterval | None = None


class HandOvers(Section):
    """Who owns each point at which work goes from one to another."""

    data: ShortText | None = None
    labels: ShortText | None = None
    promotion: ShortText | None = None
    alerts: ShortText | None = None
    retirement: ShortText | None = None


class Owner(Section):
    """Who answers for the model, and who is called when they don't; ``hand_overs`` has an owner for each hand-over."""

    team: ShortText
    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
    escalation: ShortText
    hand_overs: HandOvers = HandOvers()


class Source(Section):
    """Where rows come from, and the licence or agreement by which they may be used."""

    name: Text
    licence: Text


class Feature(Section):
    """One input column.

    ``number`` features are float64; ``category`` features strings. ``missing: allow`` admits null, which
    reaches the model as NaN or as the empty string. ``unseen: accept`` lets a category that training never
    saw through to the model (it is counted), ``unseen: refuse`` answers 400.
    """

    name: Name
    type: Literal["number", "category"]
    description: str = ""
    min: float | None = None
    max: float | None = None
    missing: Literal["allow", "refuse"] = "refuse"
    max_missing_rate: Fraction = 1.0
    values: list[str] | None = None
    unseen: Literal["accept", "refuse"] = "accept"
    max_length: int = Field(default=64, ge=1, le=1024)


class Split(Section):
    """The locked test part: the newest ``test_days`` days of labelled rows."""

    strategy: Annotated[Literal["time"], FOR_PEOPLE] = "time"
    test_days: Days


class Data(Section):
    """The data contract.

    ``label_lag_hours`` is how long outcomes may take to arrive. With ``training_window_days`` only the newest days
    are trained on and tested with; with ``training_spans``, lengths in days, each training takes the newest days of one
    of them, or all rows, by the evidence of fresh probes (:mod:`everloop.retraining.spans`). With ``max_age_hours`` a
    training set is refused whose newest labelled row is older than that, counted from when its outcome had to be known.
    ``positive_rate`` is between which shares of ones a training set is believed. ``sources`` are where the rows come
    from. With ``leakage: stop`` a feature that may leak the outcome (:mod:`everloop.dataset.leakage`) stops the run,
    but for those that ``leakage_accepted`` names, each with the reason why it is known in time.
    """

    key: Name
    time: Name
    target: Name
    label_lag_hours: float = Field(ge=0, le=LONGEST_DAYS * 24)
    training_window_days: Days | None = None
    training_spans: list[Days] | None = Field(default=None, min_length=1, max_length=4)
    max_age_hours: float | None = Field(default=None, gt=0, le=LONGEST_DAYS * 24)
    minimum_rows: int = Field(ge=10)
    target_min: float | None = None
    target_max: float | None = None
    positive_rate: Annotated[tuple[Fraction, Fraction], Strict(False)] = (0.0, 1.0)
    split: Split
    sources: list[Source] = []
    leakage: Literal["report", "stop"] = "report"
    leakage_accepted: dict[Name, Text] = {}
    features: list[Feature] = Field(min_length=1)

    @property
    def numbers(self) -> list[Feature]:
        """The number features, in declared order: the columns of the model's ``num`` input."""
        return [f for f in self.features if f.type == "number"]

    @property
    def categories(self) -> list[Feature]:
        """The category features, in declared order: the columns of the model's ``cat`` input."""
        return [f for f in self.features if f.type == "category"]


class WarmStart(Section):
    """What a training by warm start adds to the champion, from the rows that are newer than its own.

    So many trees; or, of a model without trees that learns row by row, so many ``passes`` over these rows. The training
    job keeps its fitted estimator beside the version, for the next one to continue. A model that would come to more
    than ``max_trees`` trees is trained in full instead.
    """

    added_trees: int = Field(default=50, ge=1, le=10_000)
    max_trees: int = Field(default=1000, ge=2, le=100_000)
    passes: int = Field(default=1, ge=1, le=1000)


class Training(Section):
    """How a candidate is trained: the user's script and the job that runs it.

    The evaluation runs on the same type of instance, with the same time limit. ``seed`` is one that numpy and
    scikit-learn take.

    ``refit: after_gate``: once the gate has passed, the same code, seed and parameters learn from all labelled rows,
    the test part's included, and that model serves. Its scores on the test rows may differ from the evaluated model's
    by ``refit_max_difference`` on average, in units of the outcomes' standard deviation there; when they differ by
    more, the evaluated model serves. ``refit: none``: the served bytes are the evaluated bytes.

    With ``warm_start`` a training may continue the champion instead of beginning anew.
    """

    script: Script = DEFAULT_SCRIPT
    instance_type: InstanceType = "ml.m5.large"
    max_minutes: int = Field(default=30, ge=1, le=1440)
    seed: int = Field(default=0, ge=0, lt=2**32)
    parameters: dict[str, Parameter] = {}
    refit: Literal["after_gate", "none"] = "after_gate"
    refit_max_difference: float = Field(default=0.5, gt=0, le=10)
    warm_start: WarmStart | None = None


class AbsoluteThreshold(Section):
    """A bound every candidate keeps, whatever the champion does."""

    metric: Literal["roc_auc", "log_loss", "brier", "mae", "rmse"]
    min: float | None = None
    max: float | None = None


class MoneyGate(Section):
    """What a candidate must show in money as well, by the prices of ``problem.value``.

    What 1,000 decisions cost is compared, on the same rows and at ``gate.confidence``: it must be less than with the
    baseline by more than ``baseline_margin``. ``better``: less than with the champion by more than ``margin``;
    ``not_worse``: not more by more than ``margin``.
    """

    policy: Literal["better", "not_worse"] = "not_worse"
    margin: float = Field(default=0.0, ge=0)
    baseline_margin: float = Field(default=0.0, ge=0)


class By(Section):
    """A feature that takes rows apart: by its ``groups``, values of a category, or by the spans between ``edges`` of a
    number.

    Without ``groups`` each of the twenty commonest values is a group; without ``edges`` a number has four groups of
    about as many rows each.
    """

    by: Name
    groups: list[str] | None = Field(default=None, min_length=1, max_length=50)
    edges: list[float] | None = Field(default=None, min_length=1, max_length=50)


Require = Literal["not_broken", "estimate", "kept"]
"""What counts of a limit: that it is not shown to be broken, that the figures keep it, that it is shown to be kept."""


class GateSlices(Section):
    """What a candidate must keep on parts of the test rows: on those of each feature in ``by``, with ``pairs`` on those
    of two of them together, and with ``found`` where a shallow tree finds its errors to be large.

    Limits are in units of ``gate.metric``: ``max_worse_than_baseline`` and ``max_worse_than_champion`` of the paired
    difference on the slice, ``max_loss`` of the metric itself. Slices of fewer than ``minimum_rows`` are named and not
    judged. ``require`` says what counts, see :mod:`everloop.evaluation.slice_gate`.
    """

    by: list[By] = Field(default=[], max_length=12)
    pairs: bool = False
    found: bool = True
    minimum_rows: int = Field(default=100, ge=30)
    max_worse_than_baseline: float | None = None
    max_worse_than_champion: float | None = None
    max_loss: float | None = Field(default=None, gt=0)
    require: Require = "not_broken"


class GateFairness(Section):
    """How far apart groups of people may be on the test rows, for each feature in ``by``.

    A gap is the highest group's rate less the lowest's; ``min_selection_rate_ratio`` is of the lowest over the highest
    ("four fifths": 0.8). A row counts as selected from ``serving.threshold`` on. ``max_equalized_odds_gap`` limits the
    larger of the gaps in true and false positive rate, ``max_calibration_gap`` that between the groups' means of score
    less outcome. A group whose rate would be a mean over fewer than ``minimum_rows`` rows is not compared;
    ``too_few`` says whether that refuses the candidate, or is told alone.
    """

    by: list[By] = Field(min_length=1, max_length=6)
    minimum_rows: int = Field(default=30, ge=10)
    too_few: Literal["refuse", "tell"] = "refuse"
    max_selection_rate_gap: Fraction | None = None
    min_selection_rate_ratio: Fraction | None = None
    max_true_positive_rate_gap: Fraction | None = None
    max_false_positive_rate_gap: Fraction | None = None
    max_equalized_odds_gap: Fraction | None = None
    max_calibration_gap: float | None = Field(default=None, ge=0)
    require: Require = "estimate"


class Gate(Section):
    """What a candidate must show on the locked test rows.

    ``better``: the paired difference in ``metric`` to the champion is an improvement beyond ``margin`` at
    ``confidence``. ``not_worse``: it is not worse by more than ``margin`` at ``confidence``.

    ``confidence`` is kept for faults that at least the share ``rarest_fault`` of all rows has: rarer ones may not be
    among the test rows at all. How many test rows there must be follows from both.
    """

    metric: Literal["log_loss", "brier", "mae", "rmse"]
    policy: Literal["better", "not_worse"] = "better"
    margin: float = Field(default=0.0, ge=0)
    confidence: Confidence = 0.95
    rarest_fault: float = Field(default=0.02, ge=1e-6, le=0.05)
    baseline_margin: float = Field(default=0.0, ge=0)
    minimum_test_rows: int = Field(default=500, ge=30)
    absolute: list[AbsoluteThreshold] = []
    money: MoneyGate | None = None
    slices: GateSlices | None = None
    fairness: GateFairness | None = None
    max_latency_ms: float | None = Field(default=None, gt=0)
    max_artifact_mb: float | None = Field(default=None, gt=0)


class RolloutStep(Section):
    """Send ``percent`` of the requests to the candidate for at least ``minutes``."""

    percent: float = Field(gt=0, lt=100)
    minutes: int = Field(ge=1)


MOST_STEPS = 20
LEAST_EVERY = 100 / (MOST_STEPS + 1)


def _linear_steps(value: Any) -> Any:
    """The equal steps that ``every_percent`` and ``minutes`` stand for; a list is what it is."""
    if not isinstance(value, dict):
        return value
    every: Any = value.get("every_percent")
    minutes: Any = value.get("minutes")
    # All of it is held to here: the steps have no place in the file that a mistake could name.
    fits = type(every) in (int, float) and LEAST_EVERY <= every < 100 and type(minutes) is int and minutes >= 1
    if set(value) != {"every_percent", "minutes"} or not fits:
        raise ValueError(
            f"a list of steps, or `every_percent` ({math.ceil(LEAST_EVERY)} or more, below 100) and `minutes`"
            " (a whole number, 1 or more) for equal ones"
        )
    # A last step of all the traffic, but for what is rounded, is none.
    count = max(1, math.ceil(100 / every - 1e-4) - 1)
    return [{"percent": round(every * number, 6), "minutes": minutes} for number in range(1, count + 1)]


class Guardrail(Section):
    """What the candidate must keep while traffic shifts to it.

    ``max_added_error_rate`` is how much more often it may fail than the version before. ``false_rollback_rate`` is how
    often a version that keeps every limit may be rolled back: over a whole rollout, all measures and looks together.
    """

    max_error_rate: Fraction
    max_added_error_rate: Fraction = 0.005
    max_p99_latency_ms: float = Field(gt=0)
    false_rollback_rate: OpenFraction = 0.05
    minimum_requests: int = Field(default=5, ge=1)
    max_hold_minutes: int = Field(default=1440, ge=0)


class Rollout(Section):
    """How a passed candidate comes to serve: by a canary of ``steps``, or, without any, all at once.

    Equal steps are written as ``every_percent`` and ``minutes``; they are read as the list that they stand for.

    ``target`` is what serves versions; see :mod:`everloop.rollout.targets`.
    """

    steps: Annotated[list[RolloutStep], BeforeValidator(_linear_steps)] = Field(max_length=MOST_STEPS)
    target: Annotated[str, PlainValidator(TARGETS.registered)] = "lambda_alias"
    bake_minutes: int = Field(default=1440, ge=0)
    guardrail: Guardrail


class Serving(Section):
    """The prediction endpoint."""

    memory_mb: int = Field(default=1024, ge=128, le=10240)
    timeout_seconds: int = Field(default=10, ge=1, le=29)
    threshold: OpenFraction = 0.5
    max_rows: int = Field(default=500, ge=1, le=5000)
    authorization: Literal["iam", "none"] = "iam"


class Monitoring(Section):
    """When and how production is watched.

    Windows are whole UTC days, as days are what naturally differs. For drift the latest windows of ``drift_days``
    days are judged together. ``false_alarm_rate`` is the probability that they alarm when nothing has changed,
    over all features together. ``minimum_effect`` is the effect below which a shift is trivial; the effect of the
    ``detector`` ``stability`` is the population stability index.
    ``schedule`` is in UTC and runs once for each window, so that no day is watched twice or never.
    """

    schedule: ScheduleExpression = "cron(0 6 * * ? *)"
    window_hours: int = Field(default=24, ge=24, multiple_of=24)
    drift_days: int = Field(default=7, ge=1, le=31)
    minimum_rows: int = Field(default=200, ge=1)
    false_alarm_rate: OpenFraction = 0.01
    minimum_effect: float = Field(default=0.1, ge=0)
    detector: Annotated[str, PlainValidator(DETECTORS.registered)] = "stability"


class Grouped(Section):
    """Rows taken apart by a feature: by its ``groups``, values of a category, or by the spans between ``edges`` of a
    number. A category that lists its ``values`` makes a group of each where ``groups`` names none.
    """

    by: Name | None = None
    groups: list[str] | None = None
    edges: list[float] | None = None


class Fairness(Grouped):
    """What a calibration by group may do to the differences between groups: those of ``recalibration.by``, unless
    another ``by`` is named.

    They are measured on the newest ``days`` labelled days that the champion answered. A gap is that between the group
    with the highest and the one with the lowest rate; ``max_calibration_gap`` is between the groups' mean of served
    scores less outcomes, in units of the score.
    """

    days: int = Field(default=7, ge=1, le=31)
    max_selection_rate_gap: Fraction | None = None
    max_true_positive_rate_gap: Fraction | None = None
    max_false_positive_rate_gap: Fraction | None = None
    max_calibration_gap: float | None = Field(default=None, ge=0)


class Recalibration(Grouped):
    """What a calibration may do between a model's score and its caller, learned from the labels as they arrive.

    ``max_shift`` is the most a score is moved: in log odds, or, of a regression, in standard deviations of the scores
    in the first labelled window there was. A window with fewer than ``minimum_rows`` labelled rows teaches nothing.

    With ``by``, each group has a calibration of its own as soon as it has had ``minimum_group_rows`` labelled rows.
    ``fairness`` says what must not become worse by that.
    """

    max_shift: float = Field(default=8.0, gt=0, le=30)
    minimum_rows: int = Field(default=1, ge=1)
    minimum_group_rows: int = Field(default=200, ge=1)
    fairness: Fairness | None = None


class Quota(Section):
    """At most ``runs`` training runs in any ``days`` days."""

    runs: int = Field(ge=1)
    days: Days


class QualityTrigger(Section):
    """Retrain when the champion's answers no longer fit the outcomes.

    Over the last ``days`` labelled days that it served, its answers are compared with themselves, put right by the
    one shift (and one stretch) that fits the outcomes best. Quality counts as fallen when the answers lose more
    than those by ``minimum_increase`` (relative), and the days agree on it with ``confidence``. That its rows have
    become harder to tell is not a fault of the champion's, and does not count.
    """

    days: int = Field(ge=3, le=LONGEST_DAYS)
    minimum_increase: float = Field(ge=0)
    confidence: Confidence = 0.99


class DriftTrigger(Section):
    """Retrain when drift has alarmed in ``windows`` windows one after another."""

    windows: int = Field(ge=1, le=LONGEST_DAYS)


class Investment(Section):
    """Retrain where a fresh probe shows that it pays; see :mod:`everloop.retraining.investment`.

    A probe is this model's own program, trained on at most ``probe_rows`` rows that were labelled when a window of
    ``every_days`` days began, and scored on at most as many rows of that window beside the champion as served and the
    ``kept_probes`` probes before it. Its job may take ``probe_minutes`` on ``instance_type``, which is that of the
    training where it is not declared. With ``recent_days`` the job trains a second probe, on the rows of the newest so
    many days alone: whether a ``data.training_window_days`` of that length would do better.

    A retraining costs ``cost``, in the currency of ``problem.value``, or ``cost_share`` of what a window loses in
    ``gate.metric``. Where neither is declared it is ``cost.max_training_run_usd``, if ``problem.value`` is in USD, and
    else a tenth of a window's loss.
    """

    every_days: int = Field(default=14, ge=1, le=LONGEST_PROBE_DAYS)
    cost: float | None = Field(default=None, gt=0)
    cost_share: float | None = Field(default=None, gt=0, le=1000)
    probe_rows: int = Field(default=20_000, ge=100, le=10_000_000)
    probe_minutes: int = Field(default=15, ge=1, le=1440)
    kept_probes: int = Field(default=8, ge=1, le=20)
    recent_days: Days | None = None
    instance_type: InstanceType | None = None


class VolumeTrigger(Section):
    """Retrain when ``rows`` labelled rows have come since the last training."""

    rows: int = Field(ge=1)


class Retraining(Section):
    """What starts a retraining, and what holds it back."""

    quality: QualityTrigger | None = None
    drift: DriftTrigger | None = None
    investment: Investment | None = None
    volume: VolumeTrigger | None = None
    schedule_days: Days | None = None
    cooldown_days: float = Field(ge=0, le=LONGEST_DAYS)
    quota: Quota


class Retirement(Section):
    """When the model ends. The card tells it; people decide, and nothing watches these keys."""

    notify_days: int = Field(default=30, ge=0, le=LONGEST_DAYS)
    criteria: list[Text] = Field(min_length=1)


class Cost(Section):
    """Ceilings for training, in US dollars. A declaration that could go beyond them is refused before it is deployed.

    ``max_training_run_usd`` is for the instances of one run, when all its jobs (training, evaluation and the two of a
    refit) take all the time they may; ``monthly_budget_usd`` for as many such runs as the quota lets start in a month.
    Answering, storing and watching are not in them: they follow the traffic, which nobody declares.
    ``instance_usd_per_hour`` is the price of ``training.instance_type`` where it is not the one known here.
    """

    monthly_budget_usd: float = Field(gt=0)
    max_training_run_usd: float = Field(gt=0)
    instance_usd_per_hour: float | None = Field(default=None, gt=0, le=10_000)


def _none_as_null(value: object) -> object:
    """``none`` as it is written in the file."""
    return None if value == "none" else value


ADD_RISK = (
    "`risk: {tier: light}` for a model that harms nobody, standard where a mistake costs money or time, high where"
    " answers decide about people (`everloop docs risk`)"
)


class AllSections(Section):
    """One model, declared, before its sections are compared with each other."""

    model: Name
    risk: Annotated[Risk, Field(json_schema_extra={ADD: ADD_RISK})]
    problem: Problem
    owner: Owner
    data: Data
    training: Training
    gate: Gate
    rollout: Rollout
    serving: Serving
    monitoring: Monitoring
    recalibration: Annotated[Recalibration | None, BeforeValidator(_none_as_null)] = Recalibration()
    retraining: Retraining
    retirement: Retirement
    cost: Cost

    @model_validator(mode="before")
    @classmethod
    def completed(cls, document: Any) -> Any:
        """The document with what depends on other sections where it says nothing.

        A model that decides about people is not recalibrated: its scores stay as they were judged.
        """
        risk = document.get("risk") if isinstance(document, dict) else None
        if isinstance(risk, dict) and risk.get("tier") == "high":
            return {"recalibration": "none", **document}
        return document
