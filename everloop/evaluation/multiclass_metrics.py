"""Metrics of several classes, each with the influence of every row on it; see :mod:`everloop.evaluation.metrics`.

Log loss and Brier score are means over rows. Accuracy, balanced accuracy, macro F1 and the one-vs-rest area are shares:
their influences follow from those of the counts that they are made of. The values are scikit-learn's, as the tests
hold: the Brier score adds up over classes, from 0 to 2; ``macro`` means that each class counts the same, however many
rows it has.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from everloop.evaluation.bounds import least_area_error
from everloop.evaluation.exceptions import EvaluationError
from everloop.evaluation.rank_area import roc_auc

MULTICLASS_METRICS = ("log_loss", "brier", "accuracy", "balanced_accuracy", "macro_f1", "roc_auc_ovr")
SUM_TOLERANCE = 1e-6
"""How far the probabilities of a row may add up to something else than 1; the scorer's is the same."""

_EPSILON = float(np.finfo(np.float64).eps)

Measured = tuple[float, np.ndarray, float]
"""A value, each row's influence, and the standard error that the value has at least: that of independent rows."""


def measured(metric: str, labels: np.ndarray, scores: np.ndarray) -> Measured:
    """A metric of places of classes [rows] and their probabilities [rows, classes].

    Raises
    ------
    EvaluationError
        When there are no rows, a label is no place of a class, or a row's scores are no probabilities.
    """
    labels, scores = checked(metric, labels, scores)
    return _METRICS[metric](labels, scores)


def losses(metric: str, labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The loss of each row, whose mean is the metric.

    Raises
    ------
    EvaluationError
        As :func:`measured`, and for a metric that is no loss.
    """
    if metric not in _LOSSES:
        raise EvaluationError(f"{metric} is no loss of several classes; use one of {', '.join(_LOSSES)}")
    return _LOSSES[metric](*checked(metric, labels, scores))


def checked(metric: str, labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels as whole numbers, and scores; raises :class:`EvaluationError` as :func:`measured`."""
    if metric not in _METRICS:
        raise EvaluationError(f"{metric!r} is no metric of several classes; these are {', '.join(_METRICS)}")
    found, scores = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if found.ndim != 1 or scores.ndim != 2 or len(found) != len(scores) or not len(found) or scores.shape[1] < 2:
        raise EvaluationError(f"{metric} of labels {found.shape} and scores {scores.shape}")
    odd = np.flatnonzero(~np.isin(found, np.arange(scores.shape[1])))
    if len(odd):
        raise EvaluationError(f"the label of row {odd[0]} is {found[odd[0]]}: no class from 0 to {scores.shape[1] - 1}")
    wrong = ~((scores >= 0) & (scores <= 1)).all(axis=1) | ~(np.abs(scores.sum(axis=1) - 1) <= SUM_TOLERANCE)
    odd = np.flatnonzero(wrong)
    if len(odd):
        raise EvaluationError(f"the scores of row {odd[0]} are {scores[odd[0]].tolist()}: no probabilities of classes")
    return found.astype(np.int64), scores


def class_rows(labels: np.ndarray, classes: int) -> np.ndarray:
    """How many rows each class has, int64 [classes]."""
    return np.bincount(labels, minlength=classes)


def _log_losses(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    own = scores[np.arange(len(labels)), labels]
    return np.asarray(-np.log(np.clip(own, _EPSILON, 1 - _EPSILON)))


def _squares(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return np.asarray(((scores - np.eye(scores.shape[1])[labels]) ** 2).sum(axis=1))


_LOSSES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {"log_loss": _log_losses, "brier": _squares}


def _mean_of(of_rows: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[[np.ndarray, np.ndarray], Measured]:
    def metric(labels: np.ndarray, scores: np.ndarray) -> Measured:
        values = of_rows(labels, scores)
        mean = float(values.mean())
        return mean, values - mean, 0.0

    return metric


def _right(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return np.asarray(scores.argmax(axis=1) == labels, dtype=np.float64)


def _accuracy(labels: np.ndarray, scores: np.ndarray) -> Measured:
    right = _right(labels, scores)
    mean, rows = float(right.mean()), len(right)
    return mean, right - mean, math.sqrt(_variance(mean, rows))


def _balanced_accuracy(labels: np.ndarray, scores: np.ndarray) -> Measured:
    rows = class_rows(labels, scores.shape[1])
    if not rows.all():
        return _undefined(labels)
    right = _right(labels, scores)
    recalls = np.bincount(labels, weights=right, minlength=len(rows)) / rows
    influence = len(labels) / (len(rows) * rows[labels]) * (right - recalls[labels])
    return float(recalls.mean()), influence, _least_of_mean(recalls, rows)


def _macro_f1(labels: np.ndarray, scores: np.ndarray) -> Measured:
    rows = class_rows(labels, scores.shape[1])
    if not rows.all():
        return _undefined(labels)
    answers = scores.argmax(axis=1)
    answered, right = class_rows(answers, len(rows)), answers == labels
    both = rows + answered
    f1 = 2 * np.bincount(labels[right], minlength=len(rows)) / both
    # Of each row: that of the class that it is of, and that of the class that it was taken for.
    pull = 2 * right / both[labels] - f1[labels] / both[labels] - f1[answers] / both[answers]
    return float(f1.mean()), len(labels) / len(rows) * pull, _least_of_mean(f1, rows)


def _area(labels: np.ndarray, scores: np.ndarray) -> Measured:
    rows, count = class_rows(labels, scores.shape[1]), scores.shape[1]
    if not rows.all():
        return _undefined(labels)
    areas = [roc_auc((labels == place).astype(np.float64), scores[:, place]) for place in range(count)]
    mean = float(np.mean([value for value, _ in areas]))
    least = [least_area_error(value, int(rows[k]), len(labels) - int(rows[k])) for k, (value, _) in enumerate(areas)]
    pull = np.mean([pull for _, pull in areas], axis=0)
    return mean, np.asarray(pull), math.sqrt(sum(error**2 for error in least)) / count


def _undefined(labels: np.ndarray) -> Measured:
    return math.nan, np.full(len(labels), math.nan), 0.0


def _variance(share: float, rows: float) -> float:
    """Of a share of independent rows, kept off 0 by two more rows of either kind (Agresti and Coull, The American
    Statistician 52 (1998)).
    """
    inside = (share * rows + 2) / (rows + 4)
    return inside * (1 - inside) / rows


def _least_of_mean(shares: np.ndarray, rows: np.ndarray) -> float:
    return math.sqrt(sum(_variance(float(s), float(n)) for s, n in zip(shares, rows, strict=True))) / len(shares)


_METRICS: dict[str, Callable[[np.ndarray, np.ndarray], Measured]] = {
    "log_loss": _mean_of(_log_losses),
    "brier": _mean_of(_squares),
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "macro_f1": _macro_f1,
    "roc_auc_ovr": _area,
}
