"""How much of the declared false-rollback rate one measure may use in one look at a rollout.

``false_rollback_rate`` is that of a whole rollout: of all its measures, phases and looks together (Bonferroni). Each
measure has its part of it, and of that each step and the bake an equal share. Half of a share is for all looks while
the phase lasts, however many they become: they go by evidence that holds at any time
(:mod:`everloop.statistics.evidence`). The other half is for the one look that ends the phase. It may go by a test for
a fixed number of requests, which tells more where few have come. That is alpha spending in two portions.

Some measures are declared one by one (:data:`DECLARED`). Each that is has :data:`EACH_DECLARED` of the rate, and the
measures of every rollout share the rest. Measures of answers have all of it for looks at any time.

References
----------
K. K. G. Lan, D. L. DeMets, Discrete Sequential Boundaries for Clinical Trials, Biometrika 70 (1983).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from everloop.model_file.schema import Guardrail
    from everloop.rollout.plan import RolloutPlan

PARTS = MappingProxyType({"error_rate": 0.45, "p99_latency": 0.2, "refused_requests": 0.2, "added_errors": 0.15})
"""What each measure has of the rate. A failed request is what callers feel most, and needs the fewest requests."""

OF_ANSWERS = MappingProxyType(
    {
        "score_distance": "scores",
        "disagreement": "disagreement",
        "added_loss": "quality",
        "business_drop": "business",
    }
)
"""Measures of what versions answer, and the key of ``rollout.guardrail`` that declares each."""

DECLARED = MappingProxyType({**OF_ANSWERS, "cold_start_latency": "max_cold_start_ms"})
"""Measures that not every rollout has, and the key of ``rollout.guardrail`` that declares each."""

EACH_DECLARED = 0.15

WATCHING = 0.5
"""Of a phase's share, what all looks have together while it lasts."""


@dataclass(frozen=True)
class Look:
    """One look.

    Attributes
    ----------
    rate : float
        The declared false-rollback rate.
    phases : int
        Over how many phases it is divided.
    ends : bool
        Whether this look ends its phase; there is one such look in each.
    declared : int
        How many measures of :data:`DECLARED` the rollout has.
    """

    rate: float
    phases: int
    ends: bool
    declared: int = 0

    @classmethod
    def at(cls, plan: RolloutPlan, guardrail: Guardrail, *, ends: bool) -> Look:
        """A look at a rollout by this plan."""
        declared = sum(getattr(guardrail, key) is not None for key in DECLARED.values())
        return cls(guardrail.false_rollback_rate, plan.phases, ends, declared)

    def watching(self, measure: str) -> float:
        """The probability of a false rollback that all looks of the phase may use together for a measure."""
        return self._share(measure) * (1.0 if measure in OF_ANSWERS else WATCHING)

    def ending(self, measure: str) -> float:
        """What the look that ends the phase may use besides; 0 for any other."""
        return self._share(measure) * (1 - WATCHING) if self.ends and measure not in OF_ANSWERS else 0.0

    def _share(self, measure: str) -> float:
        """The phase's share for a measure."""
        rest = 1 - EACH_DECLARED * self.declared
        part = EACH_DECLARED if measure in DECLARED else PARTS[measure] * rest
        return self.rate * part / self.phases
