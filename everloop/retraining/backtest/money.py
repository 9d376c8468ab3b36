"""What predictions cost, in the money that a declaration gives to right and wrong ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration, Value


def prices_decisions(declaration: ModelDeclaration) -> bool:
    """Whether ``problem.value`` says enough to turn predictions into money."""
    return declaration.problem.has_prices


def best_threshold(value: Value) -> float | None:
    """The probability from which acting costs less than not acting, where scores are calibrated; None without costs.

    Acting on a row that is positive with probability p saves ``p`` times the cost of missing it and the value of
    finding it; it costs ``1 - p`` times that of a false alarm.
    """
    gain = value.false_negative_cost + value.true_positive_value
    total = gain + value.false_positive_cost
    return value.false_positive_cost / total if total > 0 else None


def row_costs(target: np.ndarray, scores: np.ndarray, value: Value, threshold: float | None) -> np.ndarray:
    """The money that each row costs, below 0 where it earns; NaN where there is no score.

    Parameters
    ----------
    scores : float array, shape (..., rows)
    threshold : float or None
        A classification acts from it on; None for a regression, whose cost is that of the absolute error.
    """
    values = np.asarray(scores, dtype=np.float64)
    if threshold is None:
        return value.error_cost_per_unit * np.abs(target - values)
    positive, acts = target == 1, values >= threshold
    cost = np.where(
        acts,
        np.where(positive, -value.true_positive_value, value.false_positive_cost),
        np.where(positive, value.false_negative_cost, 0.0),
    )
    return np.where(np.isnan(values), np.nan, cost)
