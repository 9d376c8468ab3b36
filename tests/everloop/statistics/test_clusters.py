"""The error of a mean over days is neither blind to unequal days nor too sure of few."""

from __future__ import annotations

import math

import numpy as np
import pytest

from everloop.statistics.clusters import error_of_mean
from everloop.statistics.student_t import t_quantile


def test_equal_days_give_the_usual_error_and_days_less_one() -> None:
    deviations = [3.0, -1.0, 0.5, -2.5]
    error, freedom = error_of_mean(deviations, [10] * 4)
    assert error == pytest.approx(math.sqrt(4 / 3 * sum(d * d for d in deviations)) / 40)
    assert freedom == 3


@pytest.mark.parametrize("rows", [[50, 3, 2, 7, 9], [1000, 1], [4, 5, 6]])
def test_the_degrees_of_freedom_are_those_of_the_quadratic_form(rows: list[int]) -> None:
    weights = np.array(rows) / sum(rows)
    residual = np.eye(len(rows)) - np.outer(np.ones(len(rows)), weights)
    form = residual.T @ np.diag(weights**2 / (1 - weights)) @ residual
    exact = np.trace(form) ** 2 / np.trace(form @ form)
    assert error_of_mean([0.0] * len(rows), rows)[1] == max(1, int(exact + 1e-6))


def test_the_order_of_days_changes_no_last_digit() -> None:
    """Python 3.11 and 3.12 round the plain sum of these in two ways; what is recorded must not depend on that."""
    rng = np.random.default_rng(5)
    for _ in range(20):
        days = [(float(d), int(n)) for d, n in zip(rng.normal(0, 40, 60), rng.integers(20, 400, 60), strict=True)]
        assert len({error_of_mean(*zip(*some, strict=True)) for some in (days, days[::-1], sorted(days))}) == 1


def test_a_single_day_has_no_error() -> None:
    error, freedom = error_of_mean([0.0], [5])
    assert math.isnan(error)
    assert freedom == 0


@pytest.mark.slow
def test_where_few_days_have_most_rows_the_declared_rate_is_kept() -> None:
    """By the error for equal days and days less one degrees of freedom 28% lie outside, of 5% declared."""
    rng = np.random.default_rng(1)
    rows = [400, 200, 20, 20, 20, 20, 20]
    outside = 0
    for _ in range(4000):
        means = rng.normal(0, 1, len(rows))
        mean = float(np.average(means, weights=rows))
        error, freedom = error_of_mean([n * (m - mean) for n, m in zip(rows, means, strict=True)], rows)
        outside += abs(mean) > t_quantile(0.975, freedom) * error
    assert outside / 4000 <= 0.05
