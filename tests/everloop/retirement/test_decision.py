from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from everloop.registry.states import State
from everloop.retirement import RetirementFacts, decide_retirement

SINCE = datetime(2013, 3, 1, tzinfo=UTC)
FACTS = RetirementFacts(
    version=7,
    state=State.DEPRECATED,
    state_since=SINCE,
    champion=8,
    referred_to=frozenset({8}),
    bake_seconds=3600,
    at=SINCE + timedelta(hours=1),
)


def test_a_replaced_champion_is_retired_after_the_bake() -> None:
    assert decide_retirement(FACTS).retire


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"champion": 7}, "is the champion"),
        ({"referred_to": frozenset({7, 8})}, "an open rollout refers"),
        ({"at": SINCE + timedelta(minutes=59)}, "kept until"),
        ({"state": State.PRODUCTION}, "is production, not deprecated"),
        ({"state": State.EXPERIMENTING}, "is experimenting, not deprecated"),
        ({"state": State.RETIRED}, "is retired, not deprecated"),
    ],
)
def test_each_reason_against_it_is_enough(change: dict[str, Any], reason: str) -> None:
    decision = decide_retirement(replace(FACTS, **change))
    assert not decision.retire
    assert len(decision.reasons) == 1
    assert reason in decision.reasons[0]
