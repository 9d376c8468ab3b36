"""Answers unseen before any caller meets the candidate; then the declared steps, or all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.documents.records import Phase
from everloop.rollout.guardrails import Verdict
from everloop.rollout.plan import RolloutPlan, Step
from everloop.rollout.strategies import RolloutStrategy, Situation

if TYPE_CHECKING:
    from everloop.model_file.schema import Rollout as DeclaredRollout


class Shadow:
    """A step without callers, before the others."""

    def applies(self, declared: DeclaredRollout, situation: Situation) -> bool:
        """Where a shadow is declared."""
        return declared.shadow is not None

    def plan(self, declared: DeclaredRollout) -> RolloutPlan:
        """The shadow, the declared steps and the bake."""
        assert declared.shadow is not None, "see applies"
        unseen = Step(0.0, declared.shadow.minutes * 60)
        steps = (Step(s.percent, s.minutes * 60) for s in declared.steps)
        return RolloutPlan((unseen, *steps), declared.bake_minutes * 60)

    def unlooked(self, situation: Situation, phase: Phase) -> Verdict | None:
        """Always decided by what is found."""
        return None


STRATEGY: RolloutStrategy = Shadow()
