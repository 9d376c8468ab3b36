from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, hypergeom

from everloop.model_file.schema import Guardrail
from everloop.rollout.guardrails import Verdict, decide_bake, decide_step
from everloop.rollout.looks import PARTS, WATCHING
from everloop.rollout.measures import SLOW_SHARE
from everloop.rollout.plan import RolloutPlan, Step
from everloop.rollout.version_metrics import Minute, VersionMetrics
from tests.helpers.present import present

GUARDRAIL = Guardrail(max_error_rate=0.02, max_p99_latency_ms=200, minimum_requests=50, max_hold_minutes=60)
PLAN = RolloutPlan((Step(10, 300), Step(50, 300)), 3600)
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


def share_of(measure: str) -> float:
    """What one phase has of the declared rate for a measure."""
    return GUARDRAIL.false_rollback_rate * PARTS[measure] / PLAN.phases


def minute_by_minute(*counts: tuple[int, int]) -> VersionMetrics:
    """So many requests and failures in each minute from :data:`BEGIN` on."""
    minutes = tuple(
        Minute(BEGIN + timedelta(minutes=i), requests, errors, timed=requests)
        for i, (requests, errors) in enumerate(counts)
    )
    return VersionMetrics.of(minutes, None, BEGIN + timedelta(minutes=len(minutes)))


def decide(requests: int, errors: int = 0, *, slow: int = 0, step: int = 0, elapsed: float = 300) -> Verdict:
    metrics = VersionMetrics(requests, errors, 50.0 if requests else None, timed=requests, slow=slow)
    return decide_step(PLAN, GUARDRAIL, step_index=step, elapsed_seconds=elapsed, metrics=metrics)


def chance_of(requests: int, *, at_least: int, rate: float) -> float:
    """The exact binomial probability of that many errors or more: its terms, summed."""
    return float(binom.pmf(np.arange(at_least, requests + 1), requests, rate).sum())


def fewest_errors_that_roll_back(requests: int, guardrail: Guardrail = GUARDRAIL, start: int = 1) -> int | None:
    def rolls_back(errors: int) -> bool:
        found = VersionMetrics(requests, errors, None)
        verdict = decide_step(PLAN, guardrail, step_index=0, elapsed_seconds=300, metrics=found)
        return verdict.decision == "rollback"

    return next((n for n in range(start, requests + 1) if rolls_back(n)), None)


def rolled_back(guardrail: Guardrail, rate: float, *, every: int = 1) -> tuple[float, float]:
    """How often one step is rolled back while it waits, and by the look that decides: exactly.

    It is looked at ``every`` so many requests, up to ``minimum_requests``, and those fail with probability ``rate``.
    """
    needed = guardrail.minimum_requests
    errors, waiting, fewest = np.eye(1, needed + 1)[0], 0.0, 1
    for requests in range(1, needed + 1):
        errors = errors * (1 - rate) + np.append(0.0, errors[:-1]) * rate
        if requests % every and requests < needed:
            continue
        # While it waits, more requests never make fewer errors enough.
        found = fewest_errors_that_roll_back(requests, guardrail, fewest if requests < needed else 1)
        if found is None:
            continue
        fewest = found
        if requests == needed:
            return waiting, float(errors[fewest:].sum())
        waiting += float(errors[fewest:].sum())
        errors[fewest:] = 0
    return waiting, 0.0


