"""Predictions cost what the declaration says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.model_file.schema import Value
from everloop.retraining.backtest.money import best_threshold, prices_decisions, row_costs
from tests.helpers.declarations import binary_document, declare, regression_document

VALUE = Value(false_positive_cost=4, false_negative_cost=20, true_positive_value=12)


def test_each_outcome_has_its_price() -> None:
    target, scores = np.array([1, 1, 0, 0, 1]), np.array([0.5, 0.4, 0.9, 0.1, np.nan])
    np.testing.assert_array_equal(row_costs(target, scores, VALUE, 0.5), [-12, 20, 4, 0, np.nan])


def test_a_regression_pays_by_the_unit_of_error() -> None:
    costs = row_costs(
        np.array([3.0, -1.0]), np.array([[1.0, 0.0], [3.0, np.nan]]), Value(error_cost_per_unit=0.5), None
    )
    np.testing.assert_array_equal(costs, [[1.0, 0.5], [0.0, np.nan]])


def test_the_best_threshold_is_where_acting_breaks_even() -> None:
    assert best_threshold(VALUE) == pytest.approx(4 / 36)
    assert best_threshold(Value()) is None


@settings(deadline=None)
@given(st.floats(0.01, 0.99), st.floats(0.1, 50), st.floats(0.1, 50), st.floats(0, 50))
def test_no_other_threshold_costs_less_where_scores_are_the_truth(p: float, fp: float, fn: float, tp: float) -> None:
    # the expected cost of a row that is positive with probability p
    value = Value(false_positive_cost=fp, false_negative_cost=fn, true_positive_value=tp)
    best = best_threshold(value)
    assert best is not None

    def expected(threshold: float) -> float:
        score = np.array([p, p])
        positive, negative = row_costs(np.array([1, 0]), score, value, threshold)
        return float(p * positive + (1 - p) * negative)

    assert expected(best) <= min(expected(0.0), expected(1.0)) + 1e-9


def test_money_needs_a_price() -> None:
    assert prices_decisions(declare(binary_document()))
    assert not prices_decisions(declare(binary_document(problem={"value": {}})))
    assert prices_decisions(declare(regression_document()))
    free = regression_document()
    free["problem"]["value"] = {"false_positive_cost": 1.0}
    assert not prices_decisions(declare(free))
