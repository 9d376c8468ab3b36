"""The first champion: it has nobody to share the traffic with, so it gets all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.documents.records import Phase
from everloop.reasons import Reason
from everloop.rollout.guardrails import Verdict
from everloop.rollout.plan import RolloutPlan
from everloop.rollout.strategies import RolloutStrategy, Situation

if TYPE_CHECKING:
    from everloop.model_file.schema import Rollout as DeclaredRollout


class First:
    """All at once, for lack of a champion."""

    def applies(self, declared: DeclaredRollout, situation: Situation) -> bool:
        """While nothing serves."""
        return not situation.has_previous

    def plan(self, declared: DeclaredRollout) -> RolloutPlan:
        """The declared bake alone."""
        return RolloutPlan((), declared.bake_minutes * 60)

    def unlooked(self, situation: Situation, phase: Phase) -> Verdict | None:
        """To promote needs no look."""
        if phase == "bake":
            return None
        return Verdict("promote", (Reason("no_canary", "there is no champion to compare with"),))


STRATEGY: RolloutStrategy = First()
