"""Windows of several classes: the query and the counting agree, shares drift, and quality is judged."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from everloop.evaluation.metrics import estimate
from everloop.monitoring.drift import judge_drift
from everloop.monitoring.profile import OUTCOME_SUMS, Outcomes
from everloop.monitoring.profile_answer import Counted, read_counts
from everloop.monitoring.profile_query import profile_query, windows_at
from everloop.monitoring.quality import QualityReport, judge_quality
from everloop.monitoring.reference import SCORE, Reference
from everloop.monitoring.several_classes import class_outcomes
from everloop.monitoring.watch import drift_policy
from tests.helpers.declarations import CLASSES, declare, multiclass_document
from tests.helpers.watched_lake import WatchedLake, WatchedRows, draw, reference_of

DAY = datetime(2013, 3, 4, tzinfo=UTC)
SCHEDULED = DAY + timedelta(days=1, hours=12, minutes=1)


def drawn(rng: np.random.Generator, rows: int, *, towards: float = 0.0, wrong: float = 0.0) -> WatchedRows:
    """Rows of three classes; ``towards`` makes the model say "late" more often, ``wrong`` it be mistaken."""
    plain = draw(rng, rows)
    logits = rng.normal(0, 1, (rows, 3)) + np.array([0.8, towards, -0.5])
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (scores.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(0, 2).astype(float)
    mistaken = rng.random(rows) < wrong
    labels[mistaken] = (scores[mistaken].argmax(axis=1) + 1) % 3
    return WatchedRows(plain.features, scores, labels)


def counted(lake: WatchedLake, reference: Reference) -> Counted:
    answer = lake.rows(profile_query(lake.declaration, reference, windows_at(lake.declaration, SCHEDULED), version=1))
    return read_counts(answer, reference, classification=True)


@pytest.mark.parametrize("metric", ["log_loss", "brier"])
def test_query_and_process_count_the_same(metric: str) -> None:
    declaration = declare(multiclass_document(gate={"metric": metric}))
    rng = np.random.default_rng(3)
    reference = reference_of([drawn(rng, 60) for _ in range(10)], declaration)
    lake, rows = WatchedLake(declaration), drawn(rng, 200)
    rows.labels[::7] = np.nan
    lake.live(rows, DAY)
    found = counted(lake, reference).profile
    known = ~np.isnan(rows.labels)
    expected = class_outcomes(CLASSES, rows.scores[known], rows.labels[known], metric=metric)
    assert found.score.counts[:3] == tuple(np.bincount(rows.scores.argmax(axis=1), minlength=3).tolist())
    assert (found.outcomes.rows, found.outcomes.ones) == (expected.rows, expected.ones)
    assert found.outcomes.zeros == expected.zeros
    for name in OUTCOME_SUMS:
        assert getattr(found.outcomes, name) == pytest.approx(getattr(expected, name), rel=1e-9, abs=1e-9)
    value = estimate(metric, rows.labels[known], rows.scores[known]).value
    assert found.outcomes.mean_loss == pytest.approx(value, rel=1e-9)


def test_rows_of_a_version_without_probabilities_are_not_counted_as_outcomes() -> None:
    declaration = declare(multiclass_document())
    rng = np.random.default_rng(4)
    reference = reference_of([drawn(rng, 60) for _ in range(10)], declaration)
    lake = WatchedLake(declaration)
    lake.live(drawn(rng, 50), DAY)
    lake.connection.execute('UPDATE late_train_predictions SET "probabilities" = NULL')
    found = counted(lake, reference)
    assert (found.profile.outcomes.rows, found.labelled_rows, found.beyond) == (0, 50, 50)


@pytest.mark.slow
def test_shares_of_the_answered_classes_drift() -> None:
    declaration = declare(multiclass_document(monitoring={"minimum_rows": 50}))
    rng = np.random.default_rng(5)
    reference = reference_of([drawn(rng, 200) for _ in range(30)], declaration)

    def alarmed(towards: float) -> bool:
        windows = []
        for _ in range(7):
            lake = WatchedLake(declaration)
            lake.live(drawn(rng, 200, towards=towards), DAY)
            windows.append(counted(lake, reference).profile)
        return SCORE in [f.name for f in judge_drift(reference, windows, drift_policy(declaration)).alarmed]

    assert not alarmed(0.0)
    assert alarmed(1.5)


def quality(rng: np.random.Generator, wrong: float) -> QualityReport:
    declaration = declare(multiclass_document())
    reference = reference_of([drawn(rng, 200) for _ in range(10)], declaration)

    def window() -> Outcomes:
        rows = drawn(rng, 300, wrong=wrong)
        return class_outcomes(CLASSES, rows.scores, rows.labels, metric="log_loss")

    return judge_quality(
        reference,
        [window() for _ in range(7)],
        trigger=declaration.retraining.quality,
        window_days=1,
        minimum_rows=200,
        rarest_fault=0.02,
    )


def test_quality_falls_where_the_answered_class_comes_less_often_than_it_says() -> None:
    rng = np.random.default_rng(6)
    assert quality(rng, 0.0).fallen == ()
    fallen = quality(rng, 0.5)
    assert fallen.fallen[0].kind == "level"
    assert fallen.fallen[0].amount < -0.1
    assert (fallen.auc.value, fallen.auc_error) == (None, None)
    assert fallen.loss.value is not None


@pytest.mark.slow
def test_a_model_that_keeps_its_word_is_not_blamed_more_often_than_declared() -> None:
    rng = np.random.default_rng(7)
    blamed = sum(bool(quality(rng, 0.0).fallen) for _ in range(40))
    # At 99% confidence in each of two tests, and beside a least increase.
    assert blamed <= 3


def test_a_reference_of_several_classes_reads_back() -> None:
    declaration = declare(multiclass_document())
    reference = reference_of([drawn(np.random.default_rng(8), 60) for _ in range(4)], declaration)
    assert Reference.from_json(reference.to_json()) == replace(reference)
