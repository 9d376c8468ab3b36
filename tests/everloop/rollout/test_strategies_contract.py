"""What every rollout strategy keeps, and that a strategy of one's own is a file and its registration."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from everloop.documents.records import Phase
from everloop.instants import format_instant
from everloop.model_file.schema import Guardrail, Rollout
from everloop.rollout.announcements import Announcer
from everloop.rollout.conductor import Conductor
from everloop.rollout.metrics import CloudWatchMetrics
from everloop.rollout.plan import Step
from everloop.rollout.strategies import STRATEGIES, Situation, strategy_for
from everloop.rollout.targets.lambda_alias import LambdaAliasTarget
from tests.fakes.cloudwatch_metrics import FakeCloudWatch
from tests.fakes.event_bus import FakeEventBus
from tests.fakes.lambda_function import FakeLambda
from tests.fakes.registry_function import remote_registry
from tests.fakes.registry_table import dynamodb
from tests.helpers.registry_scenes import at, close_run, open_run, register
from tests.helpers.seams import add

GUARDRAIL = Guardrail(max_error_rate=0.01, max_p99_latency_ms=200)
SITUATIONS = [Situation("7", *facts) for facts in product([True, False], repeat=2)]
STRATEGY = pytest.mark.parametrize("name", STRATEGIES.names)


def declared(steps: list[tuple[float, int]], bake: int = 60, shadow: int | None = None) -> Rollout:
    rising = [{"percent": percent, "minutes": minutes} for percent, minutes in sorted(steps)]
    unseen = None if shadow is None else {"minutes": shadow, "max_disagreement": 0.1}
    return Rollout.model_validate(
        {"steps": rising, "shadow": unseen, "bake_minutes": bake, "guardrail": GUARDRAIL.model_dump()}
    )


STEPS = st.lists(st.tuples(st.integers(1, 99), st.integers(1, 600)), max_size=5, unique_by=lambda step: step[0])


@pytest.mark.slow
@STRATEGY
@given(STEPS, st.integers(0, 600), st.none() | st.integers(1, 600), st.sampled_from(SITUATIONS))
def test_a_plan_rises_and_takes_no_more_than_is_declared(
    name: str, steps: list[tuple[float, int]], bake: int, shadow: int | None, situation: Situation
) -> None:
    strategy, model = STRATEGIES.load(name), declared(steps, bake, shadow)
    if not strategy.applies(model, situation):
        return
    plan = strategy.plan(model)
    percents = [step.percent for step in plan.steps]
    assert percents == sorted(set(percents))
    assert all(0 <= percent < 100 for percent in percents)
    assert [step.is_shadow for step in plan.steps].count(True) <= (shadow is not None)
    assert len(plan.steps) <= len(steps) + (shadow is not None)
    assert sum(step.seconds for step in plan.steps) <= 60 * (sum(minutes for _, minutes in steps) + (shadow or 0))
    assert 0 <= plan.bake_seconds <= 60 * bake
    # AND where there is no step to look at, something else decides before the promotion
    assert plan.steps or strategy.unlooked(situation, "canary") is not None
    # AND it keeps nothing
    assert strategy.plan(model) == plan


@STRATEGY
@pytest.mark.parametrize("situation", SITUATIONS)
def test_what_needs_no_look_lets_through_with_its_reason(name: str, situation: Situation) -> None:
    phases: tuple[tuple[Phase, str], ...] = (("canary", "promote"), ("bake", "ok"))
    for phase, decision in phases:
        verdict = STRATEGIES.load(name).unlooked(situation, phase)
        if verdict is not None:
            assert verdict.decision == decision
            assert all(reason.sentence for reason in verdict.reasons)


@pytest.mark.slow
@given(STEPS, st.none() | st.integers(1, 600), st.sampled_from(SITUATIONS))
def test_in_every_situation_there_is_a_way(
    steps: list[tuple[float, int]], shadow: int | None, situation: Situation
) -> None:
    strategy = strategy_for(declared(steps, shadow=shadow), situation)
    plan = strategy.plan(declared(steps, shadow=shadow))
    # A candidate without a champion beside it can not share, and what serves already has nothing to try out.
    if not situation.has_previous or situation.changes_nothing:
        assert plan.steps == ()
    elif shadow is not None:
        assert plan.steps[0] == Step(0, 60 * shadow)


@pytest.mark.slow
def test_one_is_added_by_its_file_and_its_registration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # GIVEN a strategy of one's own: the last declared step alone
    source = """
    from everloop.rollout.plan import RolloutPlan, Step


    class LastStep:
        def applies(self, declared, situation):
            return situation.has_previous and not situation.changes_nothing and bool(declared.steps)

        def plan(self, declared):
            last = declared.steps[-1]
            return RolloutPlan((Step(last.percent, last.minutes * 60),), declared.bake_minutes * 60)

        def unlooked(self, situation, phase):
            return None


    STRATEGY = LastStep()
    """
    add(monkeypatch, tmp_path, STRATEGIES, "last_step", source)
    # WHEN two versions are rolled out, THEN the first champion goes its own way and the second takes that one step
    with mock_aws():
        store, function = remote_registry(dynamodb(), "flights"), FakeLambda()
        conductor = Conductor(
            store=store,
            target=LambdaAliasTarget(function, function="predict", alias="live", pause=lambda _: None),
            metrics=CloudWatchMetrics(FakeCloudWatch(), function="predict", alias="live", model="flights", slow_ms=200),
            announcer=Announcer(FakeEventBus(), "everloop"),
            declared=declared([(10, 5), (40, 7)]),
            artifact_bucket="artifacts",
        )
        open_run(store, "train-1")
        conductor.start("train-1", "train", register(store, "train-1").version, at=at(1))
        conductor.shift("train-1", -1, at=at(2))
        assert conductor.check("train-1", "canary", at=at(3))["decision"] == "promote"
        conductor.promote("train-1", at=at(4))
        conductor.retire("train-1", at=at(70))
        close_run(store, "train-1", when=at(71))
        open_run(store, "train-2", when=at(80))
        second = conductor.start("train-2", "train", register(store, "train-2").version, at=at(81))
        shifted: Any = conductor.shift("train-2", -1, at=at(82))
        assert (shifted["percent"], shifted["wait_seconds"]) == (40, 60)
        assert shifted["phase_ends"] == format_instant(at(82) + timedelta(minutes=7))
        assert function.serving()[second["lambda_version"]] == pytest.approx(0.4)
        # The guardrail decides on it: without requests it waits.
        assert conductor.check("train-2", "canary", at=at(90))["decision"] == "hold"
