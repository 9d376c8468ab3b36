"""What decisions cost, in the money that a declaration gives to right and wrong ones.

A decision costs what ``problem.value`` says: a false alarm, a miss and a hit of a classification, a unit of error of a
regression, and of several classes each decision by the class that came. The cost of 1,000 decisions is a mean over rows
like a loss, below 0 where decisions earn. So its intervals and differences are those of
:mod:`everloop.evaluation.significance`, with days as clusters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from everloop.evaluation.metrics import Estimate
from everloop.evaluation.report import COST, MetricValue
from everloop.evaluation.significance import metric_value
from everloop.model_file.class_costs import cost_matrix
from everloop.model_file.cost_threshold import threshold_of_prices
from everloop.problem_types import MULTICLASS

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration, Value

PER = 1_000
"""Decisions that costs are told for."""


def best_threshold(value: Value) -> float | None:
    """The probability from which acting costs less than not acting, where scores are calibrated; None without costs.

    See :func:`~everloop.model_file.cost_threshold.threshold_of_prices`.
    """
    return threshold_of_prices(value.false_positive_cost, value.false_negative_cost, value.true_positive_value)


def cheapest_threshold(target: np.ndarray, scores: np.ndarray, value: Value) -> float | None:
    """The threshold whose decisions on labelled rows cost least; None without costs.

    Between two neighbouring scores all thresholds decide alike: the one nearest to that of calibrated scores is taken,
    also among several that cost the same.

    Parameters
    ----------
    target, scores : ndarray, shape (rows,)
        Outcomes 0 and 1, and probabilities that the model did not learn from these rows.
    """
    ideal = best_threshold(value)
    if ideal is None or not len(scores):
        return None
    order = np.argsort(scores, kind="stable")
    ones, ordered = np.asarray(target)[order] == 1, np.asarray(scores, dtype=np.float64)[order]
    acting = decision_costs(ones.astype(float), np.ones(len(ones), dtype=bool), value)
    passing = decision_costs(ones.astype(float), np.zeros(len(ones), dtype=bool), value)
    # costs[k]: the k rows with the lowest scores are left alone.
    costs = np.concatenate([[0.0], np.cumsum(passing - acting)]) + acting.sum()
    ends = np.concatenate([[0.0], ordered, [1.0]])
    low, high = ends[:-1], ends[1:]
    # A row is acted on from the threshold on, so its own score still acts on it, and the one below must not.
    possible = high > low
    above = np.nextafter(low, 1.0)
    near = np.clip(ideal, above, high)
    costs = np.where(possible, costs, np.inf)
    cheapest = np.flatnonzero(costs <= costs.min() + 1e-9 * max(1.0, float(np.abs(acting).sum())))
    found = near[cheapest[np.argmin(np.abs(near[cheapest] - ideal))]]
    return float(np.clip(found, np.nextafter(0.0, 1.0), np.nextafter(1.0, 0.0)))


def cost_limits(value: Value) -> tuple[float, float]:
    """What 1,000 decisions of a classification cost if all were the cheapest, and the dearest."""
    return -PER * value.true_positive_value, PER * max(value.false_positive_cost, value.false_negative_cost)


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
    cost = decision_costs(target, values >= threshold, value)
    return np.where(np.isnan(values), np.nan, cost)


def decision_costs(target: np.ndarray, acts: np.ndarray, value: Value) -> np.ndarray:
    """The money that each row of a classification costs whose decision is known: True where it is acted on."""
    positive = target == 1
    acted = np.where(positive, -value.true_positive_value, value.false_positive_cost)
    return np.where(acts, acted, np.where(positive, value.false_negative_cost, 0.0))


def is_priced(declaration: ModelDeclaration) -> bool:
    """Whether decisions come to money: always, but of several classes only with costs."""
    return declaration.problem.type != MULTICLASS or declaration.problem.value.costs is not None


def decided_classes(scores: np.ndarray, costs: np.ndarray | None) -> np.ndarray:
    """The class that is decided for, int64 [rows]: the likeliest, or with costs the one of least expected cost.

    Of equal ones the first declared counts. That is Bayes' rule: C. Elkan, "The foundations of cost-sensitive
    learning", IJCAI 17 (2001).

    Parameters
    ----------
    scores : float64 array, shape (rows, classes)
        Probabilities.
    costs : float64 array, shape (classes, classes), or None
        Of each class that came, what deciding for each costs.
    """
    if costs is None:
        return np.asarray(scores.argmax(axis=1))
    return np.asarray((scores @ costs).argmin(axis=1))


@dataclass(frozen=True)
class Pricing:
    """How a declaration turns predictions into money.

    Attributes
    ----------
    threshold : float or None
        A classification acts from it on; None of a regression, and of several classes.
    costs : float64 array, shape (classes, classes), or None
        Of several classes: of each class that came, what deciding for each costs.
    decisions : str
        Of several classes what is decided for: the ``likeliest``, or the one of ``least_cost``; else empty.
    """

    value: Value
    threshold: float | None
    costs: np.ndarray | None = None
    decisions: str = ""

    @classmethod
    def of(cls, declaration: ModelDeclaration) -> Pricing:
        """By ``problem.value``, with the threshold that serves."""
        value, names = declaration.problem.value, declaration.problem.classes
        if value.costs is not None and names is not None:
            return cls(value, None, np.array(cost_matrix(value.costs, names)), value.decisions)
        classes = declaration.problem.type == "binary_classification"
        return cls(declaration.problem.value, declaration.serving.threshold if classes else None)

    @property
    def best(self) -> Pricing | None:
        """The same prices with the decisions that cost least where scores are calibrated; None where they do anyway.

        Of two classes these are of a threshold, which prices may lack.
        """
        if self.costs is not None:
            return replace(self, decisions="least_cost") if self.decisions == "likeliest" else None
        best = None if self.threshold is None else best_threshold(self.value)
        return None if best is None else Pricing(self.value, best)

    @property
    def limits(self) -> tuple[float, float] | None:
        """What 1,000 decisions of a classification cost at least and at most; a regression has no limits."""
        if self.costs is not None:
            return PER * float(self.costs.min()), PER * float(self.costs.max())
        return None if self.threshold is None else cost_limits(self.value)

    def cost(self, found: Estimate, days: np.ndarray, groups: np.ndarray | None = None) -> MetricValue:
        """The cost with its interval, which no price lets reach beyond the limits."""
        told, limits = metric_value(found, days, groups), self.limits
        if limits is None or told.low is None or told.high is None:
            return told
        return replace(told, low=max(told.low, limits[0]), high=min(told.high, limits[1]))

    def estimate(self, labels: np.ndarray, scores: np.ndarray) -> Estimate:
        """The cost of 1,000 decisions taken by ``scores``, with the influence of every row on it."""
        if self.costs is not None:
            decided = decided_classes(scores, self.costs if self.decisions == "least_cost" else None)
            places = np.asarray(labels).astype(np.int64)
            rows = np.bincount(places, minlength=len(self.costs))
            return replace(_estimate(PER * self.costs[places, decided]), class_rows=tuple(rows.tolist()))
        if self.threshold is not None:
            return self.estimate_of_decisions(labels, np.asarray(scores) >= self.threshold)
        return _estimate(PER * row_costs(labels, scores, self.value, None))

    def estimate_of_decisions(self, labels: np.ndarray, acts: np.ndarray) -> Estimate:
        """The same of a classification's decisions that are known themselves, bool [rows]."""
        costs = PER * decision_costs(labels, acts, self.value)
        ones, zeros = np.ones(len(labels)), np.zeros(len(labels))
        weights = PER * (decision_costs(ones, acts, self.value) - decision_costs(zeros, acts, self.value))
        return _estimate(costs, np.asarray(labels, dtype=np.float64), weights)


def _estimate(costs: np.ndarray, labels: np.ndarray | None = None, weights: np.ndarray | None = None) -> Estimate:
    mean = float(costs.mean())
    return Estimate(COST, mean, costs - mean, labels, weights)
