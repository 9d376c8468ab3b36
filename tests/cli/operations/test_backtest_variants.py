"""Other ways to retrain that a backtest lives through: none that is declared already, and each can be declared."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from everloop.cli.operations.backtest_advice import Recommendation, not_known
from everloop.cli.operations.backtest_shape import Knobs, Shape
from everloop.cli.operations.backtest_variants import AS_INVESTMENT, AS_SCHEDULED, WITH_SPANS, Variant, variants
from everloop.model_file.schema import ModelDeclaration
from tests.helpers.declarations import binary_document, declare, regression_document

SHAPE = Shape("2013-01-01", 30, 14, 100, 1, 7, 2, 50_000, 50_000)
SCHEDULED = ("data:", "  training_window_days: 56", "retraining:", "  schedule_days: 28", "  cooldown_days: 14")
ADVICE = Recommendation(SCHEDULED, ("why",), {"schedule_days": 28, "cooldown_days": 14})
QUOTA = {"runs": 6, "days": 365}


def document(**retraining: Any) -> dict[str, Any]:
    return binary_document(retraining={"cooldown_days": 14, "quota": QUOTA, "quality": None, **retraining})


def found(declaration: ModelDeclaration, **knobs: Any) -> dict[str, Variant]:
    return {each.policy: each for each in variants(declaration, ADVICE, SHAPE, Knobs(**knobs), 500.0)}


def pasted(declared: dict[str, Any], lines: tuple[str, ...]) -> ModelDeclaration:
    """What a person has after pasting; comments say what to take away."""
    told = yaml.safe_load("\n".join(lines)) or {}
    changed = {**declared, **{name: {**declared[name], **(value or {})} for name, value in told.items()}}
    if any("without schedule_days" in line for line in lines):
        changed["retraining"].pop("schedule_days", None)
    return declare(changed)


def test_a_schedule_is_held_against_investments() -> None:
    declared = document(schedule_days=56)
    ways = found(declare(declared))
    assert list(ways) == [AS_SCHEDULED, AS_INVESTMENT, WITH_SPANS]
    assert ways[AS_SCHEDULED].lines == SCHEDULED
    invested = ways[AS_INVESTMENT].declaration.retraining
    assert (invested.schedule_days, invested.cooldown_days) == (None, 14)
    assert invested.investment is not None
    assert (invested.investment.every_days, invested.investment.cost) == (14, 500.0)
    # THEN what can be pasted is what was lived through
    assert pasted(declared, ways[AS_INVESTMENT].lines).retraining == invested
    with_spans = ways[WITH_SPANS]
    assert with_spans.declaration.data.training_spans == [56, 112, 224]
    assert pasted(declared, with_spans.lines).data == with_spans.declaration.data
    assert pasted(declared, with_spans.lines).retraining == with_spans.declaration.retraining
    assert not any("training_window_days" in line for line in with_spans.lines)


def test_an_investment_is_held_against_the_best_schedule_and_spans() -> None:
    ways = found(declare(document(investment={"cost": 20.0})))
    assert list(ways) == [AS_SCHEDULED, WITH_SPANS]
    assert ways[AS_SCHEDULED].declaration.retraining.investment is None
    assert ways[AS_SCHEDULED].declaration.retraining.schedule_days == 28
    kept = ways[WITH_SPANS]
    assert kept.declaration.retraining.investment.cost == 20.0  # type: ignore[union-attr]  # as declared
    assert kept.lines[-1] == "# retraining: keep it as it is"


def test_declared_spans_are_given_up_with_the_investment_that_measures_them() -> None:
    declared = document(investment={})
    declared["data"]["training_spans"] = [56]
    (schedule,) = found(declare(declared)).values()
    assert (schedule.policy, schedule.declaration.data.training_spans) == (AS_SCHEDULED, None)


def test_a_declared_training_window_leaves_no_choice_of_spans() -> None:
    declared = document(schedule_days=56)
    declared["data"]["training_window_days"] = 90
    assert WITH_SPANS not in found(declare(declared))


@pytest.mark.parametrize(("windows", "spans"), [(30, [56, 112, 224]), (12, [56, 112]), (4, [56, 112])])
def test_spans_are_those_that_half_of_the_trainings_could_take(windows: int, spans: list[int]) -> None:
    shape = Shape("2013-01-01", windows, 14, 100, 1, 7, 2, 50_000, 50_000)
    ways = {each.policy: each for each in variants(declare(document()), ADVICE, shape, Knobs(), 500.0)}
    assert ways[WITH_SPANS].declaration.data.training_spans == spans


def test_nobody_who_did_not_want_them_waits_for_probes() -> None:
    assert list(found(declare(document(schedule_days=56)), investment=False)) == [AS_SCHEDULED]


def test_what_is_not_simulated_of_a_warm_start_is_told() -> None:
    declared = document(investment={})
    plain = not_known(declare(declared), SHAPE, Knobs())
    declared["training"] = {**declared["training"], "warm_start": {}}
    told = set(not_known(declare(declared), SHAPE, Knobs())) - set(plain)
    assert told == {
        "Trainings and probes learn in full here: training.warm_start is not simulated. `everloop replay` does it."
    }


def test_what_is_simulated_otherwise_than_it_would_be_served_is_told() -> None:
    by_line = {**document(), "recalibration": {"by": "line"}}
    plain = set(not_known(declare(document()), SHAPE, Knobs()))
    (told,) = set(not_known(declare(by_line), SHAPE, Knobs())) - plain
    assert told.startswith("In the policies all rows are recalibrated together.")
    assert "the groups by line" in told
    # AND without recalibration there is nothing to tell of groups
    assert set(not_known(declare(by_line), SHAPE, Knobs(recalibration=False))) == plain


def test_that_intervals_are_not_simulated_is_told() -> None:
    plain = not_known(declare(regression_document()), SHAPE, Knobs())
    bounded = declare(regression_document(problem={"interval": {"coverage": 0.9}}))
    assert set(not_known(bounded, SHAPE, Knobs())) - set(plain) == {
        "Intervals are not simulated: the backtest judges values (problem.interval)."
    }