class TestStep:
    def test_advances_and_finally_promotes(self) -> None:
        assert decide(1000, errors=3).decision == "advance"
        assert decide(1000, errors=3, step=1).decision == "promote"

    def test_too_many_errors_roll_back_with_the_numbers(self) -> None:
        verdict = decide(1000, errors=60)
        assert verdict.decision == "rollback"
        (reason,) = verdict.reasons
        assert reason.code == "error_rate"
        assert "60 of 1,000" in reason.sentence
        assert present(reason.value) > present(reason.limit) == 0.02

    def test_more_errors_than_allowed_but_not_clearly_go_on(self) -> None:
        assert decide(100, errors=3).decision == "advance"

    def test_errors_are_clear_before_the_minimum_of_requests(self) -> None:
        assert decide(8, errors=8).decision == "rollback"

    def test_slow_requests_roll_back_with_the_numbers(self) -> None:
        verdict = decide(1000, slow=21)
        assert (verdict.decision, verdict.reasons[0].code) == ("rollback", "p99_latency")
        assert (
            "21 of 1,000 requests took longer than 200 ms (a cold start's initialisation is not counted)"
            in verdict.reasons[0].sentence
        )
        assert present(verdict.reasons[0].value) > present(verdict.reasons[0].limit) == 0.01
        assert decide(1000, slow=14).decision == "advance", "more than one in a hundred, but not clearly"

    def test_the_slowest_of_few_requests_is_no_percentile(self) -> None:
        guardrail = GUARDRAIL.model_copy(update={"minimum_requests": 3})
        for requests, slow, decision in ((5, 1, "advance"), (5, 2, "rollback"), (1, 1, "hold")):
            found = VersionMetrics(requests, 0, 5000.0, timed=requests, slow=slow)
            verdict = decide_step(PLAN, guardrail, step_index=0, elapsed_seconds=300, metrics=found)
            assert verdict.decision == decision

    @pytest.mark.parametrize("requests", [50, 100, 331, 1000, 20_000])
    def test_a_version_at_the_latency_limit_is_rolled_back_no_more_often_than_promised(self, requests: int) -> None:
        """GIVEN exactly one slow request in a hundred; THEN a look's share of false alarms is kept, and used."""
        share = share_of("p99_latency") * (1 - WATCHING)
        fewest = next(n for n in range(1, requests + 1) if decide(requests, slow=n).decision == "rollback")
        assert chance_of(requests, at_least=fewest, rate=SLOW_SHARE) <= share
        assert chance_of(requests, at_least=fewest - 1, rate=SLOW_SHARE) > share

    def test_both_reasons_are_given(self) -> None:
        assert {r.code for r in decide(1000, errors=500, slow=500).reasons} == {"error_rate", "p99_latency"}

    def test_too_little_traffic_waits_as_long_as_declared_and_then_rolls_back(self) -> None:
        assert decide(49, elapsed=300).decision == "hold"
        assert 60 <= decide(49, elapsed=300).wait_seconds <= 300
        assert decide(0, elapsed=300 + 3600 - 10).wait_seconds == 10
        verdict = decide(49, elapsed=300 + 3600)
        assert (verdict.decision, verdict.reasons[0].code) == ("rollback", "too_little_traffic")
        assert "49 requests" in verdict.reasons[0].sentence

    @pytest.mark.slow
    @given(requests=st.integers(0, 5000), data=st.data(), elapsed=st.floats(0, 10_000), step=st.integers(0, 1))
    def test_every_decision_has_reasons_and_a_hold_ends(
        self, requests: int, data: st.DataObject, elapsed: float, step: int
    ) -> None:
        verdict = decide(requests, data.draw(st.integers(0, requests)), step=step, elapsed=elapsed)
        assert verdict.reasons
        assert (verdict.decision == "hold") == (verdict.wait_seconds > 0)
        if elapsed >= 300 + 3600:
            assert verdict.decision != "hold"

    @pytest.mark.parametrize("requests", [*range(50, 61), 200, 1000, 3000, 20_000])
    def test_a_version_at_the_limit_is_rolled_back_no_more_often_than_promised(self, requests: int) -> None:
        """GIVEN a true error rate of exactly the maximum; THEN what the deciding look may use is kept, and used."""
        share, limit = share_of("error_rate") * (1 - WATCHING), GUARDRAIL.max_error_rate
        fewest = present(fewest_errors_that_roll_back(requests))
        assert chance_of(requests, at_least=fewest, rate=limit) <= share
        assert chance_of(requests, at_least=fewest - 1, rate=limit) > share, "one error fewer is news as well"

    @pytest.mark.parametrize(
        ("requests", "errors"),
        # Fewer than the fifty that are needed wait for more; from there on the look decides.
        [(1, None), (2, 2), (3, 3), (6, 4), (11, 4), (22, 5), (49, 7), (50, 5), (62, 6), (1000, 34)],
    )
    def test_errors_in_a_row_are_soon_enough(self, requests: int, errors: int | None) -> None:
        assert fewest_errors_that_roll_back(requests) == errors

    @pytest.mark.parametrize("requests", [2, 3, 5, 8])
    def test_a_version_that_fails_every_request_is_rolled_back_at_the_least_requests(self, requests: int) -> None:
        guardrail = GUARDRAIL.model_copy(update={"minimum_requests": 3})
        found = VersionMetrics(requests, requests, None)
        verdict = decide_step(PLAN, guardrail, step_index=0, elapsed_seconds=300, metrics=found)
        assert (verdict.decision, verdict.reasons[0].code) == ("rollback", "error_rate")


