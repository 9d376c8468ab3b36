"""The summary's figures, computed from the evidence: the two Parquet files, and the registry's own word."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import count, takewhile
from typing import Any, TypedDict

import numpy as np
import pandas as pd

from everloop.cli.replay.answers import chance_column
from everloop.cli.replay.asking import Refusal
from everloop.cli.replay.first_champion import FIRST
from everloop.documents.records import TrainingSpan, TrainingUpdate
from everloop.evaluation.metrics import estimate
from everloop.evaluation.report import MetricValue
from everloop.evaluation.significance import metric_value
from everloop.numbers_of import number_of
from everloop.prediction_ids import is_captured
from everloop.problem_types import BINARY, MULTICLASS, REGRESSION
from everloop.reasons import ReasonDocument
from everloop.registry.records import AuditRecord, Run, Version
from everloop.registry.restorations import RESTORE
from everloop.registry.states import SERVING
from everloop.typed_json import JsonObject, as_json

METRICS: dict[str, tuple[str, ...]] = {
    BINARY: ("roc_auc", "log_loss"),
    MULTICLASS: ("macro_f1", "log_loss"),
    REGRESSION: ("mae",),
}
"""What is told of each problem type, the one that is drawn first."""

HIGHER_IS_BETTER = frozenset({"roc_auc", "macro_f1"})
MODELS = ("frozen", "raw", "loop")
"""The first model for ever; the loop's models without recalibration; what the loop served."""


ModelQuality = dict[str, Any]
"""``rows``, and each metric's :class:`~everloop.evaluation.significance.MetricValue`, by the metric's name."""

MonthQuality = dict[str, Any]
"""``month``, and each model's :data:`ModelQuality`, by the model's name."""


class RetrainingFacts(TypedDict):
    """A training run: when, what set it off, why, and the verdict.

    ``training_span`` says what it learned from, where evidence chose that, and ``update`` whether it continued what
    served.
    """

    at: datetime
    run_id: str
    trigger: str | None
    reason: str | None
    verdict: str
    status: str
    version: int | None
    reasons: list[ReasonDocument]
    cause: str | None
    training_span: TrainingSpan | None
    update: TrainingUpdate | None


class MoveFacts(TypedDict):
    """A promotion or a rollback."""

    at: datetime
    version: int | None
    reason: str | None


class ServingFacts(TypedDict):
    """Which of the two models, refit or evaluated, was registered to serve, and what spoke against a refit."""

    version: int
    serves: str
    against: list[str]


class RefusalFacts(TypedDict):
    """Refused rows of one kind: how many, and one of them with its message."""

    status: int
    code: str
    rows: int
    key: str
    message: str


class AuditFacts(TypedDict):
    """The audit chain at the end."""

    records: int
    intact: bool
    head: str


class MoneyFacts(TypedDict):
    """Costs of 1,000 labelled decisions, below 0 where they earn, by ``frozen``, ``raw`` and ``loop``.

    ``cost`` is by what was decided: from ``threshold`` on (None for a regression, whose errors are priced by their
    size). ``cost_at_best`` is by the scores alone, decided from ``best_threshold`` on: where acting pays, were they
    calibrated. None where the declaration prices no decision of a class.
    """

    currency: str
    rows: int
    threshold: float | None
    cost: dict[str, float]
    best_threshold: float | None
    cost_at_best: dict[str, float] | None


class FrozenModel(TypedDict, total=False):
    """Which bytes the frozen model is, and the newest row it learned from."""

    version: int
    kind: str
    model_sha256: str | None
    learned_until: datetime | None


