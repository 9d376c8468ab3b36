"""The declared way from nothing to all of the traffic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.rollout.exceptions import StepOutOfPlanError

if TYPE_CHECKING:
    from everloop.model_file.schema import Rollout as DeclaredRollout


@dataclass(frozen=True)
class Step:
    """``percent`` of the requests for at least ``seconds``."""

    percent: float
    seconds: int


@dataclass(frozen=True)
class RolloutPlan:
    """The steps before promotion (none: promote at once), and how long the old champion stays warm after it."""

    steps: tuple[Step, ...]
    bake_seconds: int

    @property
    def looks(self) -> int:
        """How often the guardrail decides: after every step, and after the bake."""
        return len(self.steps) + 1

    def step(self, index: int) -> Step:
        """The step of that index, from 0.

        Raises
        ------
        StepOutOfPlanError
        """
        if not 0 <= index < len(self.steps):
            raise StepOutOfPlanError(f"the plan has {len(self.steps)} steps; there is no step {index}")
        return self.steps[index]

    def is_last(self, index: int) -> bool:
        """Whether promotion follows the step of that index."""
        return index >= len(self.steps) - 1


def plan_rollout(declared: DeclaredRollout, *, has_previous: bool, changes_nothing: bool) -> RolloutPlan:
    """The plan of one rollout.

    Parameters
    ----------
    declared : Rollout
        The declaration's ``rollout`` section.
    has_previous : bool
        Whether a champion serves. The first one has nobody to share the traffic with, so it gets all of it.
    changes_nothing : bool
        The function version to roll out is the one that serves: there is nothing to try out or to bake.
    """
    if changes_nothing:
        return RolloutPlan((), 0)
    bake = declared.bake_minutes * 60
    if not has_previous:
        return RolloutPlan((), bake)
    return RolloutPlan(tuple(Step(s.percent, s.minutes * 60) for s in declared.steps), bake)
