"""The declaration of a model: everything the product knows about it, and nothing else does.

Every key is checked and unknown keys are mistakes. Durations carry their unit in their name.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,30}$")]
Text = Annotated[str, Field(min_length=3)]
Fraction = Annotated[float, Field(ge=0, le=1)]
OpenFraction = Annotated[float, Field(gt=0, lt=1)]

RESERVED_COLUMNS = frozenset(
    {
        "prediction_id",
        "model",
        "version",
        "time",
        "key",
        "prediction",
        "probability",
        "latency_ms",
        "request_id",
        "label",
        "label_time",
        "date",
    }
)
"""Columns of the product's own tables, which a feature may not be called."""


class Section(BaseModel):
    """A part of the declaration: frozen, and closed to unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Baseline(Section):
    """The rule the model has to beat, scored like any candidate.

    ``prior`` answers the training rate (or mean) to everyone; ``group_mean`` the training rate (or mean) of
    the row's value of the feature ``by``.
    """

    kind: Literal["prior", "group_mean"]
    by: str | None = None

    @model_validator(mode="after")
    def _group_needs_a_feature(self) -> Baseline:
        if (self.kind == "group_mean") != (self.by is not None):
            raise ValueError("'by' names a feature exactly when kind is group_mean")
        return self


class Value(Section):
    """How money follows from predictions, in ``currency`` per row."""

    currency: str = "USD"
    false_positive_cost: float = Field(default=0, ge=0)
    false_negative_cost: float = Field(default=0, ge=0)
    true_positive_value: float = Field(default=0, ge=0)
    error_cost_per_unit: float = Field(default=0, ge=0)


class Problem(Section):
    """What is predicted, for whom, and why a model at all."""

    objective: Text
    type: Literal["binary_classification", "regression"]
    decided_by: Text
    why_ml: Text
    success_criterion: Text
    baseline: Baseline
    value: Value


class Owner(Section):
    """Who answers for the model, and who is called when they don't."""

    team: Text
    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
    escalation: Text


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

    @model_validator(mode="after")
    def _limits_fit_the_type(self) -> Feature:
        if self.type == "number" and (self.values is not None or self.unseen == "refuse"):
            raise ValueError("'values' and 'unseen' belong to category features")
        if self.type == "category" and (self.min is not None or self.max is not None):
            raise ValueError("'min' and 'max' belong to number features")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("'min' is above 'max'")
        return self


class Split(Section):
    """The locked test part: the newest ``test_days`` days of labelled rows."""

    strategy: Literal["time"] = "time"
    test_days: int = Field(ge=1)


class Data(Section):
    """The data contract."""

    key: Name
    time: Name
    target: Name
    label_lag_hours: float = Field(ge=0)
    training_window_days: int | None = Field(default=None, ge=1)
    minimum_rows: int = Field(ge=10)
    target_min: float | None = None
    target_max: float | None = None
    positive_rate: tuple[Fraction, Fraction] = (0.0, 1.0)
    split: Split
    features: list[Feature] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_one_each(self) -> Data:
        names = [self.key, self.time, self.target, *(f.name for f in self.features)]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the column name {name!r} is declared {names.count(name)} times")
        taken = sorted(RESERVED_COLUMNS.intersection(f.name for f in self.features))
        if taken:
            raise ValueError(f"{taken[0]!r} is the name of a column of the product's own tables")
        return self

    @property
    def numbers(self) -> list[Feature]:
        """The number features, in declared order: the columns of the model's ``num`` input."""
        return [f for f in self.features if f.type == "number"]

    @property
    def categories(self) -> list[Feature]:
        """The category features, in declared order: the columns of the model's ``cat`` input."""
        return [f for f in self.features if f.type == "category"]


class Training(Section):
    """How a candidate is trained: the user's script and the job that runs it."""

    script: str = "train.py"
    instance_type: str = "ml.m5.large"
    max_minutes: int = Field(default=30, ge=1, le=1440)
    seed: int = 0
    parameters: dict[str, str | float | int | bool] = {}


class AbsoluteThreshold(Section):
    """A bound every candidate keeps, whatever the champion does."""

    metric: Literal["roc_auc", "log_loss", "brier", "mae", "rmse"]
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _bounds_something(self) -> AbsoluteThreshold:
        if self.min is None and self.max is None:
            raise ValueError("give 'min' or 'max'")
        return self


class Gate(Section):
    """What a candidate has to show on the locked test rows.

    ``better``: the paired difference in ``metric`` to the champion is an improvement beyond ``margin`` at
    ``confidence``. ``not_worse``: it is not worse by more than ``margin`` at ``confidence``.
    """

    metric: Literal["log_loss", "brier", "mae", "rmse"]
    policy: Literal["better", "not_worse"] = "better"
    margin: float = Field(default=0.0, ge=0)
    confidence: OpenFraction = 0.95
    baseline_margin: float = Field(default=0.0, ge=0)
    minimum_test_rows: int = Field(default=500, ge=30)
    absolute: list[AbsoluteThreshold] = []
    max_latency_ms: float | None = Field(default=None, gt=0)
    max_artifact_mb: float | None = Field(default=None, gt=0)