class TestWaiting:
    @pytest.mark.parametrize("limit", [0.001, 0.02, 0.1, 0.4])
    @pytest.mark.parametrize("needed", [2, 5, 50, 300])
    def test_a_version_at_the_limit_is_rolled_back_no_more_often_however_often_it_is_looked_at(
        self, limit: float, needed: int
    ) -> None:
        """GIVEN a look after every request; THEN all that wait keep their part of the step's, and the step its own."""
        guardrail = GUARDRAIL.model_copy(update={"minimum_requests": needed, "max_error_rate": limit})
        waiting, deciding = rolled_back(guardrail, limit)
        share = share_of("error_rate")
        assert waiting <= share * WATCHING
        assert waiting + deciding <= share

    @pytest.mark.parametrize(("rate", "at_least"), [(0.1, 0.56), (0.3, 0.999), (1, 1 - 1e-12)])
    def test_a_bad_version_does_not_have_to_wait_for_the_last_request(self, rate: float, at_least: float) -> None:
        guardrail = GUARDRAIL.model_copy(update={"minimum_requests": 100})
        waiting, deciding = rolled_back(guardrail, rate, every=5)
        assert waiting >= at_least
        assert rate > 0.1 or waiting + deciding > 0.79

    @pytest.mark.slow
    def test_what_refuses_as_often_is_rolled_back_no_more_often_however_often_it_is_looked_at(self) -> None:
        """GIVEN looks 5 minutes apart while 100 requests come; THEN 400 steps keep their share, but for chance."""
        rng = np.random.default_rng(7)
        guardrail = GUARDRAIL.model_copy(update={"minimum_requests": 100, "max_hold_minutes": 1440})
        ours, others = (rng.binomial(n, 0.3, (400, 50)).cumsum(axis=1) for n in (2, 5))
        looks = np.arange(1, 51)

        @cache
        def is_rolled_back(look: int, ours_refused: int, others_refused: int) -> bool:
            verdict = decide_step(
                PLAN,
                guardrail,
                step_index=0,
                elapsed_seconds=300 * look,
                metrics=VersionMetrics(2 * look, 0, None, refused=ours_refused),
                before=VersionMetrics(5 * look, 0, None, refused=others_refused),
            )
            return verdict.decision == "rollback"

        steps = zip(ours.tolist(), others.tolist(), strict=True)
        rolled = sum(any(map(is_rolled_back, looks.tolist(), a, b)) for a, b in steps)
        most = binom.ppf(0.999, 400, share_of("refused_requests"))
        assert rolled <= most
        # The same data at the share of one look, at each of them, as if it were the only one.
        by_chance = hypergeom.sf(ours - 1, 7 * looks, ours + others, 2 * looks)
        naive = (by_chance < share_of("refused_requests")).any(axis=1).sum()
        assert naive > most, "the looks have to be counted"

    def test_what_refuses_everything_is_rolled_back_while_it_waits(self) -> None:
        for look in (1, 12, 288):
            found, before = VersionMetrics(8, 0, None, refused=8), VersionMetrics(72, 0, None)
            verdict = decide_step(
                PLAN,
                GUARDRAIL.model_copy(update={"max_hold_minutes": 1440}),
                step_index=0,
                elapsed_seconds=300 * look,
                metrics=found,
                before=before,
            )
            assert (verdict.decision, verdict.reasons[0].code) == ("rollback", "refused_requests")


class TestBake:
    def test_ok_also_without_traffic(self) -> None:
        assert decide_bake(PLAN, GUARDRAIL, VersionMetrics(0, 0, None)).decision == "ok"

    def test_rolls_back(self) -> None:
        assert decide_bake(PLAN, GUARDRAIL, VersionMetrics(1000, 100, 50)).decision == "rollback"
        assert decide_bake(PLAN, GUARDRAIL, VersionMetrics(1000, 0, 300, timed=1000, slow=500)).decision == "rollback"


