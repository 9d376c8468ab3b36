from __future__ import annotations

import pytest

from everloop.model_file.schema import Guardrail, Rollout
from everloop.rollout.exceptions import StepOutOfPlanError
from everloop.rollout.plan import RolloutPlan, Step
from everloop.rollout.strategies import Situation, strategy_for

CANARY = Rollout.model_validate(
    {
        "steps": [{"percent": 10, "minutes": 5}, {"percent": 50, "minutes": 10}],
        "bake_minutes": 60,
        "guardrail": {"max_error_rate": 0.01, "max_p99_latency_ms": 200},
    }
)


def plan_rollout(declared: Rollout, *, has_previous: bool, changes_nothing: bool) -> RolloutPlan:
    return strategy_for(declared, Situation("7", has_previous, changes_nothing)).plan(declared)


def test_a_candidate_against_a_champion_takes_the_declared_steps() -> None:
    plan = plan_rollout(CANARY, has_previous=True, changes_nothing=False)
    assert plan.steps == (Step(10, 300), Step(50, 600))
    assert plan.bake_seconds == 3600
    assert plan.phases == 3
    assert [plan.is_last(i) for i in range(2)] == [False, True]


def test_the_first_champion_takes_everything_at_once_and_bakes() -> None:
    plan = plan_rollout(CANARY, has_previous=False, changes_nothing=False)
    assert (plan.steps, plan.bake_seconds) == ((), 3600)


def test_what_serves_already_needs_neither_steps_nor_bake() -> None:
    plan = plan_rollout(CANARY, has_previous=True, changes_nothing=True)
    assert (plan.steps, plan.bake_seconds) == ((), 0)


def test_all_at_once_has_no_steps() -> None:
    declared = Rollout(steps=[], guardrail=Guardrail(max_error_rate=0.01, max_p99_latency_ms=200))
    assert plan_rollout(declared, has_previous=True, changes_nothing=False).steps == ()


@pytest.mark.parametrize("index", [-1, 2])
def test_a_step_the_plan_does_not_have(index: int) -> None:
    plan = plan_rollout(CANARY, has_previous=True, changes_nothing=False)
    with pytest.raises(StepOutOfPlanError, match="2 steps"):
        plan.step(index)
