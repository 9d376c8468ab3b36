"""What is left after a rollout: versions to retire, and function versions nobody needs."""

from __future__ import annotations

from datetime import datetime

from everloop.registry.records import Rollout
from everloop.registry.store import RegistryStore
from everloop.retirement.decision import RetirementFacts, decide_retirement

SETTLING_SECONDS = 300
"""A function version stays this long after the alias left it: an alias's change takes effect within seconds."""


def retire_versions(store: RegistryStore, *, bake_seconds: int, at: datetime, actor: str) -> list[int]:
    """Retire every version that may be retired; return their numbers."""
    champion = store.versions.champion()
    open_rollouts = [r for r in store.rollouts.all() if r.is_open]
    referred = frozenset(v for r in open_rollouts for v in (r.version, r.previous_version) if v)
    retired = []
    for version in store.versions.all():
        facts = RetirementFacts(
            version=version.version,
            state=version.state,
            state_since=version.state_since,
            champion=champion.version if champion else None,
            referred_to=referred,
            bake_seconds=bake_seconds,
            at=at,
        )
        decision = decide_retirement(facts)
        if decision.retire:
            store.versions.retire(version.version, reason="; ".join(decision.reasons), at=at, actor=actor)
            retired.append(version.version)
    return retired


def needed_lambda_versions(store: RegistryStore, rollout: Rollout, *, at: datetime) -> set[str]:
    """The function versions that serve, that an open rollout needs, or that the alias left only just now."""
    champion = store.versions.champion()
    needed = {champion.lambda_version} if champion else set()
    for other in store.rollouts.all():
        if other.is_open:
            needed |= {other.lambda_version, other.fallback_lambda_version}
    promoted = rollout.promoted_at or rollout.started_at
    if (at - promoted).total_seconds() < SETTLING_SECONDS:
        needed.add(rollout.fallback_lambda_version)
    return needed
