"""What decisions cost in production: counts that add up, priced on the day, with an interval over windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.evaluation.money import Pricing
from everloop.monitoring.counting import count_outcomes
from everloop.monitoring.money import window_money
from everloop.monitoring.profile import Outcomes
from tests.helpers.declarations import binary_document, declare, regression_document
from tests.helpers.present import present

PRICES = {"currency": "EUR", "false_positive_cost": 4, "false_negative_cost": 20, "true_positive_value": 12}
QUALITY = {"days": 30, "minimum_increase": 0.1}
DECLARATION = declare(binary_document(problem={"value": PRICES}, retraining={"quality": QUALITY}))
DAYS = st.lists(
    st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=5, max_size=40), min_size=2, max_size=8
)


def of_day(rows: list[tuple[int, float]], **changes: Any) -> Outcomes:
    labels, scores = (np.array(column) for column in zip(*rows, strict=True))
    return count_outcomes(
        None, scores, labels, **{"metric": "log_loss", "classification": True, "threshold": 0.5, **changes}
    )


@pytest.mark.slow
@settings(deadline=None)
@given(DAYS)
def test_windows_cost_what_an_evaluation_of_their_rows_says(days: list[list[tuple[int, float]]]) -> None:
    found = window_money(DECLARATION, [of_day(day) for day in days])
    assert found is not None
    labels, scores = (np.array(column) for column in zip(*[row for day in days for row in day], strict=True))
    place = np.repeat(np.arange(len(days)), [len(day) for day in days])
    pricing = Pricing.of(DECLARATION)
    expected = pricing.cost(pricing.estimate(labels, scores), place)
    cost = found["champion"]
    assert cost["value"] == pytest.approx(expected.value)
    assert (cost["low"] is None) == (expected.low is None)
    if None not in (cost["value"], cost["low"], cost["high"], expected.low, expected.high):
        # An evaluation sees each row, and so one more bound: this interval is never wider.
        inner = [present(cost["low"]), present(cost["value"]), present(cost["high"])]
        ends = [present(expected.low) - 1e-6, *inner, present(expected.high) + 1e-6]
        assert ends == sorted(ends)
        assert present(cost["low"]) >= -12_000
        assert present(cost["high"]) <= 20_000
    for all_act, told in ((False, found["nobody"]), (True, found["everybody"])):
        acts = np.full(len(labels), all_act)
        assert told == pytest.approx(pricing.estimate_of_decisions(labels, acts).value)


def test_a_regression_pays_by_its_absolute_error() -> None:
    declaration = declare(regression_document())
    rng = np.random.default_rng(1)
    days = [(rng.normal(size=50), rng.normal(size=50)) for _ in range(5)]
    windows = [count_outcomes(None, s, y, metric="mae", classification=False) for s, y in days]
    found = window_money(declaration, windows)
    assert found is not None
    mean = np.mean([np.abs(s - y).mean() for s, y in days])
    cost = found["champion"]
    assert cost["value"] == pytest.approx(1000 * 0.5 * mean)
    assert cost["low"] is not None
    assert cost["high"] is not None
    assert present(cost["low"]) < present(cost["value"]) < present(cost["high"])
    assert (found["threshold"], found["nobody"], found["everybody"]) == (None, None, None)


def test_windows_that_did_not_count_decisions_are_left_out() -> None:
    rows = [(1, 0.9), (0, 0.2), (0, 0.7)] * 20
    old, new = of_day(rows, threshold=None), of_day(rows)
    assert old.decisions is None
    assert window_money(DECLARATION, [old, old]) is None
    found = window_money(DECLARATION, [new, old])
    assert found is not None
    assert (found["windows"], found["rows"]) == (1, 60)
    assert found["champion"]["low"] is None
    assert found["champion"]["reason"] == "one window does not show how days differ"
    assert (old + new).decisions is None
    assert (Outcomes() + new).decisions == (new + Outcomes()).decisions == new.decisions
    assert Outcomes.from_dict(new.as_dict()) == new
    assert Outcomes.from_dict(old.as_dict()) == old


def test_too_few_outcomes_of_a_class_have_no_interval() -> None:
    found = window_money(DECLARATION, [of_day([(0, 0.2)] * 50 + [(1, 0.9)] * 2), of_day([(0, 0.2)] * 50)])
    assert found is not None
    assert found["champion"]["value"] == pytest.approx(1000 * 2 * -12 / 102)
    assert found["champion"]["low"] is None
    assert found["champion"]["reason"] == "2 outcomes of 1 are too few: 10 are needed"
