"""The declared steps against the champion, each judged by the guardrail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.documents.records import Phase
from everloop.rollout.guardrails import Verdict
from everloop.rollout.plan import RolloutPlan, Step
from everloop.rollout.strategies import RolloutStrategy, Situation

if TYPE_CHECKING:
    from everloop.model_file.schema import Rollout as DeclaredRollout


class Canary:
    """A canary."""

    def applies(self, declared: DeclaredRollout, situation: Situation) -> bool:
        """Where steps are declared."""
        return bool(declared.steps)

    def plan(self, declared: DeclaredRollout) -> RolloutPlan:
        """The declared steps and bake."""
        return RolloutPlan(tuple(Step(s.percent, s.minutes * 60) for s in declared.steps), declared.bake_minutes * 60)

    def unlooked(self, situation: Situation, phase: Phase) -> Verdict | None:
        """Always the guardrail's."""
        return None


STRATEGY: RolloutStrategy = Canary()
