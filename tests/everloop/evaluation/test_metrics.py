from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from everloop.evaluation.exceptions import EvaluationError
from everloop.evaluation.metrics import estimate, row_losses

SKLEARN = {
    "log_loss": sk.log_loss,
    "brier": sk.brier_score_loss,
    "roc_auc": sk.roc_auc_score,
    "mae": sk.mean_absolute_error,
    "rmse": sk.root_mean_squared_error,
}


def random_rows(seed: int, rows: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = np.round(rng.random(rows), 2)
    labels = (rng.random(rows) < scores).astype(float)
    labels[:2] = [0, 1]
    return labels, scores


@pytest.mark.slow
@settings(deadline=None)
@given(st.sampled_from(sorted(SKLEARN)), st.integers(0, 1000))
def test_the_value_is_scikit_learns(metric: str, seed: int) -> None:
    labels, scores = random_rows(seed)
    assert estimate(metric, labels, scores).value == pytest.approx(SKLEARN[metric](labels, scores), rel=1e-12)


@pytest.mark.parametrize("metric", sorted(SKLEARN))
def test_the_influence_is_the_effect_of_a_row(metric: str) -> None:
    """WHEN a row weighs a little more, the metric moves by that row's influence."""
    labels, scores = random_rows(3)
    found = estimate(metric, labels, scores)
    assert found.influence.mean() == pytest.approx(0, abs=1e-12)
    for row in (0, 1, 17, 250):
        weight = np.ones(len(labels))
        weight[row] += 1e-6 * len(labels)
        moved = SKLEARN[metric](labels, scores, sample_weight=weight)
        slope = (moved - found.value) / 1e-6
        assert slope == pytest.approx(found.influence[row], rel=2e-3, abs=2e-3)


def test_the_variance_of_the_auc_is_delongs() -> None:
    """The sample variances of both classes' structural components, each over its own count."""
    labels, scores = random_rows(5, 2000)
    found = estimate("roc_auc", labels, scores)
    ones, zeros = scores[labels == 1], scores[labels == 0]
    wins = (ones[:, None] > zeros).astype(float) + 0.5 * (ones[:, None] == zeros)
    delong = wins.mean(1).var(ddof=1) / len(ones) + wins.mean(0).var(ddof=1) / len(zeros)
    assert np.sum(found.influence**2) / 2000**2 == pytest.approx(delong, rel=3e-3)


def test_one_class_has_no_auc() -> None:
    assert np.isnan(estimate("roc_auc", np.ones(5), np.linspace(0, 1, 5)).value)


def test_certain_and_wrong_is_bad_but_finite() -> None:
    assert 30 < estimate("log_loss", np.array([1.0, 0.0]), np.array([0.0, 1.0])).value < 40


def test_the_losses_average_to_the_metric() -> None:
    labels, scores = random_rows(9)
    for metric in ("log_loss", "brier", "mae"):
        assert row_losses(metric, labels, scores).mean() == pytest.approx(estimate(metric, labels, scores).value)
    squares = row_losses("rmse", labels, scores)
    assert np.sqrt(squares.mean()) == pytest.approx(estimate("rmse", labels, scores).value)
    with pytest.raises(EvaluationError, match="not a mean over rows"):
        row_losses("roc_auc", labels, scores)


@pytest.mark.parametrize(
    ("metric", "labels", "scores", "said"),
    [
        ("f1", [1], [1], "not a metric"),
        ("mae", [], [], "scores"),
        ("mae", [1, 2], [1], "labels"),
        ("mae", [1], [np.nan], "score of row 0"),
        ("mae", [np.inf], [1], "label of row 0"),
        ("brier", [2], [0.5], "neither 0 nor 1"),
        ("log_loss", [1], [1.5], "not a probability"),
    ],
)
def test_rows_that_mean_nothing_are_refused(metric: str, labels: list[Any], scores: list[Any], said: str) -> None:
    with pytest.raises(EvaluationError, match=said):
        estimate(metric, np.array(labels), np.array(scores))
