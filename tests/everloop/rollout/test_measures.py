from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from everloop.model_file.schema import Guardrail
from everloop.rollout.guardrails import Verdict, decide_bake, decide_step
from everloop.rollout.looks import DECLARED, PARTS, Look
from everloop.rollout.plan import RolloutPlan, Step
from everloop.rollout.version_metrics import Minute, VersionMetrics

GUARDRAIL = Guardrail(max_error_rate=0.02, max_p99_latency_ms=200, minimum_requests=5)
PLAN = RolloutPlan((Step(10, 300), Step(50, 300)), 3600)
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
SHARE = GUARDRAIL.false_rollback_rate * PARTS["refused_requests"] / PLAN.phases


def step(metrics: VersionMetrics, before: VersionMetrics | None) -> Verdict:
    return decide_step(PLAN, GUARDRAIL, step_index=0, elapsed_seconds=300, metrics=metrics, before=before)


def test_a_candidate_that_refuses_what_its_predecessor_takes_is_rolled_back() -> None:
    verdict = step(VersionMetrics(8, 0, 20, refused=8), VersionMetrics(72, 0, 20, refused=0))
    (reason,) = verdict.reasons
    assert (verdict.decision, reason.code) == ("rollback", "refused_requests")
    assert "8 of 8 requests were refused with 4xx, and by the version before 0 of 72" in reason.sentence
    assert reason.value == 1


@pytest.mark.parametrize(
    ("metrics", "before"),
    [
        (
            VersionMetrics(50, 0, 20, refused=20),
            VersionMetrics(450, 0, 20, refused=180),
        ),  # a caller that sends nonsense
        (VersionMetrics(5, 0, 20, refused=1), VersionMetrics(45, 0, 20, refused=0)),  # chance
        (
            VersionMetrics(100_000, 0, 20, refused=1_500),
            VersionMetrics(100_000, 0, 20, refused=1_000),
        ),  # within what may
        (VersionMetrics(50, 0, 20, refused=0), VersionMetrics(50, 0, 20, refused=50)),
        (VersionMetrics(5, 0, 20, refused=5), VersionMetrics(0, 0, None)),  # nothing to compare with
        (VersionMetrics(5, 0, 20, refused=5), None),
    ],
)
def test_what_both_refuse_or_chance_explains_is_held_against_nobody(
    metrics: VersionMetrics, before: VersionMetrics | None
) -> None:
    assert step(metrics, before).decision == "advance"


def test_the_bake_compares_with_the_time_before_the_rollout() -> None:
    after, before = VersionMetrics(100, 0, 20, refused=60), VersionMetrics(100, 0, 20, refused=0)
    assert decide_bake(PLAN, GUARDRAIL, after, before).decision == "rollback"
    assert decide_bake(PLAN, GUARDRAIL, after, after).decision == "ok"
    assert decide_bake(PLAN, GUARDRAIL, after).decision == "ok"


# scipy's own binomial overflows at the least numbers above zero.
@settings(max_examples=12, deadline=None)
@given(requests=st.integers(5, 25), other=st.integers(5, 50), rate=st.just(0.0) | st.floats(1e-300, 0.98))
def test_the_declared_rate_holds_for_one_that_refuses_as_much_more_as_it_may(
    requests: int, other: int, rate: float
) -> None:
    """Exactly, over all that both can refuse, at every size."""
    ours = binom.pmf(range(requests + 1), requests, rate + GUARDRAIL.max_error_rate)
    theirs = binom.pmf(range(other + 1), other, rate)
    false = sum(
        p * q
        for k, p in enumerate(ours)
        for n, q in enumerate(theirs)
        if p * q > 1e-9
        and step(VersionMetrics(requests, 0, 20, refused=k), VersionMetrics(other, 0, 20, refused=n)).decision
        == "rollback"
    )
    assert false <= SHARE + 1e-6


COLD = GUARDRAIL.model_copy(update={"max_cold_start_ms": 1500.0})