@dataclass(frozen=True)
class Summary:
    """What a replay came to; the fields are those of ``summary.json``.

    ``rows_left_out`` were answered and are not in the sample of ``serving.capture.share``; ``labels_left_out`` are
    labels of such rows.
    """

    model: str
    problem_type: str
    rows_served: int
    predictions_captured: int
    labels_joined: int
    labels_sent: int
    frozen: ModelQuality
    raw: ModelQuality
    loop: ModelQuality
    months: list[MonthQuality]
    retrainings: list[RetrainingFacts]
    promotions: list[MoveFacts]
    rollbacks: list[MoveFacts]
    drift_windows: dict[str, int]
    audit: AuditFacts
    champions_at_once: int
    days: int
    window_days: float
    wall_seconds: float
    setup_seconds: float | None
    peak_memory_mb: float
    rows_refused: int = 0
    refusals: list[RefusalFacts] = field(default_factory=list)
    ended_early: str | None = None
    frozen_model: FrozenModel = field(default_factory=FrozenModel)
    serving: list[ServingFacts] = field(default_factory=list)
    open_links: list[str] = field(default_factory=list)
    rows_without_champion: int = 0
    days_without_champion: float = 0.0
    first_candidates: list[RetrainingFacts] = field(default_factory=list)
    money: MoneyFacts | None = None
    restorations: list[RetrainingFacts] = field(default_factory=list)
    rows_left_out: int = 0
    labels_left_out: int = 0

    def to_json(self) -> JsonObject:
        """The summary as JSON values."""
        document: JsonObject = as_json(self)
        return document


def score_column(model: str, problem_type: str) -> str:
    """The column of the predictions file that holds a model's score."""
    answer = "probability" if problem_type == BINARY else "prediction"
    return {"loop": answer, "raw": "raw_score", "frozen": f"frozen_{answer}"}[model]


def scores_of(answers: pd.DataFrame, model: str, problem_type: str) -> np.ndarray:
    """A model's scores in the predictions file, float64 [rows]; of several classes [rows, classes].

    Nothing is calibrated there: what the loop served is what its models said.
    """
    if problem_type != MULTICLASS:
        return answers[score_column(model, problem_type)].to_numpy()
    said = "loop" if model == "raw" else model
    places = (chance_column(said, place) for place in count())
    return answers[list(takewhile(lambda name: name in answers.columns, places))].to_numpy(np.float64)


def quality(predictions: pd.DataFrame, problem_type: str) -> dict[str, ModelQuality]:
    """Each model's metrics over the labelled answers, each with its 95% interval (days as clusters)."""
    labelled = predictions[predictions["label"].notna()]
    days = labelled["time"].dt.strftime("%Y-%m-%d").to_numpy()
    return {
        model: {
            "rows": len(labelled),
            **{metric: _interval(labelled, days, metric, model, problem_type) for metric in METRICS[problem_type]},
        }
        for model in MODELS
    }


def by_month(predictions: pd.DataFrame, problem_type: str) -> list[MonthQuality]:
    """:func:`quality`, month by month."""
    months = predictions["time"].dt.strftime("%Y-%m")
    return [
        {"month": month, **quality(rows, problem_type)}
        for month, rows in predictions.groupby(months, sort=True)
        if rows["label"].notna().any()
    ]


def by_day(predictions: pd.DataFrame, problem_type: str) -> pd.DataFrame:
    """One row for each day on which the first metric has a value: ``date``, each model's value, labelled ``rows``."""
    metric = METRICS[problem_type][0]
    labelled = predictions[predictions["label"].notna()]
    rows = []
    for day, of_day in labelled.groupby(labelled["time"].dt.floor("D"), sort=True):
        label = of_day["label"].to_numpy()
        values = {m: estimate(metric, label, scores_of(of_day, m, problem_type)).value for m in MODELS}
        if all(np.isfinite(value) for value in values.values()):
            rows.append({"date": day.tz_localize(None), **values, "rows": len(of_day)})
    return pd.DataFrame(rows, columns=["date", *MODELS, "rows"])


