"""The worst case is the deployed pipeline's."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from everloop.infra.pipeline_definition import pipeline_definition
from everloop.model_file import worst_case
from everloop.model_file.prices import USD_PER_HOUR
from tests.helpers.declarations import binary_document, declare
from tests.helpers.present import present

EVENTS_OF_A_STATE = {"Task": 5, "Choice": 2, "Wait": 2}
"""Entered and exited; a task is also scheduled, started and succeeded."""


@pytest.mark.slow
@given(
    minutes=st.integers(1, 1440),
    steps=st.lists(st.integers(1, 3000), min_size=1, max_size=4),
    bake=st.integers(0, 5000),
)
def test_an_execution_is_given_the_time_that_was_checked(minutes: int, steps: list[int], bake: int) -> None:
    document = binary_document(training={"max_minutes": minutes}, cost={"max_training_run_usd": 12})
    document["rollout"]["steps"] = [{"percent": 10 + i, "minutes": length} for i, length in enumerate(steps)]
    document["rollout"]["guardrail"]["max_hold_minutes"] = 300
    document["rollout"]["bake_minutes"] = bake
    declaration = declare(document)
    given_seconds = pipeline_definition(declaration)["TimeoutSeconds"]
    assert given_seconds == worst_case.pipeline_seconds(declaration) <= worst_case.EXECUTION_SECONDS


@pytest.mark.parametrize(("refit", "jobs"), [("none", 2), ("after_gate", 4)])
def test_the_priced_jobs_are_the_deployed_ones(refit: str, jobs: int) -> None:
    """All on the declared instance, and none for longer than is paid for here.

    A run trains, or has an older version judged, whose one job is priced apart: it never does both.
    """
    training = {"instance_type": "ml.m5.xlarge", "max_minutes": 45, "refit": refit}
    declaration = declare(binary_document(training=training))
    all_states = pipeline_definition(declaration)["States"]
    states = [state for state in all_states.values() if "sagemaker" in state.get("Resource", "")]
    in_a_training = [state for state in states if state is not all_states["EvaluateOlder"]]
    assert len(in_a_training) == len(states) - 1 == worst_case.jobs(declaration) == jobs
    clusters = [
        s["Parameters"].get("ResourceConfig") or s["Parameters"]["ProcessingResources"]["ClusterConfig"] for s in states
    ]
    assert {(c["InstanceType"], c["InstanceCount"]) for c in clusters} == {("ml.m5.xlarge", 1)}
    assert {state["TimeoutSeconds"] for state in states} == {worst_case.job_seconds(declaration)}
    hours = jobs * (45 + 30) / 60
    assert worst_case.training_run_usd(declaration) == pytest.approx(hours * USD_PER_HOUR["ml.m5.xlarge"])


def test_a_history_has_room_for_the_looks() -> None:
    """GIVEN the states that a held step goes round; THEN their events leave a quarter of a history for the rest."""
    states = pipeline_definition(declare(binary_document()))["States"]
    held = {c["StringEquals"]: c["Next"] for c in states["StepDecision"]["Choices"]}["hold"]
    ring = ["Check", "StepDecision", held]
    assert states[held]["Next"] == "Check"
    events = sum(EVENTS_OF_A_STATE[states[name]["Type"]] for name in ring)
    assert worst_case.HISTORY_LOOKS * events <= 0.75 * 25_000


@pytest.mark.slow
@given(runs=st.integers(1, 4), days=st.integers(1, 40))
def test_no_month_has_more_runs_than_are_budgeted(runs: int, days: int) -> None:
    """Against the quota itself: whoever starts a run whenever one is allowed."""
    declaration = declare(
        binary_document(
            retraining={"quota": {"runs": runs, "days": days}},
            cost={"monthly_budget_usd": 100, "max_training_run_usd": 9},
        )
    )
    begin = datetime(2026, 1, 1)
    started: list[datetime] = []
    for hour in range(31 * 24):
        at = begin + timedelta(hours=hour)
        while sum(s > at - timedelta(days=days) for s in started) < runs:
            started.append(at)
    assert len(started) == worst_case.runs_in_a_month(declaration)


@pytest.mark.slow
@given(minutes=st.integers(1, 1440), instance=st.sampled_from(sorted(USD_PER_HOUR)), runs=st.integers(1, 40))
def test_the_ceiling_that_a_mistake_names_is_enough(minutes: int, instance: str, runs: int) -> None:
    # GIVEN ceilings of nothing
    training = {"instance_type": instance, "max_minutes": minutes}
    document = binary_document(training=training, retraining={"quota": {"runs": runs, "days": 365}})
    document["cost"] |= {"max_training_run_usd": 0.001, "monthly_budget_usd": 0.001}
    with pytest.raises(ValidationError) as refused:
        declare(document)
    named = {e["loc"][-1]: _figure(str(e["ctx"]["error"])) for e in refused.value.errors()}
    # WHEN they are what the mistakes name, THEN they are accepted
    document["cost"] |= named
    declare(document)


def _figure(text: str) -> float:
    return float(present(re.search(r"at least \$([\d,.]*\d)", text))[1].replace(",", ""))