class RolloutStep(Section):
    """Send ``percent`` of the requests to the candidate for at least ``minutes``."""

    percent: float = Field(gt=0, lt=100)
    minutes: int = Field(ge=1)


class Guardrail(Section):
    """What the candidate has to keep while traffic shifts to it."""

    max_error_rate: Fraction
    max_p99_latency_ms: float = Field(gt=0)
    minimum_requests: int = Field(default=5, ge=1)
    max_hold_minutes: int = Field(default=1440, ge=0)


class Rollout(Section):
    """How a passed candidate comes to serve."""

    strategy: Literal["canary", "all_at_once"] = "canary"
    steps: list[RolloutStep] = []
    bake_minutes: int = Field(default=1440, ge=0)
    guardrail: Guardrail

    @model_validator(mode="after")
    def _steps_rise(self) -> Rollout:
        percents = [s.percent for s in self.steps]
        if (self.strategy == "canary") != bool(percents):
            raise ValueError("a canary rollout has steps, an all_at_once rollout has none")
        if percents != sorted(set(percents)):
            raise ValueError("the steps' percentages rise")
        return self


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
    over all features together. ``minimum_effect`` is the population stability index below which a shift is trivial.
    """

    schedule: Annotated[str, Field(pattern=r"^(cron|rate)\(.+\)$")] = "cron(0 6 * * ? *)"
    window_hours: int = Field(default=24, ge=24, multiple_of=24)
    drift_days: int = Field(default=7, ge=1, le=31)
    minimum_rows: int = Field(default=200, ge=1)
    false_alarm_rate: OpenFraction = 0.01
    minimum_effect: float = Field(default=0.1, ge=0)

    @model_validator(mode="after")
    def _spans_hold_windows(self) -> Monitoring:
        if self.drift_days % (self.window_hours // 24):
            raise ValueError("'drift_days' holds a whole number of windows")
        return self


class Quota(Section):
    """At most ``runs`` training runs in any ``days`` days."""

    runs: int = Field(ge=1)
    days: int = Field(ge=1)


class QualityTrigger(Section):
    """Retrain when the champion's answers no longer fit the outcomes.

    Over the last ``days`` labelled days that it served, its answers are compared with themselves, put right by the
    one shift (and one stretch) that fits the outcomes best. Quality counts as fallen when the answers lose more
    than those by ``minimum_increase`` (relative), and the days agree on it with ``confidence``. That its rows have
    become harder to tell is no fault of the champion's, and does not count.
    """

    days: int = Field(ge=3)
    minimum_increase: float = Field(ge=0)
    confidence: OpenFraction = 0.99


class DriftTrigger(Section):
    """Retrain when drift has alarmed in ``windows`` windows one after another."""

    windows: int = Field(ge=1)


class Retraining(Section):
    """What starts a retraining, and what holds it back."""

    quality: QualityTrigger | None = None
    drift: DriftTrigger | None = None
    schedule_days: int | None = Field(default=None, ge=1)
    cooldown_days: float = Field(ge=0)
    quota: Quota


class Retirement(Section):
    """When the model ends."""

    notify_days: int = Field(default=30, ge=0)
    criteria: list[Text] = Field(min_length=1)


class Cost(Section):
    """Ceilings, in US dollars."""

    monthly_budget_usd: float = Field(gt=0)
    max_training_run_usd: float = Field(gt=0)


class ModelDeclaration(Section):
    """One model, declared."""

    model: Name
    problem: Problem
    owner: Owner
    data: Data
    training: Training
    gate: Gate
    rollout: Rollout
    serving: Serving
    monitoring: Monitoring
    retraining: Retraining
    retirement: Retirement
    cost: Cost

    @model_validator(mode="after")
    def _parts_fit_each_other(self) -> ModelDeclaration:
        classification = self.problem.type == "binary_classification"
        allowed = {"log_loss", "brier"} if classification else {"mae", "rmse"}
        absolute = allowed | ({"roc_auc"} if classification else set())
        if self.gate.metric not in allowed:
            raise ValueError(f"gate.metric {self.gate.metric!r} is not one of {sorted(allowed)}")
        for threshold in self.gate.absolute:
            if threshold.metric not in absolute:
                raise ValueError(f"gate.absolute metric {threshold.metric!r} is not one of {sorted(absolute)}")
        by = self.problem.baseline.by
        if by is not None and by not in {f.name for f in self.data.categories}:
            raise ValueError(f"problem.baseline.by {by!r} is not a declared category feature")
        return self