class TestWhileAPhaseLasts:
    def test_a_good_version_is_looked_at_again(self) -> None:
        good = minute_by_minute((500, 0), (500, 0))
        verdict = decide_step(PLAN, GUARDRAIL, step_index=0, elapsed_seconds=120, metrics=good)
        assert (verdict.decision, verdict.reasons[0].code) == ("hold", "step_under_way")
        assert verdict.wait_seconds == 60
        bake = decide_bake(PLAN, GUARDRAIL, good, elapsed_seconds=120)
        assert (bake.decision, bake.reasons[0].code) == ("hold", "bake_under_way")

    def test_a_bad_one_does_not_get_to_the_end_of_its_step(self) -> None:
        found = minute_by_minute((100, 0), (100, 9), (100, 12))
        verdict = decide_step(PLAN, GUARDRAIL, step_index=0, elapsed_seconds=180, metrics=found)
        (reason,) = verdict.reasons
        assert (verdict.decision, reason.code) == ("rollback", "error_rate")
        assert "21 of 200 requests failed" in reason.sentence, "the minutes that speak, not those before"

    def test_a_fault_that_begins_late_is_found_among_all_the_good_minutes(self) -> None:
        """GIVEN a bake of 20 hours without a failure, THEN two bad minutes are enough, as they are at its start."""
        good = [(100, 1)] * 1200
        for minutes in ([*good, (100, 12), (100, 12)], [(100, 12), (100, 12)]):
            verdict = decide_bake(PLAN, GUARDRAIL, minute_by_minute(*minutes), elapsed_seconds=60)
            assert verdict.decision == "rollback"
            assert present(verdict.reasons[0].value) > 0.1

    def test_what_failed_once_and_is_well_again_stays_found(self) -> None:
        found = minute_by_minute((50, 20), *[(1000, 0)] * 300)
        assert decide_bake(PLAN, GUARDRAIL, found, elapsed_seconds=60).decision == "rollback"

    def test_a_version_that_fails_more_than_the_one_before_is_rolled_back_below_the_limit(self) -> None:
        found, before = minute_by_minute(*[(500, 8)] * 4), minute_by_minute(*[(500, 0)] * 4)
        verdict = decide_step(PLAN, GUARDRAIL, step_index=0, elapsed_seconds=240, metrics=found, before=before)
        (reason,) = verdict.reasons
        assert (verdict.decision, reason.code) == ("rollback", "added_errors")
        assert reason.value == pytest.approx(0.016)
        assert reason.limit == 0.002

    def test_a_difference_within_what_is_allowed_is_held_against_nobody(self) -> None:
        found, before = minute_by_minute(*[(90_000, 270)] * 5), minute_by_minute(*[(90_000, 90)] * 5)
        for elapsed in (240, 300):
            verdict = decide_step(PLAN, GUARDRAIL, step_index=0, elapsed_seconds=elapsed, metrics=found, before=before)
            assert verdict.decision in ("hold", "advance")

    def test_an_outage_of_both_is_held_against_neither(self) -> None:
        """Below the limit for failures: what both answer with 5xx is not the candidate's."""
        guardrail = GUARDRAIL.model_copy(update={"max_error_rate": 0.9})
        found, before = minute_by_minute(*[(100, 60)] * 5), minute_by_minute(*[(900, 540)] * 5)
        verdict = decide_step(PLAN, guardrail, step_index=0, elapsed_seconds=300, metrics=found, before=before)
        assert verdict.decision == "advance"


class TestWhatCanNotBeJudged:
    def test_is_said(self) -> None:
        verdict = decide_bake(PLAN, GUARDRAIL, VersionMetrics(0, 0, None))
        assert verdict.decision == "ok"
        unable = [reason for reason in verdict.reasons if reason.code == "not_judged"]
        assert [reason.sentence.split()[0] for reason in unable] == ["error_rate", "p99_latency", "refused_requests"]

    def test_is_what_no_failure_could_show(self) -> None:
        """GIVEN one in two allowed, THEN five requests tell nothing, and that is said; twenty do."""
        guardrail = GUARDRAIL.model_copy(update={"max_error_rate": 0.5, "minimum_requests": 5})

        def codes(requests: int) -> set[str]:
            found, before = VersionMetrics(requests, 0, None, timed=requests), VersionMetrics(900, 0, None)
            verdict = decide_step(PLAN, guardrail, step_index=0, elapsed_seconds=300, metrics=found, before=before)
            assert verdict.decision == "advance"
            return {reason.sentence.split()[0] for reason in verdict.reasons if reason.code == "not_judged"}

        assert codes(5) == {"error_rate", "refused_requests"}
        assert codes(20) == set()

    def test_is_every_comparison_without_a_version_before(self) -> None:
        verdict = decide(1000)
        unable = {reason.sentence.split()[0] for reason in verdict.reasons if reason.code == "not_judged"}
        assert (verdict.decision, unable) == ("advance", {"refused_requests", "added_errors"})
