from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from everloop.evaluation.baseline import Baseline, fit_baseline
from everloop.evaluation.baselines import Asked, Rows
from everloop.evaluation.exceptions import EvaluationError

DAY = np.timedelta64(1, "D")


def rows(count: int, *, lag_days: int = 0, answers: list[float] | None = None, **features: list[Any]) -> Rows:
    """Rows of one a day."""
    return Rows(
        features={
            name: np.array(values, dtype=object if isinstance(values[0], str) else np.float64)
            for name, values in features.items()
        },
        times=(np.datetime64("2024-01-01", "ms") + np.arange(count) * DAY).astype("M8[ms]"),
        outcomes=None,
        lag=np.timedelta64(lag_days * 86_400_000, "ms"),
        answers=None if answers is None else np.array(answers),
    )


def later(count: int, outcomes: list[float], *, first_day: int, lag_days: int, **features: list[Any]) -> Rows:
    known = rows(count, lag_days=lag_days, **features)
    return Rows(known.features, known.times + first_day * DAY, np.array(outcomes), known.lag)


CLASSES, VALUES = Asked(True), Asked(False)


def test_the_prior_answers_the_rate_to_everyone() -> None:
    rule = fit_baseline("prior", CLASSES, rows(4), np.array([0, 0, 0, 1]))
    assert rule.answer(CLASSES, rows(3)).scores.tolist() == [0.25] * 3


def test_groups_are_answered_by_their_own_mean_and_new_ones_by_the_overall_mean() -> None:
    target, by = np.array([1.0] * 100 + [0.0] * 300), Asked(True, by="carrier")
    rule = fit_baseline("group_mean", by, rows(400, carrier=["AA"] * 100 + ["UA"] * 300), target)
    answers = rule.answer(CLASSES, rows(3, carrier=["AA", "UA", "new"])).scores
    assert answers == pytest.approx([100.25 / 101, 0.25 / 301, 0.25])


def test_a_small_group_is_never_certain() -> None:
    asked = Asked(True, by="g")
    rule = fit_baseline("group_mean", asked, rows(4, g=["a", "b", "b", "a"]), np.array([0, 1, 1, 0]))
    assert all(0 < p < 1 for p in rule.groups.values())


class TestTheLastValue:
    def test_a_regression_is_answered_with_what_was_last_known(self) -> None:
        # GIVEN outcomes that are known after a day, and a training part that ends on the fourth day
        rule = fit_baseline("last_value", VALUES, rows(4, lag_days=1), np.array([1.0, 2.0, 3.0, 4.0]))
        # THEN the first test day knows the third, and each later one what became known of the test days before
        asked_then = later(3, [10.0, 20.0, 30.0], first_day=4, lag_days=1)
        assert rule.answer(VALUES, asked_then).scores.tolist() == [3.0, 10.0, 20.0]

    def test_a_longer_lag_knows_less(self) -> None:
        rule = fit_baseline("last_value", VALUES, rows(4, lag_days=2), np.array([1.0, 2.0, 3.0, 4.0]))
        asked_then = later(3, [10.0, 20.0, 30.0], first_day=4, lag_days=2)
        assert rule.answer(VALUES, asked_then).scores.tolist() == [2.0, 2.0, 10.0]

    def test_each_group_has_its_own_and_a_new_one_the_mean(self) -> None:
        asked = Asked(False, by="shop")
        rule = fit_baseline("last_value", asked, rows(4, shop=["a", "b", "a", "b"]), np.array([1.0, 2.0, 3.0, 6.0]))
        found = rule.answer(VALUES, later(3, [9.0, 9.0, 9.0], first_day=8, lag_days=30, shop=["a", "b", "new"]))
        assert found.scores.tolist() == [3.0, 6.0, 3.0]

    def test_a_class_is_answered_with_the_rate_after_the_last_one(self) -> None:
        target = np.array([0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0])
        rule = fit_baseline("last_value", CLASSES, rows(8, lag_days=1), target)
        answers = rule.answer(CLASSES, later(2, [0.0, 1.0], first_day=8, lag_days=1)).scores
        # After a 0 there were a 0, a 0, a 0 and a 1; after a 1 three times a 1.
        assert answers == pytest.approx([3.5 / 4, 1.5 / 5])


