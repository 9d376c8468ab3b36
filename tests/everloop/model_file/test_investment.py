"""What a declaration says of retraining as an investment."""

from __future__ import annotations

from typing import Any

import pytest

from everloop.model_file.exceptions import ModelFileError
from everloop.model_file.reader import parse_model_file
from everloop.model_file.worst_case import probes_in_a_month, probes_usd, restorations_in_a_month, restorations_usd
from tests.helpers.declarations import as_yaml, binary_document, declare


def document(investment: dict[str, Any] | None, **sections: Any) -> dict[str, Any]:
    found = binary_document(**sections)
    found["retraining"]["investment"] = investment
    return found


def mistakes(given: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(ModelFileError) as refused:
        parse_model_file(as_yaml(given))
    return {mistake.path: mistake.allowed for mistake in refused.value.mistakes}


def test_nothing_has_to_be_said_of_it() -> None:
    found = declare(document({})).retraining.investment
    assert found is not None
    assert (found.every_days, found.probe_rows, found.probe_minutes, found.kept_probes) == (14, 20_000, 15, 8)
    assert (found.cost, found.cost_share, found.instance_type) == (None, None, None)
    assert declare(document(None)).retraining.investment is None


def test_a_retraining_has_one_price() -> None:
    assert "either 'cost' or 'cost_share'" in mistakes(document({"cost": 5.0, "cost_share": 0.1})).popitem()[1]


def test_a_retraining_has_a_price_only_beside_those_of_predictions() -> None:
    given = document({"cost": 5.0})
    given["problem"]["value"] = {}
    assert list(mistakes(given)) == ["problem.value.false_positive_cost", "problem.value.false_negative_cost"]


def test_windows_of_probes_are_whole_windows_of_the_monitor() -> None:
    weekly = {"window_hours": 168, "schedule": "cron(0 6 ? * MON *)", "drift_days": 7}
    given = document({"every_days": 10}, monitoring=weekly, retraining={"quality": None})
    found = mistakes(given)
    assert found == {
        "retraining.investment.every_days": "a multiple of 7, the days of a window (monitoring.window_hours)"
    }
    assert declare(document({"every_days": 14}, monitoring=weekly, retraining={"quality": None}))


def test_a_training_that_starts_by_itself_finds_test_rows_that_are_new() -> None:
    found = mistakes(document({}, retraining={"quality": None, "cooldown_days": 3}))
    assert list(found) == ["retraining.cooldown_days"]


def test_the_months_budget_holds_the_probes_too() -> None:
    declared = declare(document({"every_days": 1}))
    investment = declared.retraining.investment
    assert investment is not None
    assert probes_in_a_month(investment) == 3 * 31
    # 45 minutes each with the start, at 0.115 USD an hour.
    assert probes_usd(declared) == pytest.approx(93 * 0.115 * 0.75)
    found = mistakes(document({"every_days": 1}, cost={"monthly_budget_usd": 5}))
    told = found["cost.monthly_budget_usd"]
    assert "and probes (retraining.investment) up to $8.03, and evaluations of older versions up to $" in told
    assert probes_usd(declare(binary_document())) == restorations_usd(declare(binary_document())) == 0


def test_the_months_budget_holds_an_evaluation_for_each_cooldown() -> None:
    declared = declare(document({}, retraining={"cooldown_days": 14}))
    assert restorations_in_a_month(declared) == 3
    hours = declared.training.max_minutes / 60 + 0.5
    assert restorations_usd(declared) == pytest.approx(3 * 0.115 * hours)


def test_the_instance_of_probes_needs_a_price() -> None:
    found = mistakes(document({"instance_type": "ml.p4d.24xlarge"}))
    assert list(found) == ["retraining.investment.instance_type"]
    assert "ml.c5.xlarge" in found["retraining.investment.instance_type"]
    assert probes_usd(declare(document({"instance_type": "ml.c5.xlarge"}))) == pytest.approx(9 * 0.204 * 0.75)
