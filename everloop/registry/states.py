"""The states of a model version and the moves between them."""

from __future__ import annotations

from enum import StrEnum

from everloop.registry.exceptions import InvalidTransitionError


class State(StrEnum):
    """Where a version is between its training and its end."""

    EXPERIMENTING = "experimenting"
    EVALUATED = "evaluated"
    SHADOW = "shadow"
    STAGING = "staging"
    PRODUCTION = "production"
    RETRAINING = "retraining"
    DEPRECATED = "deprecated"
    RETIRED = "retired"


SERVING = frozenset({State.PRODUCTION, State.RETRAINING})
"""The states of a champion. At most one version of a model is in any of them."""

CANDIDATE = (State.SHADOW, State.STAGING)
"""The states of a version that a rollout brings to serve. At most one version of a model is in any of them."""

SINGLE_PLACE = frozenset(CANDIDATE)
"""States at most one version of a model is in at a time."""

TRANSITIONS: dict[State, frozenset[State]] = {
    State.EXPERIMENTING: frozenset({State.EVALUATED, State.RETIRED}),
    # A candidate is in shadow while it answers unseen, and in staging once callers may meet it. A plan without a shadow
    # goes to staging directly; a gate repeated on new rows may fail later.
    State.EVALUATED: frozenset({State.SHADOW, State.STAGING, State.EXPERIMENTING, State.RETIRED}),
    # To production: the plan has no step after its shadow.
    State.SHADOW: frozenset({State.STAGING, State.PRODUCTION, State.EXPERIMENTING}),
    State.STAGING: frozenset({State.PRODUCTION, State.EXPERIMENTING}),
    # Back to experimenting: rolled back while it baked.
    State.PRODUCTION: frozenset({State.RETRAINING, State.DEPRECATED, State.EXPERIMENTING}),
    State.RETRAINING: frozenset({State.PRODUCTION, State.DEPRECATED, State.EXPERIMENTING}),
    # Back to production: its successor was rolled back while this one was kept warm. Back to evaluated, as from
    # retired: the gate has judged it again, beside what serves now.
    State.DEPRECATED: frozenset({State.PRODUCTION, State.RETIRED, State.EVALUATED}),
    State.RETIRED: frozenset({State.EVALUATED}),
}
"""Every declared move. There are no others."""

_NEEDS_REASON = frozenset({State.EXPERIMENTING, State.RETIRED})


def check_transition(current: State, to: State, *, reason: str | None) -> None:
    """Refuse a move that is not declared, or a move back or out without a reason.

    Parameters
    ----------
    current, to : State
        Where the version is, and where it is to stand.
    reason : str or None
        Why; required for every move to ``experimenting`` or ``retired``.

    Raises
    ------
    InvalidTransitionError
        Naming the moves that are allowed from ``current``.
    """
    if to not in TRANSITIONS[current]:
        allowed = ", ".join(sorted(TRANSITIONS[current]))
        raise InvalidTransitionError(
            f"{current} → {to} is not an allowed transition; from {current} these are: {allowed}"
        )
    if to in _NEEDS_REASON and not (reason and reason.strip()):
        raise InvalidTransitionError(f"{current} → {to} needs a reason")