def of_cold(cold: int, slow: int, guardrail: Guardrail = COLD, *, elapsed: float = 300) -> Verdict:
    metrics = VersionMetrics(50, 0, 20, timed=50, cold=cold, slow_cold=slow)
    before = VersionMetrics(50, 0, 20, timed=50)
    return decide_step(PLAN, guardrail, step_index=0, elapsed_seconds=elapsed, metrics=metrics, before=before)


def test_a_version_whose_cold_starts_are_slow_is_rolled_back() -> None:
    """GIVEN requests that are all quick once a process is ready."""
    verdict = of_cold(3, 3)
    (reason,) = verdict.reasons
    assert (verdict.decision, reason.code, reason.value, reason.limit) == ("rollback", "cold_start_latency", 1, 0.01)
    assert "3 of 3 cold starts took longer than 1500 ms from the process's beginning to its first" in reason.sentence
    # Also before the step's time is over.
    assert of_cold(3, 3, elapsed=60).decision == "rollback"


@pytest.mark.parametrize(("cold", "slow"), [(1, 1), (3, 0), (30, 1), (1000, 10)])
def test_one_slow_cold_start_or_as_many_as_may_be_is_no_evidence(cold: int, slow: int) -> None:
    verdict = of_cold(cold, slow)
    assert verdict.decision == "advance"
    assert f"{slow:,} of {cold:,} cold start" in verdict.reasons[0].sentence


@pytest.mark.parametrize("cold", [0, 1])
def test_too_few_cold_starts_can_not_be_judged_and_that_is_said(cold: int) -> None:
    unable = [reason for reason in of_cold(cold, 0).reasons if reason.code == "not_judged"]
    plural = "cold start" if cold == 1 else "cold starts"
    expected = f"cold_start_latency can't be judged: {cold} {plural} would be no evidence even if all of them were bad"
    assert expected in [reason.sentence for reason in unable]


def test_without_a_limit_cold_starts_are_not_judged() -> None:
    verdict = of_cold(9, 9, GUARDRAIL)
    assert verdict.decision == "advance"
    assert "cold start" not in verdict.reasons[0].sentence.replace("a cold start's initialisation", "")


def test_what_is_declared_takes_its_part_from_the_others() -> None:
    """All measures of a look have the declared rate together, whichever are declared."""
    both = {"scores": {"max_distance": 0.1}, "max_cold_start_ms": 900}
    for more in ({}, {"max_cold_start_ms": 900}, both):
        guardrail = Guardrail.model_validate({**GUARDRAIL.model_dump(exclude_none=True), **more})
        look = Look.at(PLAN, guardrail, ends=True)
        declared = [measure for measure, key in DECLARED.items() if getattr(guardrail, key) is not None]
        shares = [look.watching(measure) + look.ending(measure) for measure in (*PARTS, *declared)]
        assert sum(shares) * PLAN.phases == pytest.approx(guardrail.false_rollback_rate)


@pytest.mark.slow
def test_one_that_fails_as_much_more_often_as_it_may_is_rolled_back_no_more_often_than_declared() -> None:
    """GIVEN traffic in which 0.2% more are certain; THEN it stays, but for chance."""
    rng = np.random.default_rng(3)
    rolled = 0
    for _ in range(60):
        ours, theirs = rng.binomial(20_000, 0.003, 30), rng.binomial(20_000, 0.001, 30)
        found, before = minute_by_minute(ours, 20_000), minute_by_minute(theirs, 20_000)
        rolled += step(found, before).decision == "rollback"
    assert rolled <= binom.ppf(0.999, 60, GUARDRAIL.false_rollback_rate)


def minute_by_minute(errors: np.ndarray, each: int) -> VersionMetrics:
    minutes = tuple(Minute(BEGIN + timedelta(minutes=i), each, int(n)) for i, n in enumerate(errors))
    return VersionMetrics.of(minutes, None, BEGIN + timedelta(minutes=len(minutes)))
