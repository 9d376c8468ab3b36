from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from everloop.model_file.schema import Guardrail
from everloop.rollout.guardrails import Verdict, decide_bake, decide_step
from everloop.rollout.looks import PARTS
from everloop.rollout.plan import RolloutPlan, Step
from everloop.rollout.refusals import more_often
from everloop.rollout.version_metrics import VersionMetrics

GUARDRAIL = Guardrail(max_error_rate=0.02, max_p99_latency_ms=200, minimum_requests=5)
PLAN = RolloutPlan((Step(10, 300), Step(50, 300)), 3600)
SHARE = GUARDRAIL.false_rollback_rate * PARTS["refused_requests"] / PLAN.phases


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(data=st.data(), requests=st.integers(1, 400), other=st.integers(1, 400))
def test_is_fishers_exact_test(data: st.DataObject, requests: int, other: int) -> None:
    refused, other_refused = data.draw(st.integers(0, requests)), data.draw(st.integers(0, other))
    table = [[refused, requests - refused], [other_refused, other - other_refused]]
    expected = fisher_exact(table, alternative="greater").pvalue
    assert more_often(refused, requests, other_refused, other) == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_is_exact_for_millions_of_requests_too() -> None:
    table = [[1_200, 98_800], [11_000, 989_000]]
    expected = fisher_exact(table, alternative="greater").pvalue
    assert more_often(1_200, 100_000, 11_000, 1_000_000) == pytest.approx(expected, rel=1e-6)


def test_nothing_is_known_without_requests() -> None:
    assert more_often(0, 0, 5, 10) == more_often(5, 10, 0, 0) == 1


@given(shares=st.integers(2, 12))
def test_all_refused_here_and_none_there_is_one_of_all_the_ways_to_fall(shares: int) -> None:
    """GIVEN as many requests to both, all refused by one, the chance is one over the binomial coefficient."""
    ways = 1.0
    for i in range(shares):
        ways *= (2 * shares - i) / (i + 1)
    assert more_often(shares, shares, 0, shares) == pytest.approx(1 / ways)


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


@settings(max_examples=20, deadline=None)
@given(requests=st.integers(5, 30), other=st.integers(5, 60), both=st.integers(0, 90))
def test_the_declared_rate_holds(requests: int, other: int, both: int) -> None:
    """GIVEN that refusals fall anywhere, THEN a rollback for them is at most as frequent as declared, at every size."""
    from scipy.stats import hypergeom

    both = min(both, requests + other)
    spread = hypergeom(requests + other, both, requests)
    false = sum(
        spread.pmf(k)
        for k in range(max(0, both - other), min(both, requests) + 1)
        if step(VersionMetrics(requests, 0, 20, refused=k), VersionMetrics(other, 0, 20, refused=both - k)).decision
        == "rollback"
    )
    assert false <= SHARE
