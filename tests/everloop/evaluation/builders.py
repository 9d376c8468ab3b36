"""Reports and policies for the tests of the gate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from everloop.evaluation.gate import Expected
from everloop.evaluation.metrics import Estimate, estimate
from everloop.evaluation.money import Pricing
from everloop.evaluation.refit import Expected as ExpectedRefit
from everloop.evaluation.refit_report import RefitReport
from everloop.evaluation.report import (
    AsServed,
    Latency,
    MetricValue,
    Money,
    MoneyBesideChampion,
    ParityFacts,
    ProbeFacts,
    Recalibrated,
    Report,
)
from everloop.evaluation.significance import class_counts, metric_value, paired_difference
from everloop.instants import parse_instant
from everloop.model_file.schema import Gate, Value
from everloop.training.refit_check import score_difference

EXPECTED = Expected("delay", "train-0123", "abc", 1000, 3)
DAYS = np.repeat(np.arange(20), 50)


def policy(**changes: Any) -> Gate:
    declared: dict[str, Any] = {"metric": "log_loss", "minimum_test_rows": 500}
    return Gate(**declared | changes)


def labels_and_truth(seed: int, rows: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and the probabilities they were drawn with."""
    rng = np.random.default_rng(seed)
    truth = rng.beta(2, 3, rows)
    return (rng.random(rows) < truth).astype(np.int64), truth


def report_of(
    labels: np.ndarray,
    candidate: np.ndarray,
    champion: np.ndarray | None,
    *,
    priced: bool = True,
    interval: bool = True,
    **changes: Any,
) -> Report:
    """A report computed from scores; the baseline answers the rate.

    What decisions cost is a third of the work, and the intervals of the three metrics, which only limits of them are
    judged by, another.
    """
    baseline = np.full(len(labels), labels.mean())
    ours, rule = estimate("log_loss", labels, candidate), estimate("log_loss", labels, baseline)
    theirs = None if champion is None else estimate("log_loss", labels, champion)
    beside = None if champion is None or not priced else money_beside_of(labels, candidate, champion)

    def value(estimate: Estimate) -> MetricValue:
        return metric_value(estimate, DAYS) if interval else MetricValue(estimate.value, None, None)

    report = Report(
        model="delay",
        run_id="train-0123",
        snapshot_hash="abc",
        problem_type="binary_classification",
        rows=len(labels),
        days=20,
        candidate={"log_loss": value(ours), "roc_auc": MetricValue(0.7, 0.68, 0.72, 0.01, 19)},
        baseline={"log_loss": value(rule)},
        champion=None if theirs is None else {"log_loss": value(theirs)},
        champion_version=None if theirs is None else 3,
        champion_rows=None if theirs is None else len(labels),
        champion_learned_until=None if theirs is None else parse_instant("2012-12-31T23:00:00.000Z"),
        classes=class_counts(labels, DAYS),
        paired_baseline=paired_difference(ours, rule, DAYS),
        paired_champion=None if theirs is None else paired_difference(ours, theirs, DAYS),
        parity=ParityFacts(rows=len(labels), max_abs_difference=1e-16, label_flips=0),
        probes=ProbeFacts(admitted=20, possibilities=20, base_rows=8, rows=160),
        latency_ms=Latency(0.1, 0.3),
        artifact_bytes=500_000,
        code_sha256="c0de",
        files={"model.onnx": "0" * 64},
        money=money_of(labels, candidate, baseline, beside) if priced else None,
    )
    return replace(report, **changes)


PRICING = Pricing(Value(currency="EUR", false_positive_cost=4, false_negative_cost=20, true_positive_value=12), 0.5)


def money_of(
    labels: np.ndarray, candidate: np.ndarray, baseline: np.ndarray, beside: MoneyBesideChampion | None
) -> Money:
    """What decisions cost by ``PRICING``."""
    ours, rule, best = PRICING.estimate(labels, candidate), PRICING.estimate(labels, baseline), PRICING.best
    assert best is not None
    return Money(
        currency="EUR",
        threshold=0.5,
        candidate=metric_value(ours, DAYS),
        baseline=metric_value(rule, DAYS),
        paired_baseline=paired_difference(ours, rule, DAYS),
        best_threshold=best.threshold,
        candidate_at_best=metric_value(best.estimate(labels, candidate), DAYS),
        champion=beside,
        as_served=beside,
    )


def money_beside_of(labels: np.ndarray, candidate: np.ndarray, champion: np.ndarray) -> MoneyBesideChampion:
    """What decisions by both cost by ``PRICING``."""
    ours, theirs = PRICING.estimate(labels, candidate), PRICING.estimate(labels, champion)
    return MoneyBesideChampion(
        metric_value(ours, DAYS), metric_value(theirs, DAYS), paired_difference(ours, theirs, DAYS)
    )


def as_served_of(labels: np.ndarray, candidate: np.ndarray, champion: np.ndarray) -> AsServed:
    """The comparison with the champion by scores as they would have been served."""
    ours, theirs = estimate("log_loss", labels, candidate), estimate("log_loss", labels, champion)
    return AsServed(
        candidate={"log_loss": metric_value(ours, DAYS)},
        champion={"log_loss": metric_value(theirs, DAYS)},
        paired=paired_difference(ours, theirs, DAYS),
        recalibrated=Recalibrated(
            20, 1, 30, parse_instant("2012-12-31T00:00:00Z"), parse_instant("2013-01-01T00:00:00Z"), "a" * 64
        ),
    )


REFIT_EXPECTED = ExpectedRefit(
    model="delay",
    run_id="train-0123",
    snapshot_hash="abc",
    report_sha256="1" * 64,
    code_sha256="c0de",
    evaluated_files={"model.onnx": "0" * 64, "contract.json": "2" * 64},
    train_rows=9000,
    test_rows=1000,
    learned_until=parse_instant("2013-02-10T06:00:00Z"),
)


def refit_report_of(evaluated: np.ndarray, refit: np.ndarray, labels: np.ndarray, **changes: Any) -> RefitReport:
    """The check of a refit, computed from scores."""
    report = RefitReport(
        model="delay",
        run_id="train-0123",
        snapshot_hash="abc",
        report_sha256="1" * 64,
        rows=len(labels),
        learned_rows=10_000,
        learned_until=parse_instant("2013-02-10T06:00:00Z"),
        difference=score_difference(evaluated, refit, labels),
        metric="log_loss",
        evaluated_loss=estimate("log_loss", labels, evaluated).value,
        refit_loss=estimate("log_loss", labels, refit).value,
        parity=ParityFacts(rows=len(labels), max_abs_difference=1e-16, label_flips=0),
        latency_ms=Latency(0.1, 0.3),
        artifact_bytes=500_000,
        code_sha256="c0de",
        files={"model.onnx": "3" * 64},
        evaluated_files=REFIT_EXPECTED.evaluated_files,
    )
    return replace(report, **changes)