class TestAHeuristic:
    def asked(self, expression: str, *, classification: bool = True) -> Asked:
        return Asked(classification, expression=expression, numbers=("wind",), categories=("line",))

    def test_a_condition_decides_by_itself_and_is_scored_by_its_rates(self) -> None:
        asked = self.asked("wind > 10 or line == 'north'")
        told = rows(4, wind=[20.0, 5.0, float("nan"), 5.0], line=["south", "south", "north", "south"])
        rule = fit_baseline("expression", asked, told, np.array([1, 0, 1, 0]))
        found = rule.answer(asked, told)
        assert found.acts is not None
        assert found.acts.tolist() == [True, False, True, False]
        assert found.scores == pytest.approx([2.5 / 3, 0.5 / 3, 2.5 / 3, 0.5 / 3])

    def test_a_number_is_a_probability_or_refused(self) -> None:
        told = rows(2, wind=[20.0, float("nan")], line=["a", "b"])
        asked = self.asked("0.1 if line == 'a' else wind / 100")
        found = fit_baseline("expression", asked, told, np.array([0, 1])).answer(asked, told)
        assert found.acts is None
        # What is not known leaves the training mean.
        assert found.scores.tolist() == [0.1, 0.5]
        with pytest.raises(EvaluationError, match="20 to a row, and 1 of 2 rows"):
            fit_baseline("expression", self.asked("wind"), told, np.array([0, 1]))

    def test_of_a_regression_it_is_the_answer(self) -> None:
        asked = self.asked("max(wind, 6) * 2 - abs(-1)", classification=False)
        told = rows(3, wind=[20.0, 5.0, float("nan")], line=["a", "b", "c"])
        found = fit_baseline("expression", asked, told, np.array([0.0, 4.0, 8.0])).answer(asked, told)
        assert found.scores.tolist() == [39.0, 11.0, 4.0]


def test_the_rule_in_force_is_what_it_answered() -> None:
    rule = fit_baseline("rule_in_force", CLASSES, rows(4, answers=[1, 1, 0, 0]), np.array([1, 0, 0, 0]))
    found = rule.answer(CLASSES, rows(2, answers=[0, 1]))
    assert found.acts is not None
    assert found.acts.tolist() == [False, True]
    assert found.scores == pytest.approx([0.25 / 3, 1.25 / 3])
    with pytest.raises(EvaluationError, match="train again"):
        rule.answer(CLASSES, rows(2))
    with pytest.raises(EvaluationError, match="answered 1 rows, and these are 2"):
        rule.answer(CLASSES, rows(2, answers=[0]))


def test_a_logistic_regression_finds_what_is_there_to_find() -> None:
    rng = np.random.default_rng(1)
    wind, line = rng.normal(size=2000), rng.choice(["north", "south"], 2000)
    truth = 1 / (1 + np.exp(-(1.5 * wind + (line == "north"))))
    target = (rng.random(2000) < truth).astype(float)
    asked = Asked(True, numbers=("wind",), categories=("line",))
    told = rows(2000, wind=wind.tolist(), line=line.tolist())
    rule = fit_baseline("logistic_regression", asked, told, target)
    assert np.abs(rule.answer(asked, told).scores - truth).mean() < 0.02
    # A category and a value that training did not have are answered too.
    unseen = rule.answer(asked, rows(1, wind=[float("nan")], line=["west"])).scores
    assert 0 < unseen[0] < 1
    one_class = fit_baseline("logistic_regression", asked, told, np.ones(2000))
    assert one_class.answer(asked, told).scores.tolist() == [1.0] * 2000


def test_the_rule_survives_json() -> None:
    rule = fit_baseline("group_mean", Asked(False, by="g"), rows(2, g=["", "ü"]), np.array([0.0, 3.0]))
    assert Baseline.from_dict(json.loads(json.dumps(rule.as_dict()))) == rule
    # As earlier releases wrote it.
    old = {"kind": "group_mean", "value": 1.5, "by": "g", "groups": rule.groups}
    assert Baseline.from_dict(old) == rule


def test_what_is_no_rule_is_refused() -> None:
    with pytest.raises(EvaluationError, match="0 training rows"):
        fit_baseline("prior", CLASSES, rows(0), np.array([]))
    with pytest.raises(EvaluationError, match="group_mean"):
        fit_baseline("group_mean", CLASSES, rows(1), np.array([1.0]))
    with pytest.raises(EvaluationError, match="'g' of each row"):
        Baseline("group_mean", 0.5, "g", {}).answer(CLASSES, rows(2))
    with pytest.raises(EvaluationError, match="is not a baseline"):
        Baseline.from_dict({"kind": "prior"})