def saved(predictions: pd.DataFrame, problem_type: str) -> pd.DataFrame:
    """What was lost less than with the frozen model, added up over the rows: one row for each labelled day.

    The loss is the last of :data:`METRICS`. Columns are ``date`` (UTC midnight), ``raw`` and ``loop``.
    """
    metric = METRICS[problem_type][-1]
    labelled = predictions[predictions["label"].notna()]
    rows = []
    for day, of_day in labelled.groupby(labelled["time"].dt.floor("D"), sort=True):
        label = of_day["label"].to_numpy()
        lost = {m: estimate(metric, label, scores_of(of_day, m, problem_type)).value for m in MODELS}
        less = {m: len(of_day) * (lost["frozen"] - lost[m]) for m in ("raw", "loop")}
        rows.append({"date": day.tz_localize(None), **less})
    found = pd.DataFrame(rows, columns=["date", "raw", "loop"])
    found[["raw", "loop"]] = found[["raw", "loop"]].astype(float).cumsum()
    return found


def retrainings(runs: Iterable[Run]) -> list[RetrainingFacts]:
    """Every training run after the first champion's, oldest first: when, what set it off, why, and the verdict."""
    trained = sorted((r for r in runs if r.kind == "train"), key=lambda r: r.started_at)
    return [_told(run) for run in trained if run.trigger.get("kind") != FIRST]


def first_candidates(runs: Iterable[Run]) -> list[RetrainingFacts]:
    """The training runs for a first champion, oldest first, as :func:`retrainings` tells the others."""
    trained = sorted((r for r in runs if r.kind == "train"), key=lambda r: r.started_at)
    return [_told(run) for run in trained if run.trigger.get("kind") == FIRST]


def restorations(runs: Iterable[Run]) -> list[RetrainingFacts]:
    """The runs that were to bring an older version back, oldest first, as :func:`retrainings` tells trainings."""
    return [_told(run) for run in sorted((r for r in runs if r.kind == RESTORE), key=lambda r: r.started_at)]


def _told(run: Run) -> RetrainingFacts:
    return {
        "at": run.started_at,
        "run_id": run.run_id,
        "trigger": run.trigger.get("kind"),
        "reason": run.trigger.get("reason"),
        "verdict": run.verdict or run.status,
        "status": run.status,
        "version": run.version,
        "reasons": run.gate_reasons,
        "cause": run.cause,
        "training_span": run.training_span,
        "update": run.update,
    }


def days_without_champion(starts_at: datetime, records: Iterable[AuditRecord], ended_at: datetime) -> float:
    """Days from the replay's begin to the first promotion, or to its end where there was none.

    0 where the first candidate came to serve at once.
    """
    first = next((r.at for r in records if r.action == "promoted"), ended_at)
    return round(max(0.0, (first - starts_at) / timedelta(days=1)), 3)


def serving(versions: Iterable[Version]) -> list[ServingFacts]:
    """Of every version whose gate passed, whether its refit serves, and what spoke against it.

    ``serves`` is ``refit``, or ``evaluated``: then ``against`` says why no refit does; it is empty where none was made.
    """
    return [
        {
            "version": version.version,
            "serves": "refit" if version.serves_refit else "evaluated",
            "against": [r["sentence"] for r in version.refit.get("reasons", []) if not r.get("passed")],
        }
        for version in versions
        if version.gate.get("verdict") == "pass"
    ]


def moves(records: Iterable[AuditRecord], action: str) -> list[MoveFacts]:
    """The audit records of one action, as the summary tells them."""
    return [{"at": r.at, "version": r.version, "reason": r.reason} for r in records if r.action == action]


def champions_at_once(records: Iterable[AuditRecord]) -> int:
    """The largest number of versions that ever were in a serving state together.

    Records of one transaction share its instant and actor, and are taken together.
    """
    serving: set[int] = set()
    most, pending = 0, None
    for record in records:
        moment = (record.at, record.operation)
        if moment != pending:
            most, pending = max(most, len(serving)), moment
        if record.action == "transition" and record.version is not None:
            to = record.details.get("to")
            (serving.add if to in {str(s) for s in SERVING} else serving.discard)(record.version)
    return max(most, len(serving))


