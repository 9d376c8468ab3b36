"""Rollout strategies: the way from nothing to all of the traffic, as a model declares it and as things stand.

To add one: a file here whose ``STRATEGY`` is a :class:`RolloutStrategy`, its tests, and its name below. Of those that
apply, the one registered last is taken: the general ones come first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from everloop.seams import Seam

if TYPE_CHECKING:
    from everloop.documents.records import Phase
    from everloop.model_file.schema import Rollout as DeclaredRollout
    from everloop.rollout.guardrails import Verdict
    from everloop.rollout.plan import RolloutPlan


@dataclass(frozen=True)
class Situation:
    """How things stand as a rollout begins.

    Attributes
    ----------
    lambda_version : str
        The function version to roll out.
    has_previous : bool
        Whether a champion serves.
    changes_nothing : bool
        The function version to roll out is the one that serves.
    """

    lambda_version: str
    has_previous: bool
    changes_nothing: bool


class RolloutStrategy(Protocol):
    """Plans a rollout, and says where nothing must be looked at. It keeps nothing.

    A plan has no more steps, and takes no longer, than are declared: the pipeline's time limit and the length of its
    history are computed from the declaration. Steps rise and stay below all of the traffic; a first one of 0 percent is
    the declared shadow.
    """

    def applies(self, declared: DeclaredRollout, situation: Situation) -> bool:
        """Whether this is the way."""
        ...

    def plan(self, declared: DeclaredRollout) -> RolloutPlan:
        """The steps before promotion, and the bake after it."""
        ...

    def unlooked(self, situation: Situation, phase: Phase) -> Verdict | None:
        """The verdict where no metrics must be looked at; None where the guardrail decides."""
        ...


STRATEGIES: Seam[RolloutStrategy] = Seam(
    __name__, "rollout strategy", "STRATEGY", "canary", "all_at_once", "shadow", "first", "unchanged"
)


def strategy_for(declared: DeclaredRollout, situation: Situation) -> RolloutStrategy:
    """The strategy that is taken."""
    return next(strategy for strategy in reversed(list(STRATEGIES)) if strategy.applies(declared, situation))
