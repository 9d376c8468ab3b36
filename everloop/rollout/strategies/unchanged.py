"""The function version to roll out is the one that serves: there is nothing to try out or to bake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.documents.records import Phase
from everloop.reasons import Reason
from everloop.rollout.guardrails import Verdict
from everloop.rollout.plan import RolloutPlan
from everloop.rollout.strategies import RolloutStrategy, Situation

if TYPE_CHECKING:
    from everloop.model_file.schema import Rollout as DeclaredRollout


class Unchanged:
    """Nothing to do."""

    def applies(self, declared: DeclaredRollout, situation: Situation) -> bool:
        """Where it serves already."""
        return situation.changes_nothing

    def plan(self, declared: DeclaredRollout) -> RolloutPlan:
        """No step, no bake."""
        return RolloutPlan((), 0)

    def unlooked(self, situation: Situation, phase: Phase) -> Verdict | None:
        """Nothing must be looked at."""
        sentence = f"function version {situation.lambda_version} serves already"
        return Verdict("promote" if phase == "canary" else "ok", (Reason("nothing_to_change", sentence),))


STRATEGY: RolloutStrategy = Unchanged()
