"""Decides whether a version may be retired."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from everloop.registry.states import State


@dataclass(frozen=True)
class RetirementFacts:
    """What the decision rests on.

    Attributes
    ----------
    state_since : datetime
        Since when ``version`` is in ``state``.
    champion : int or None
        The version that serves.
    referred_to : frozenset of int
        Versions that an open rollout brings in, or would go back to.
    bake_seconds : int
        How long a replaced champion is kept warm.
    at : datetime
        The instant the decision is for.
    """

    version: int
    state: State
    state_since: datetime
    champion: int | None
    referred_to: frozenset[int]
    bake_seconds: int
    at: datetime


@dataclass(frozen=True)
class RetirementDecision:
    """Whether to retire, and every reason for it or against it."""

    retire: bool
    reasons: tuple[str, ...]


def decide_retirement(facts: RetirementFacts) -> RetirementDecision:
    """A version may be retired when it is deprecated, its bake is over and nothing refers to it."""
    against = []
    if facts.state is not State.DEPRECATED:
        against.append(f"version {facts.version} is {facts.state}, not deprecated")
    if facts.version == facts.champion:
        against.append(f"version {facts.version} is the champion")
    if facts.version in facts.referred_to:
        against.append(f"an open rollout refers to version {facts.version}")
    baked_at = facts.state_since + timedelta(seconds=facts.bake_seconds)
    if facts.at < baked_at:
        against.append(f"version {facts.version} is kept until {baked_at.isoformat()}")
    if against:
        return RetirementDecision(False, tuple(against))
    warm = f"version {facts.version} was deprecated at {facts.state_since.isoformat()} and its bake has ended"
    return RetirementDecision(True, (warm,))
