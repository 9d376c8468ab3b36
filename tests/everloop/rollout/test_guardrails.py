from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.model_file.schema import Guardrail
from everloop.rollout.guardrails import (
    FALSE_ROLLBACK_RATE,
    VersionMetrics,
    decide_bake,
    decide_step,
    wilson_lower_bound,
)
from everloop.rollout.plan import RolloutPlan, Step

GUARDRAIL = Guardrail(max_error_rate=0.02, max_p99_latency_ms=200, minimum_requests=50, max_hold_minutes=60)
PLAN = RolloutPlan((Step(10, 300), Step(50, 300)), 3600)


def decide(requests: int, errors: int = 0, p99: float | None = 50.0, *, step: int = 0, elapsed: float = 300):
    metrics = VersionMetrics(requests, errors, p99)
    return decide_step(PLAN, GUARDRAIL, step_index=step, elapsed_seconds=elapsed, metrics=metrics)


class TestWilson:
    def test_agrees_with_the_worked_value(self):
        # 10 of 100 at one-sided 97.5%: the lower end of the two-sided 95% interval, 5.52%.
        assert wilson_lower_bound(10, 100, 0.975) == pytest.approx(0.05523, abs=1e-5)

    def test_knows_nothing_without_requests(self):
        assert wilson_lower_bound(0, 0, 0.95) == 0

    @given(requests=st.integers(1, 10_000), data=st.data())
    def test_lies_between_zero_and_the_rate_and_rises_with_errors(self, requests: int, data: st.DataObject):
        errors = data.draw(st.integers(0, requests))
        bound = wilson_lower_bound(errors, requests, 0.95)
        assert 0 <= bound <= errors / requests + 1e-12
        if errors < requests:
            assert wilson_lower_bound(errors + 1, requests, 0.95) >= bound


class TestStep:
    def test_advances_and_finally_promotes(self):
        assert decide(1000, errors=3).decision == "advance"
        assert decide(1000, errors=3, step=1).decision == "promote"

    def test_too_many_errors_roll_back_with_the_numbers(self):
        verdict = decide(1000, errors=60)
        assert verdict.decision == "rollback"
        (reason,) = verdict.reasons
        assert reason.code == "error_rate"
        assert "60 of 1000" in reason.sentence
        assert reason.value > reason.limit == 0.02

    def test_more_errors_than_allowed_but_not_clearly_go_on(self):
        assert decide(100, errors=3).decision == "advance"

    def test_errors_are_clear_before_the_minimum_of_requests(self):
        assert decide(8, errors=8).decision == "rollback"

    def test_latency(self):
        verdict = decide(1000, p99=201)
        assert (verdict.decision, verdict.reasons[0].code) == ("rollback", "p99_latency")
        assert decide(1000, p99=200).decision == "advance"

    def test_one_slow_request_is_no_percentile(self):
        assert decide(1, p99=5000).decision == "hold"

    def test_both_reasons_are_given(self):
        assert {r.code for r in decide(1000, errors=500, p99=500).reasons} == {"error_rate", "p99_latency"}

    def test_too_little_traffic_waits_as_long_as_declared_and_then_rolls_back(self):
        assert decide(49, elapsed=300).decision == "hold"
        assert decide(49, elapsed=300).wait_seconds == 300
        assert decide(0, p99=None, elapsed=300 + 3600 - 10).wait_seconds == 10
        verdict = decide(49, elapsed=300 + 3600)
        assert (verdict.decision, verdict.reasons[0].code) == ("rollback", "too_little_traffic")
        assert "49 requests" in verdict.reasons[0].sentence

    @given(requests=st.integers(0, 5000), data=st.data(), elapsed=st.floats(0, 10_000), step=st.integers(0, 1))
    def test_every_decision_has_reasons_and_a_hold_ends(self, requests: int, data: st.DataObject, elapsed: float, step):
        verdict = decide(requests, data.draw(st.integers(0, requests)), step=step, elapsed=elapsed)
        assert verdict.reasons
        assert (verdict.decision == "hold") == (verdict.wait_seconds > 0)
        if elapsed >= 300 + 3600:
            assert verdict.decision != "hold"

    def test_a_version_at_the_limit_is_rolled_back_no_more_often_than_promised(self):
        """Exact binomial: the chance, per look, of errors enough for a rollback at the allowed rate."""
        looks = PLAN.looks
        for requests in (50, 200, 1000, 3000):
            chance = sum(
                math.comb(requests, errors) * 0.02**errors * 0.98 ** (requests - errors)
                for errors in range(min(requests, 150) + 1)
                if decide(requests, errors).decision == "rollback"
            )
            # The Wilson bound is approximate: by at most this factor here.
            assert chance <= 2 * FALSE_ROLLBACK_RATE / looks


class TestBake:
    def test_ok_also_without_traffic(self):
        assert decide_bake(PLAN, GUARDRAIL, VersionMetrics(0, 0, None)).decision == "ok"

    def test_rolls_back(self):
        assert decide_bake(PLAN, GUARDRAIL, VersionMetrics(1000, 100, 50)).decision == "rollback"
        assert decide_bake(PLAN, GUARDRAIL, VersionMetrics(1000, 0, 300)).decision == "rollback"
