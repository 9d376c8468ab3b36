"""Logistic regression on all features: the simplest model that anybody would try first.

Numbers are standardized, their missing values are the mean and have an indicator of their own; each category value that
training had is an indicator. The penalty is scikit-learn's default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from everloop.evaluation.baselines import Answers, Asked, BaselineRule, Learned, Rows

_INTERCEPT = "intercept"
DIGITS = 12
"""Of what is kept: sums of other threads differ in the last ones."""


class LogisticRegressionRule:
    """The fitted coefficients, by what each is multiplied with."""

    def fit(self, asked: Asked, rows: Rows, target: np.ndarray) -> Learned:
        """The coefficients; with one class alone there is nothing to fit, and the mean is the answer."""
        mean = float(np.mean(target))
        if mean in (0.0, 1.0):
            return Learned(mean)
        from sklearn.linear_model import LogisticRegression

        numbers = _scales(asked, rows)
        values = {name: np.unique(rows.features[name].astype(str)).tolist() for name in asked.categories}
        named = dict(_columns(asked, rows, numbers, values))
        matrix = np.column_stack(list(named.values()))
        fitted = LogisticRegression(max_iter=1000).fit(matrix, np.asarray(target).astype(int))
        coefficients = zip((_INTERCEPT, *named), (fitted.intercept_[0], *fitted.coef_[0]), strict=True)
        return Learned(mean, numbers=numbers | {name: _rounded(value) for name, value in coefficients})

    def answer(self, asked: Asked, learned: Learned, rows: Rows) -> Answers:
        """The probabilities of 1."""
        if _INTERCEPT not in learned.numbers:
            return Answers(np.full(len(rows), learned.value))
        values: dict[str, list[str]] = {name: [] for name in asked.categories}
        for name in asked.categories:
            prefix = f"{name} is "
            values[name] = [known.removeprefix(prefix) for known in learned.numbers if known.startswith(prefix)]
        logit = np.full(len(rows), learned.numbers[_INTERCEPT])
        for name, column in _columns(asked, rows, learned.numbers, values):
            logit = logit + learned.numbers[name] * column
        return Answers(1 / (1 + np.exp(-np.clip(logit, -700, 700))))


def _scales(asked: Asked, rows: Rows) -> dict[str, float]:
    """The mean and the spread of each number; a column of one value has the spread 1."""
    scales = {}
    for name in asked.numbers:
        column = np.asarray(rows.features[name], dtype=np.float64)
        known = column[np.isfinite(column)]
        mean, spread = (float(known.mean()), float(known.std())) if len(known) else (0.0, 0.0)
        scales[f"mean of {name}"], scales[f"spread of {name}"] = _rounded(mean), _rounded(spread) or 1.0
    return scales


def _columns(
    asked: Asked, rows: Rows, scales: Mapping[str, float], values: Mapping[str, list[str]]
) -> Iterator[tuple[str, np.ndarray]]:
    for name in asked.numbers:
        column = np.asarray(rows.features[name], dtype=np.float64)
        absent = ~np.isfinite(column)
        standard = (column - scales[f"mean of {name}"]) / scales[f"spread of {name}"]
        yield name, np.where(absent, 0.0, standard)
        yield f"{name} is missing", absent.astype(np.float64)
    for name in asked.categories:
        column = np.asarray(rows.features[name]).astype(str)
        for value in values[name]:
            yield f"{name} is {value}", (column == value).astype(np.float64)


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


RULE: BaselineRule = LogisticRegressionRule()
