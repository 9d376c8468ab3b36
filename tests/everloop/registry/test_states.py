from __future__ import annotations

from itertools import pairwise

import pytest

from everloop.registry.exceptions import InvalidTransitionError
from everloop.registry.states import CANDIDATE, SERVING, TRANSITIONS, State, check_transition


def test_the_way_of_a_version_that_succeeds_is_declared() -> None:
    way = [
        State.EXPERIMENTING,
        State.EVALUATED,
        State.SHADOW,
        State.STAGING,
        State.PRODUCTION,
        State.RETRAINING,
        State.DEPRECATED,
        State.RETIRED,
    ]
    for current, to in pairwise(way):
        check_transition(current, to, reason="why")


@pytest.mark.parametrize(
    ("current", "to"),
    [
        (State.EXPERIMENTING, State.PRODUCTION),
        (State.EXPERIMENTING, State.STAGING),
        (State.EVALUATED, State.PRODUCTION),
        (State.EVALUATED, State.RETRAINING),
        (State.RETIRED, State.PRODUCTION),
        (State.RETIRED, State.EXPERIMENTING),
        (State.DEPRECATED, State.STAGING),
        (State.PRODUCTION, State.RETIRED),
    ],
)
def test_a_move_that_is_not_declared_is_refused_and_names_the_allowed_ones(current: State, to: State) -> None:
    with pytest.raises(InvalidTransitionError) as refused:
        check_transition(current, to, reason="why")
    for allowed in TRANSITIONS[current]:
        assert allowed in str(refused.value)


@pytest.mark.parametrize("reason", [None, "", "  "])
def test_going_back_needs_a_reason(reason: str | None) -> None:
    with pytest.raises(InvalidTransitionError, match="needs a reason"):
        check_transition(State.STAGING, State.EXPERIMENTING, reason=reason)


def test_only_a_candidate_or_a_former_champion_begins_to_serve() -> None:
    leads_in = {s for s in State if TRANSITIONS[s] & SERVING and s not in SERVING}
    assert leads_in == {*CANDIDATE, State.DEPRECATED}
    assert set(TRANSITIONS) == set(State)