def drift_windows(windows: pd.DataFrame) -> dict[str, int]:
    """How many windows were evaluated for drift, and how many alarmed."""
    if windows.empty:
        return {"recorded": 0, "evaluated": 0, "alarmed": 0}
    evaluated = windows[windows["drift_evaluated"].astype(bool)]
    return {
        "recorded": len(windows),
        "evaluated": len(evaluated),
        "alarmed": int(evaluated["drift_alarm"].astype(bool).sum()),
    }


def refusals(refused: Iterable[Refusal]) -> list[RefusalFacts]:
    """The refused rows by status and code, the most frequent first: how many, and one of them with its message."""
    kinds: dict[tuple[int, str], list[Refusal]] = {}
    for refusal in refused:
        kinds.setdefault((refusal.status, refusal.code), []).append(refusal)
    ranked = sorted(kinds.items(), key=lambda kind: (-len(kind[1]), kind[0]))
    return [
        {"status": status, "code": code, "rows": len(rows), "key": rows[0].key, "message": rows[0].message}
        for (status, code), rows in ranked
    ]


def open_links(summary: Summary) -> list[str]:
    """What keeps the loop from being closed, each as a sentence; empty when it is closed."""
    served, captured = summary.rows_served, summary.predictions_captured
    watched_days = summary.days - math.ceil(summary.days_without_champion) if summary.promotions else 0
    refused = "; ".join(
        f"{r['rows']} with {r['status']} {r['code']} (row {r['key']}: {r['message']})" for r in summary.refusals
    )
    checks = [
        (summary.ended_early is None, str(summary.ended_early)),
        (not summary.rows_refused, f"{number_of(summary.rows_refused, 'row was', 'rows were')} refused: {refused}"),
        (
            captured == served - summary.rows_left_out,
            f"{number_of(served, 'row was', 'rows were')} answered and {captured} captured"
            f"{_of_sample(summary.rows_left_out)}",
        ),
        (
            summary.labels_joined == summary.labels_sent - summary.labels_left_out,
            f"{number_of(summary.labels_sent, 'label was', 'labels were')} sent and {summary.labels_joined} "
            f"joined a prediction{_of_sample(summary.labels_left_out)}",
        ),
        (bool(summary.promotions), "no version was ever promoted"),
        (
            summary.drift_windows["recorded"] * summary.window_days >= watched_days - summary.window_days,
            f"{number_of(watched_days, 'day')} had a champion and "
            f"{number_of(summary.drift_windows['recorded'], 'window was', 'windows were')} monitored: see the "
            "ALARM lines above, and the monitor function's log group",
        ),
        (summary.drift_windows["evaluated"] > 0, "no window was evaluated for drift"),
        (summary.audit["intact"], "the audit chain is not intact"),
        (summary.champions_at_once == 1, f"{summary.champions_at_once} champions at once"),
        (
            all(run["status"] != "failed" for run in summary.retrainings),
            "a retraining failed: "
            + "; ".join(str(r["cause"]) for r in summary.retrainings if r["status"] == "failed"),
        ),
        (
            all(run["status"] != "failed" for run in summary.restorations),
            "an older version could not be judged: "
            + "; ".join(str(r["cause"]) for r in summary.restorations if r["status"] == "failed"),
        ),
    ]
    return [sentence for holds, sentence in checks if not holds]


def _of_sample(left_out: int) -> str:
    return f", {left_out} left out of the sample" if left_out else ""


def left_out(predictions: pd.DataFrame) -> tuple[int, int]:
    """How many answered rows are not in the declared sample, and how many of them have a label."""
    rows = predictions[~predictions["prediction_id"].map(is_captured).astype(bool)]
    return len(rows), int(rows["label"].notna().sum())


def _interval(
    labelled: pd.DataFrame, days: np.ndarray, metric: str, model: str, problem_type: str
) -> dict[str, float | None]:
    if labelled.empty:
        return asdict(MetricValue(None, None, None, reason="no answer has a label"))
    scores = scores_of(labelled, model, problem_type)
    return asdict(metric_value(estimate(metric, labelled["label"].to_numpy(), scores), days))
