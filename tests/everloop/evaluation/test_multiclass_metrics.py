"""Metrics of several classes are scikit-learn's, and their influences say how far rows pull them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from everloop.evaluation.exceptions import EvaluationError
from everloop.evaluation.metrics import estimate, row_losses
from everloop.evaluation.multiclass_metrics import MULTICLASS_METRICS
from everloop.evaluation.significance import metric_value, paired_difference

ROWS, CLASSES = 400, 4


def drawn(seed: int, rows: int = ROWS, classes: int = CLASSES) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.ones(classes) * 0.8, rows)
    # Rounded ones tie, and no longer add up exactly.
    scores[::3] = np.round(scores[::3], 1)
    scores /= scores.sum(axis=1, keepdims=True)
    labels = (scores.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(0, classes - 1)
    return labels, scores


SKLEARN: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "log_loss": lambda y, p: sklearn_metrics.log_loss(y, p, labels=[*range(CLASSES)]),
    "brier": lambda y, p: float(((p - np.eye(CLASSES)[y]) ** 2).sum(axis=1).mean()),
    "accuracy": lambda y, p: sklearn_metrics.accuracy_score(y, p.argmax(axis=1)),
    "balanced_accuracy": lambda y, p: sklearn_metrics.balanced_accuracy_score(y, p.argmax(axis=1)),
    "macro_f1": lambda y, p: sklearn_metrics.f1_score(y, p.argmax(axis=1), average="macro"),
    "roc_auc_ovr": lambda y, p: sklearn_metrics.roc_auc_score(y, p, multi_class="ovr"),
}


@pytest.mark.parametrize("metric", MULTICLASS_METRICS)
@pytest.mark.parametrize("seed", range(3))
def test_values_are_those_of_scikit_learn(metric: str, seed: int) -> None:
    labels, scores = drawn(seed)
    assert estimate(metric, labels, scores).value == pytest.approx(SKLEARN[metric](labels, scores), rel=1e-9)


@pytest.mark.parametrize("metric", MULTICLASS_METRICS)
def test_influences_are_what_a_row_more_or_less_changes(metric: str) -> None:
    labels, scores = drawn(5)
    found = estimate(metric, labels, scores)
    assert found.influence.sum() == pytest.approx(0, abs=1e-9)
    for row in range(0, ROWS, 40):
        without = np.arange(ROWS) != row
        changed = found.value - estimate(metric, labels[without], scores[without]).value
        assert changed * (ROWS - 1) == pytest.approx(found.influence[row], abs=0.02)


def test_the_interval_of_a_share_holds_as_often_as_it_says() -> None:
    # GIVEN many test parts of rows whose chances are the true ones
    def value(seed: int) -> tuple[float, float, float]:
        labels, scores = drawn(seed, 200, 3)
        found = metric_value(estimate("macro_f1", labels, scores), np.arange(200) % 20)
        assert found.value is not None
        assert found.low is not None
        assert found.high is not None
        return found.value, found.low, found.high

    found = [value(seed) for seed in range(150)]
    # WHEN the middle of all is taken for the truth
    truth = float(np.mean([one[0] for one in found]))
    # THEN nineteen in twenty intervals have it, less what 150 draws can miss by chance
    assert np.mean([low <= truth <= high for _, low, high in found]) >= 0.9


def test_no_interval_is_a_point_where_every_row_is_right() -> None:
    labels = np.arange(60) % 3
    found = metric_value(estimate("accuracy", labels, np.eye(3)[labels]), np.arange(60) % 6)
    assert found.value == 1
    assert found.low is not None
    assert 0 < found.low < 0.99


def test_a_class_without_rows_leaves_means_over_classes_undefined() -> None:
    labels, scores = np.array([0, 1] * 20), np.full((40, 3), 1 / 3)
    for metric in ("balanced_accuracy", "macro_f1", "roc_auc_ovr"):
        found = metric_value(estimate(metric, labels, scores), np.arange(40) % 4)
        assert found.value is None
        assert found.reason == "1 class has no row, so it is not defined"
    assert estimate("log_loss", labels, scores).value == pytest.approx(np.log(3))


def test_too_few_rows_of_the_rarest_class_give_no_interval() -> None:
    labels = np.array([0] * 40 + [1] * 40 + [2] * 9)
    scores = np.full((89, 3), 1 / 3)
    days = np.arange(89) % 7
    found = metric_value(estimate("log_loss", labels, scores), days)
    assert (found.low, found.reason) == (None, "9 rows of the rarest class are too few: 10 are needed")
    other = np.tile([0.5, 0.3, 0.2], (89, 1))
    paired = paired_difference(estimate("log_loss", labels, other), estimate("log_loss", labels, scores), days)
    assert paired.low is None
    assert paired.reason == found.reason


@pytest.mark.parametrize(
    ("labels", "scores", "told"),
    [
        ([0, 3], [[1, 0, 0], [1, 0, 0]], "no class from 0 to 2"),
        ([0, np.nan], [[1, 0, 0], [1, 0, 0]], "no class from 0 to 2"),
        ([0, 1], [[1, 0, 0], [0.5, 0.2, 0.2]], "no probabilities of classes"),
        ([0, 1], [[1, 0, 0], [np.nan, 0.5, 0.5]], "no probabilities of classes"),
        ([0, 1], [[1, 0, 0], [1.5, -0.5, 0]], "no probabilities of classes"),
        ([], np.zeros((0, 3)), "scores"),
    ],
)
def test_what_is_no_class_and_no_probability_is_refused(
    labels: list[float], scores: list[list[float]], told: str
) -> None:
    with pytest.raises(EvaluationError, match=told):
        estimate("log_loss", np.array(labels), np.array(scores))


def test_a_loss_of_rows_is_one_of_the_two_losses() -> None:
    labels, scores = drawn(1, 30)
    assert row_losses("brier", labels, scores).mean() == pytest.approx(estimate("brier", labels, scores).value)
    with pytest.raises(EvaluationError, match="no loss of several classes"):
        row_losses("macro_f1", labels, scores)
