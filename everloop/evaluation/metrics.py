"""Metrics, each with the influence of every row on it.

A metric is estimated from rows, and so has an error. To first order that error is the mean over rows of the
metric's *influence function*; with it one formula gives the interval of any metric, and of the difference of
any metric between two models on the same rows (the difference of their influences). See
:mod:`everloop.evaluation.significance` for the formula.

References
----------
E. DeLong, D. DeLong, D. Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating
characteristic curves", Biometrics 44 (1988): the influence of a row on the AUC is its structural component.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from everloop.evaluation.exceptions import EvaluationError
from everloop.evaluation.measured import SHARES
from everloop.evaluation.multiclass_metrics import class_rows, losses, measured
from everloop.evaluation.rank_area import roc_auc

CLASSIFICATION_METRICS = ("log_loss", "brier", "roc_auc")
REGRESSION_METRICS = ("mae", "rmse")
HIGHER_IS_BETTER = frozenset({"roc_auc"}) | SHARES

_EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Estimate:
    """A metric over some rows.

    Attributes
    ----------
    metric : str
        Its name.
    value : float
        Its value; NaN where it is not defined, as the AUC of rows of one class.
    influence : ndarray of float64, shape (rows,)
        How far each row pulls the value, summing to zero.
    labels : ndarray, shape (rows,), or None
        Of a classification: 0 or 1.
    weights : ndarray of float64, shape (rows,), or None
        Of a classification's mean loss: what each row loses with the label 1, less what it loses with 0.
    class_rows : tuple of int, or None
        Of several classes: how many rows each has. Their estimates have neither labels nor weights.
    least_error : float
        The standard error that it has at least, however alike days are; 0 where that is told otherwise.
    """

    metric: str
    value: float
    influence: np.ndarray
    labels: np.ndarray | None = None
    weights: np.ndarray | None = None
    class_rows: tuple[int, ...] | None = None
    least_error: float = 0.0


def estimate(metric: str, labels: np.ndarray, scores: np.ndarray) -> Estimate:
    """Estimate a metric.

    Parameters
    ----------
    metric : str
        One of ``CLASSIFICATION_METRICS``, ``REGRESSION_METRICS``, or of several classes ``MULTICLASS_METRICS``.
    labels : ndarray, shape (rows,)
        0 or 1, the places of classes, or the true values.
    scores : ndarray, shape (rows,), or (rows, classes) of several classes
        Probabilities of 1, of each class, or the predicted values.

    Raises
    ------
    EvaluationError
        When there are no rows, the arrays differ in length, or a value is not finite, no class or no
        probability.
    """
    if np.ndim(scores) == 2:
        value, influence, least = measured(metric, labels, scores)
        rows = class_rows(np.asarray(labels).astype(np.int64), np.shape(scores)[1])
        return Estimate(metric, value, influence, class_rows=tuple(rows.tolist()), least_error=least)
    labels, scores = _checked(metric, labels, scores)
    value, influence = _METRICS[metric](labels, scores)
    if metric not in CLASSIFICATION_METRICS:
        return Estimate(metric, value, influence)
    weights = None
    if metric in _LOSSES:
        weights = _LOSSES[metric](np.ones_like(scores), scores) - _LOSSES[metric](np.zeros_like(scores), scores)
    return Estimate(metric, value, influence, labels, weights)


def row_losses(metric: str, labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The loss of each row, whose mean is the metric (for ``rmse``: its square).

    Raises
    ------
    EvaluationError
        As :func:`estimate`, and for ``roc_auc``, which is not a mean over rows.
    """
    if np.ndim(scores) == 2:
        return losses(metric, labels, scores)
    if metric not in _LOSSES:
        raise EvaluationError(f"{metric} is not a mean over rows; use one of {', '.join(_LOSSES)}")
    labels, scores = _checked(metric, labels, scores)
    return _LOSSES[metric](labels, scores)


def _checked(metric: str, labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if metric not in _METRICS:
        raise EvaluationError(f"{metric!r} is not a metric; the metrics are {', '.join(_METRICS)}")
    labels, scores = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if labels.ndim != 1 or labels.shape != scores.shape or not len(labels):
        raise EvaluationError(f"{metric} of labels {labels.shape} and scores {scores.shape}")
    for name, values in (("label", labels), ("score", scores)):
        odd = np.flatnonzero(~np.isfinite(values))
        if len(odd):
            raise EvaluationError(f"the {name} of row {odd[0]} is {values[odd[0]]}: not finite")
    if metric in CLASSIFICATION_METRICS:
        odd = np.flatnonzero((labels != 0) & (labels != 1))
        if len(odd):
            raise EvaluationError(f"the label of row {odd[0]} is {labels[odd[0]]}: neither 0 nor 1")
        odd = np.flatnonzero((scores < 0) | (scores > 1))
        if len(odd):
            raise EvaluationError(f"the score of row {odd[0]} is {scores[odd[0]]}: not a probability")
    return labels, scores


def _log_losses(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    clipped = np.clip(scores, _EPSILON, 1 - _EPSILON)
    return np.asarray(-np.where(labels == 1, np.log(clipped), np.log1p(-clipped)))


def _squared_errors(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return np.asarray((scores - labels) ** 2)


def _absolute_errors(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(scores - labels))


_Losses = Callable[[np.ndarray, np.ndarray], np.ndarray]
_LOSSES: dict[str, _Losses] = {
    "log_loss": _log_losses,
    "brier": _squared_errors,
    "mae": _absolute_errors,
    "rmse": _squared_errors,
}


def _mean_of(losses: _Losses) -> Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]:
    def metric(labels: np.ndarray, scores: np.ndarray) -> tuple[float, np.ndarray]:
        values = losses(labels, scores)
        mean = float(values.mean())
        return mean, values - mean

    return metric


def _rmse(labels: np.ndarray, scores: np.ndarray) -> tuple[float, np.ndarray]:
    squares = _squared_errors(labels, scores)
    mean = float(squares.mean())
    root = float(np.sqrt(mean))
    return root, (squares - mean) / (2 * root) if root else np.zeros_like(squares)


_METRICS: dict[str, Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]] = {
    "log_loss": _mean_of(_log_losses),
    "brier": _mean_of(_squared_errors),
    "roc_auc": roc_auc,
    "mae": _mean_of(_absolute_errors),
    "rmse": _rmse,
}
