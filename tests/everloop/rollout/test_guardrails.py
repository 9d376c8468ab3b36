from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from everloop.model_file.schema import Guardrail
from everloop.rollout.guardrails import (
    FALSE_ROLLBACK_RATE,
    SLOW_SHARE,
    VersionMetrics,
    decide_bake,
    decide_step,
    exact_lower_bound,
)
from everloop.rollout.plan import RolloutPlan, Step

GUARDRAIL = Guardrail(max_error_rate=0.02, max_p99_latency_ms=200, minimum_requests=50, max_hold_minutes=60)
PLAN = RolloutPlan((Step(10, 300), Step(50, 300)), 3600)


def decide(requests: int, errors: int = 0, *, slow: int = 0, step: int = 0, elapsed: float = 300):
    metrics = VersionMetrics(requests, errors, 50.0 if requests else None, timed=requests, slow=slow)
    return decide_step(PLAN, GUARDRAIL, step_index=step, elapsed_seconds=elapsed, metrics=metrics)


def chance_of(requests: int, *, at_least: int, rate: float) -> float:
    """The exact binomial probability of that many errors or more: its terms, summed."""
    return float(binom.pmf(np.arange(at_least, requests + 1), requests, rate).sum())


def fewest_errors_that_roll_back(requests: int) -> int | None:
    return next((n for n in range(requests + 1) if decide(requests, n).decision == "rollback"), None)


class TestExactBound:
    @pytest.mark.parametrize(
        ("errors", "requests", "confidence", "bound"),
        [
            # The lower ends of two-sided 95% and 90% intervals, from published tables of Clopper and Pearson's.
            (10, 100, 0.975, 0.0490),
            (1, 10, 0.975, 0.0025),
            (5, 10, 0.95, 0.2224),
        ],
    )
    def test_agrees_with_tables(self, errors: int, requests: int, confidence: float, bound: float):
        assert exact_lower_bound(errors, requests, confidence) == pytest.approx(bound, abs=5e-5)

    def test_when_all_failed_it_is_the_root(self):
        assert exact_lower_bound(3, 3, 0.95) == pytest.approx(0.05 ** (1 / 3), abs=1e-9)

    def test_knows_nothing_without_requests(self):
        assert exact_lower_bound(0, 0, 0.95) == 0

    @given(requests=st.integers(1, 100_000), data=st.data())
    def test_lies_between_zero_and_the_rate_and_rises_with_errors(self, requests: int, data: st.DataObject):
        errors = data.draw(st.integers(0, requests))
        bound = exact_lower_bound(errors, requests, 0.95)
        assert 0 <= bound <= errors / requests
        if errors < requests:
            assert exact_lower_bound(errors + 1, requests, 0.95) > bound

    @given(requests=st.integers(1, 400), data=st.data(), confidence=st.floats(0.8, 0.999))
    def test_is_the_rate_at_which_so_many_errors_are_that_unlikely(
        self, requests: int, data: st.DataObject, confidence: float
    ):
        errors = data.draw(st.integers(1, requests))
        bound = exact_lower_bound(errors, requests, confidence)
        assert chance_of(requests, at_least=errors, rate=bound) == pytest.approx(1 - confidence, rel=1e-4, abs=1e-9)


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

    def test_slow_requests_roll_back_with_the_numbers(self):
        verdict = decide(1000, slow=21)
        assert (verdict.decision, verdict.reasons[0].code) == ("rollback", "p99_latency")
        assert "21 of 1000 requests took longer than 200 ms" in verdict.reasons[0].sentence
        assert verdict.reasons[0].value > verdict.reasons[0].limit == 0.01
        assert decide(1000, slow=14).decision == "advance", "more than one in a hundred, but not clearly"

    def test_the_slowest_of_few_requests_is_no_percentile(self):
        guardrail = GUARDRAIL.model_copy(update={"minimum_requests": 3})
        for requests, slow, decision in ((5, 1, "advance"), (5, 2, "rollback"), (1, 1, "hold")):
            found = VersionMetrics(requests, 0, 5000.0, timed=requests, slow=slow)
            verdict = decide_step(PLAN, guardrail, step_index=0, elapsed_seconds=300, metrics=found)
            assert verdict.decision == decision

    @pytest.mark.parametrize("requests", [50, 100, 331, 1000, 20_000])
    def test_a_version_at_the_latency_limit_is_rolled_back_no_more_often_than_promised(self, requests: int):
        """GIVEN exactly one slow request in a hundred; THEN a look's share of false alarms is kept, and used."""
        share = FALSE_ROLLBACK_RATE / PLAN.looks
        fewest = next(n for n in range(1, requests + 1) if decide(requests, slow=n).decision == "rollback")
        assert chance_of(requests, at_least=fewest, rate=SLOW_SHARE) <= share
        assert chance_of(requests, at_least=fewest - 1, rate=SLOW_SHARE) > share

    def test_both_reasons_are_given(self):
        assert {r.code for r in decide(1000, errors=500, slow=500).reasons} == {"error_rate", "p99_latency"}

    def test_too_little_traffic_waits_as_long_as_declared_and_then_rolls_back(self):
        assert decide(49, elapsed=300).decision == "hold"
        assert decide(49, elapsed=300).wait_seconds == 300
        assert decide(0, elapsed=300 + 3600 - 10).wait_seconds == 10
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

    @pytest.mark.parametrize("requests", [*range(1, 51), 200, 1000, 3000, 20_000])
    def test_a_version_at_the_limit_is_rolled_back_no_more_often_than_promised(self, requests: int):
        """GIVEN a true error rate of exactly the maximum; THEN a look's share of false alarms is kept, and used."""
        share, limit = FALSE_ROLLBACK_RATE / PLAN.looks, GUARDRAIL.max_error_rate
        fewest = fewest_errors_that_roll_back(requests)
        if fewest is None:
            assert chance_of(requests, at_least=requests, rate=limit) > share
            return
        assert chance_of(requests, at_least=fewest, rate=limit) <= share
        assert chance_of(requests, at_least=fewest - 1, rate=limit) > share, "one error fewer is news as well"

    @pytest.mark.parametrize(
        ("requests", "errors"), [(1, None), (2, 2), (3, 2), (5, 2), (10, 2), (11, 3), (27, 3), (28, 4), (1000, 31)]
    )
    def test_errors_in_a_row_are_soon_enough(self, requests: int, errors: int | None):
        assert fewest_errors_that_roll_back(requests) == errors

    @pytest.mark.parametrize("requests", [2, 3, 5, 8])
    def test_a_version_that_fails_every_request_is_rolled_back_at_the_least_requests(self, requests: int):
        guardrail = GUARDRAIL.model_copy(update={"minimum_requests": 3})
        found = VersionMetrics(requests, requests, None)
        verdict = decide_step(PLAN, guardrail, step_index=0, elapsed_seconds=300, metrics=found)
        assert (verdict.decision, verdict.reasons[0].code) == ("rollback", "error_rate")


class TestBake:
    def test_ok_also_without_traffic(self):
        assert decide_bake(PLAN, GUARDRAIL, VersionMetrics(0, 0, None)).decision == "ok"

    def test_rolls_back(self):
        assert decide_bake(PLAN, GUARDRAIL, VersionMetrics(1000, 100, 50)).decision == "rollback"
        assert decide_bake(PLAN, GUARDRAIL, VersionMetrics(1000, 0, 300, timed=1000, slow=500)).decision == "rollback"
