"""A plan from nothing to all of the traffic, as a strategy makes it."""

from __future__ import annotations

from dataclasses import dataclass

from everloop.numbers_of import number_of
from everloop.rollout.exceptions import StepOutOfPlanError


@dataclass(frozen=True)
class Step:
    """``percent`` of the requests for at least ``seconds``; none at all is a shadow."""

    percent: float
    seconds: int

    @property
    def is_shadow(self) -> bool:
        """Whether the candidate answers captured rows instead of callers."""
        return self.percent == 0


@dataclass(frozen=True)
class RolloutPlan:
    """The steps before promotion (none: promote at once), and how long the old champion stays warm after it."""

    steps: tuple[Step, ...]
    bake_seconds: int

    @property
    def phases(self) -> int:
        """How many stretches the guardrail judges: every step, and the bake."""
        return len(self.steps) + 1

    def step(self, index: int) -> Step:
        """The step of that index, from 0.

        Raises
        ------
        StepOutOfPlanError
        """
        if not 0 <= index < len(self.steps):
            raise StepOutOfPlanError(f"the plan has {number_of(len(self.steps), 'step')}; there is no step {index}")
        return self.steps[index]

    def follows_shadow(self, index: int) -> bool:
        """Whether the step of that index comes right after a shadow, in whose last minute the candidate was asked."""
        return index > 0 and self.step(index - 1).is_shadow

    def is_last(self, index: int) -> bool:
        """Whether promotion follows the step of that index."""
        return index >= len(self.steps) - 1
