"""Predictions cost what the declaration says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.evaluation.metrics import estimate
from everloop.evaluation.money import Pricing, best_threshold, cheapest_threshold, decided_classes, row_costs
from everloop.evaluation.significance import metric_value, paired_difference
from everloop.model_file.schema import Value
from tests.helpers.declarations import binary_document, declare, regression_document
from tests.helpers.present import present

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


@pytest.mark.parametrize("document", [binary_document(), regression_document()], ids=["a class", "a value"])
def test_a_declaration_prices_what_it_predicts(document: dict[str, Any]) -> None:
    pricing = Pricing.of(declare(document))
    assert (row_costs(np.array([0.0]), np.array([1.0]), pricing.value, pricing.threshold) > 0).all()


LABELS = st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1), st.integers(0, 6)), min_size=40, max_size=200)
PRICES = st.floats(0.25, 64)


@pytest.mark.slow
@settings(deadline=None)
@given(LABELS, PRICES, PRICES, PRICES, st.floats(0.05, 0.95))
def test_the_cost_of_1000_decisions_is_that_of_its_confusion_and_its_interval_holds_it(
    rows: list[tuple[int, float, int]], fp: float, fn: float, tp: float, threshold: float
) -> None:
    labels, scores, days = (np.array(column) for column in zip(*rows, strict=True))
    pricing = Pricing(Value(false_positive_cost=fp, false_negative_cost=fn, true_positive_value=tp), threshold)
    found = pricing.estimate(labels, scores)
    acts = scores >= threshold
    hits, alarms, misses = (acts & (labels == 1)).sum(), (acts & (labels == 0)).sum(), (~acts & (labels == 1)).sum()
    assert found.value == pytest.approx(1000 * (alarms * fp + misses * fn - hits * tp) / len(labels), abs=1e-6)
    assert found.influence.sum() == pytest.approx(0, abs=1e-6 * len(labels) * 1000)
    told = metric_value(found, days)
    assert told.value == found.value
    if told.low is not None and told.high is not None:
        assert told.low <= found.value <= told.high
    # whoever decides alike costs alike, and nothing is known to be between them
    assert paired_difference(found, pricing.estimate_of_decisions(labels, acts), days).difference == 0


@pytest.mark.slow
@settings(deadline=None)
@given(LABELS, PRICES)
def test_money_in_another_currency_is_the_same_money(rows: list[tuple[int, float, int]], rate: float) -> None:
    labels, scores, days = (np.array(column) for column in zip(*rows, strict=True))
    dear = Value(
        false_positive_cost=4 * rate, false_negative_cost=20 * rate, true_positive_value=12 * rate, currency="YEN"
    )
    one = metric_value(Pricing(VALUE, 0.5).estimate(labels, scores), days)
    other = metric_value(Pricing(dear, 0.5).estimate(labels, scores), days)
    for name in ("value", "low", "high"):
        amount = getattr(one, name)
        assert getattr(other, name) == (None if amount is None else pytest.approx(rate * amount, rel=1e-6, abs=1e-6))


def test_what_a_regression_pays_is_its_mean_absolute_error() -> None:
    rng = np.random.default_rng(3)
    target, days = rng.normal(size=300), np.repeat(np.arange(30), 10)
    answers = target + rng.normal(size=300)
    money = metric_value(Pricing(Value(error_cost_per_unit=0.5), None).estimate(target, answers), days)
    error = metric_value(estimate("mae", target, answers), days)
    for name in ("value", "low", "high"):
        assert getattr(money, name) == pytest.approx(500 * getattr(error, name))


@pytest.mark.slow
def test_the_interval_covers_what_many_days_cost() -> None:
    """GIVEN days that differ: of 400 samples of 20 days at least nine in ten intervals hold the true cost."""
    rng, covered = np.random.default_rng(5), 0
    for _ in range(400):
        rate = np.repeat(np.clip(rng.beta(6, 14, 20), 0.02, 0.98), 40)
        labels = (rng.random(800) < rate).astype(int)
        acts = rng.random(800) < 0.3
        found = metric_value(Pricing(VALUE, 0.5).estimate_of_decisions(labels, acts), np.repeat(np.arange(20), 40))
        assert found.low is not None
        assert found.high is not None
        truth = 1000 * (0.3 * (0.7 * 4 - 0.3 * 12) + 0.7 * 0.3 * 20)
        covered += found.low <= truth <= found.high
    assert covered >= 0.9 * 400


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(st.sampled_from([0, 1]), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.7, 1.0])), min_size=1, max_size=12
    )
)
def test_no_threshold_costs_less_than_the_cheapest(rows: list[tuple[int, float]]) -> None:
    target, scores = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    value = Value(false_positive_cost=4, false_negative_cost=20, true_positive_value=12)
    found = cheapest_threshold(target, scores, value)
    assert found is not None
    assert 0 < found < 1
    least = min(row_costs(target, scores, value, other).sum() for other in (1e-9, 0.05, 0.2, 0.3, 0.6, 0.8, 1 - 1e-9))
    assert row_costs(target, scores, value, found).sum() <= least + 1e-9


def test_among_equal_thresholds_the_nearest_to_that_of_true_chances_is_taken() -> None:
    value = Value(false_positive_cost=1, false_negative_cost=3)
    assert cheapest_threshold(np.array([0.0, 1.0]), np.array([0.1, 0.9]), value) == 0.25
    assert cheapest_threshold(np.array([0.0, 1.0]), np.array([0.5, 0.9]), value) == pytest.approx(0.5)
    assert cheapest_threshold(np.array([]), np.array([]), value) is None
    assert cheapest_threshold(np.array([1.0]), np.array([0.5]), Value()) is None


class TestSeveralClasses:
    """GIVEN what each decision costs by the class that came."""

    COSTS = np.array([[0.0, 20.0, 90.0], [50.0, 0.0, 60.0], [400.0, 120.0, -10.0]])
    RNG = np.random.default_rng(8)
    SCORES = RNG.dirichlet([3, 2, 1], 2000)
    LABELS = (SCORES.cumsum(axis=1) < RNG.random((2000, 1))).sum(axis=1).clip(0, 2)

    def pricing(self, decisions: str = "likeliest") -> Pricing:
        return Pricing(Value(), None, self.COSTS, decisions)

    def test_a_decision_costs_what_stands_at_what_came_and_what_was_decided(self) -> None:
        found = self.pricing().estimate(self.LABELS, self.SCORES)
        by_hand = [self.COSTS[came, row.argmax()] for came, row in zip(self.LABELS, self.SCORES, strict=True)]
        assert found.value == pytest.approx(1000 * np.mean(by_hand))
        assert found.class_rows == tuple(np.bincount(self.LABELS))
        assert self.pricing().limits == (-10_000, 400_000)

    def test_true_probabilities_decide_cheapest_by_least_expected_cost(self) -> None:
        best = self.pricing().best
        assert best is not None
        assert best.best is None
        likeliest, least = (of.estimate(self.LABELS, self.SCORES).value for of in (self.pricing(), best))
        assert least < likeliest
        # No other rule by the same probabilities is cheaper in expectation: each class for all, or the second least.
        expected = self.SCORES @ self.COSTS
        chosen = expected[np.arange(2000), decided_classes(self.SCORES, self.COSTS)]
        assert (chosen == expected.min(axis=1)).all()

    def test_two_classes_decided_by_least_cost_are_those_of_the_best_threshold(self) -> None:
        value = Value(false_positive_cost=20, false_negative_cost=50, true_positive_value=5)
        chances = self.SCORES[:, 1]
        costs = np.array([[0.0, 20.0], [50.0, -5.0]])
        decided = decided_classes(np.column_stack([1 - chances, chances]), costs)
        threshold = best_threshold(value)
        assert threshold is not None
        assert (decided == (chances >= threshold)).all()

    def test_the_interval_is_within_the_limits_and_needs_rows_of_each_class(self) -> None:
        days = np.arange(2000) // 100
        found = self.pricing().cost(self.pricing().estimate(self.LABELS, self.SCORES), days)
        assert found.low is not None
        assert found.high is not None
        assert -10_000 <= present(found.low) < present(found.value) < present(found.high) <= 400_000
        few = np.where(self.LABELS == 2, 0, self.LABELS)
        alone = self.pricing().cost(self.pricing().estimate(few, self.SCORES), days)
        assert (alone.low, "too few" in alone.reason) == (None, True)
