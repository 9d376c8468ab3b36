"""The declared false-rollback rate is that of a whole rollout: every limit, phase and look together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy.stats import binom

from everloop.model_file.schema import Guardrail
from everloop.rollout.guardrails import decide_bake, decide_step
from everloop.rollout.measures import SLOW_SHARE
from everloop.rollout.plan import RolloutPlan, Step
from everloop.rollout.version_metrics import Minute, VersionMetrics

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
PLAN = RolloutPlan((Step(20, 300), Step(50, 300)), 600)
ROLLOUTS = 60


def counted(
    rng: np.random.Generator, requests: float, minutes: int, errors: float, refused: float
) -> tuple[Minute, ...]:
    asked = rng.poisson(requests, minutes)
    columns = zip(asked, *(rng.binomial(asked, rate) for rate in (errors, refused, SLOW_SHARE)), strict=True)
    return tuple(
        Minute(BEGIN + timedelta(minutes=i), int(n), int(e), int(r), int(n), int(s), *cold_starts(rng, int(n)))
        for i, (n, e, r, s) in enumerate(columns)
    )


def cold_starts(rng: np.random.Generator, requests: int) -> tuple[int, int]:
    """One request in five meets one."""
    cold = int(rng.binomial(requests, 0.2))
    return cold, int(rng.binomial(cold, SLOW_SHARE))


def seen(minutes: tuple[Minute, ...], until: int) -> VersionMetrics:
    return VersionMetrics.of(minutes[:until], None, BEGIN + timedelta(minutes=until))


def is_rolled_back(rng: np.random.Generator, guardrail: Guardrail, requests: float) -> bool:
    """A rollout of a version exactly at every limit, looked at after each minute."""
    rates = (guardrail.max_error_rate, 0.05)
    for index, step in enumerate(PLAN.steps):
        minutes, share = step.seconds // 60, step.percent / 100
        ours, theirs = (counted(rng, requests * part, minutes, *rates) for part in (share, 1 - share))
        for look in range(1, minutes + 1):
            verdict = decide_step(
                PLAN,
                guardrail,
                step_index=index,
                elapsed_seconds=60 * look,
                metrics=seen(ours, look),
                before=seen(theirs, look),
            )
            if verdict.decision == "rollback":
                return True
    minutes = PLAN.bake_seconds // 60
    ours, before = (counted(rng, requests, minutes, *rates) for _ in range(2))
    return any(
        decide_bake(PLAN, guardrail, seen(ours, look), seen(before, minutes), elapsed_seconds=60 * look).decision
        == "rollback"
        for look in range(1, minutes + 1)
    )


@pytest.mark.slow
@pytest.mark.parametrize("requests", [3, 60])
def test_it_is_kept_by_looks_at_every_minute(requests: float) -> None:
    guardrail = Guardrail(
        max_error_rate=0.02,
        max_added_error_rate=0,
        max_p99_latency_ms=200,
        max_cold_start_ms=2000,
        minimum_requests=1,
        false_rollback_rate=0.3,
    )
    rng = np.random.default_rng(11)
    rolled = sum(is_rolled_back(rng, guardrail, requests) for _ in range(ROLLOUTS))
    assert rolled <= binom.ppf(0.999, ROLLOUTS, guardrail.false_rollback_rate)
    assert rolled > 0 or requests < 10, "the rate is used"


def test_a_smaller_declared_rate_asks_for_more_evidence() -> None:
    found = VersionMetrics(100, 9, None, timed=100)
    guardrail = Guardrail(max_error_rate=0.02, max_p99_latency_ms=200, minimum_requests=20)

    def decided(rate: float) -> str:
        asked = guardrail.model_copy(update={"false_rollback_rate": rate})
        return decide_step(PLAN, asked, step_index=0, elapsed_seconds=300, metrics=found).decision

    assert (decided(0.05), decided(0.001)) == ("rollback", "advance")
