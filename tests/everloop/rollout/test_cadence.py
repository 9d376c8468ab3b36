from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.model_file.schema import Guardrail
from everloop.model_file.worst_case import HISTORY_LOOKS
from everloop.rollout.cadence import closest, next_look
from everloop.rollout.plan import RolloutPlan, Step
from everloop.rollout.version_metrics import Minute, VersionMetrics

GUARDRAIL = Guardrail(max_error_rate=0.02, max_p99_latency_ms=200, max_hold_minutes=60)
PLAN = RolloutPlan((Step(10, 10_800), Step(50, 10_800)), 86_400)
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


def after(minutes: int, requests: dict[int, int], **kinds: int) -> VersionMetrics:
    """So many requests in the minutes named."""
    found = tuple(Minute(BEGIN + timedelta(minutes=m), n, **kinds) for m, n in sorted(requests.items()))
    return VersionMetrics.of(found, None, BEGIN + timedelta(minutes=minutes))


def wait(minutes: int, metrics: VersionMetrics, left: float = 1e6, **options: bool) -> int:
    return next_look(PLAN, GUARDRAIL, metrics, elapsed_seconds=minutes * 60, left_seconds=left, **options)


@pytest.mark.parametrize(
    ("minutes", "requests", "seconds"),
    [
        (1, {}, 60),
        (4, {}, 240),
        (500, {}, 900),  # never longer than a quarter of an hour
        (500, {470: 7}, 450),
        (500, dict.fromkeys(range(440, 500), 1), 60),
        (500, dict.fromkeys(range(500), 10000), 60),
        (500, dict.fromkeys(range(400), 10000), 900),  # what came before the last hour
    ],
)
def test_looks_are_as_far_apart_as_requests(minutes: int, requests: dict[int, int], seconds: int) -> None:
    assert wait(minutes, after(minutes, requests)) == seconds


@pytest.mark.parametrize("kind", ["errors", "refused", "slow"])
def test_what_may_be_evidence_brings_a_look_a_minute(kind: str) -> None:
    assert wait(500, after(500, {490: 1}, **{kind: 1})) == 60
    assert wait(500, after(500, {400: 1}, **{kind: 1})) == 900


def test_the_last_look_is_at_the_end() -> None:
    assert wait(500, after(500, {}), left=33.2) == 34
    assert wait(500, after(500, {}), left=0.01) == 1


PLANS = st.builds(
    lambda minutes, bake: RolloutPlan(tuple(Step(1 + i, 60 * m) for i, m in enumerate(minutes)), 60 * bake),
    st.lists(st.integers(1, 4000), max_size=20),
    st.integers(0, 40_000),
)


@given(PLANS, st.integers(0, 20_000))
def test_a_history_has_room_for_a_look_as_soon_as_may_be_every_time(plan: RolloutPlan, hold: int) -> None:
    guardrail = GUARDRAIL.model_copy(update={"max_hold_minutes": hold})
    apart, waiting = closest(plan, guardrail), closest(plan, guardrail, waits=True)
    looks = -(-plan.bake_seconds // apart) + sum(-(-step.seconds // apart) for step in plan.steps)
    looks += len(plan.steps) * -(-hold * 60 // waiting)
    assert looks <= HISTORY_LOOKS


def test_thirty_hours_are_looked_at_every_minute_and_a_week_is_not() -> None:
    assert closest(PLAN, GUARDRAIL) == 60
    assert closest(RolloutPlan((), 7 * 86_400), GUARDRAIL) == 336
