"""What a slice's metric, or difference, lies at or above, and at or below: pure Python, for job and gate alike."""

from __future__ import annotations

import math
from dataclasses import dataclass

from everloop.evaluation.bounds import lower_bound, upper_bound
from everloop.evaluation.compared import enough
from everloop.evaluation.measured import MetricValue, PairedDifference, Parts


@dataclass(frozen=True)
class Bounded:
    """A number measured on rows, with what its bounds are made of.

    Attributes
    ----------
    value : float or None
    why : str
        Why it has no bounds; empty where it has.
    """

    value: float | None
    standard_error: float | None
    degrees_of_freedom: int
    parts: Parts | None
    why: str

    def at_least(self, confidence: float) -> float | None:
        """What the truth lies at or above with ``confidence``, one-sided; None where that is not known."""
        return self._bound(confidence, lower=True)

    def at_most(self, confidence: float) -> float | None:
        """What the truth lies at or below with ``confidence``."""
        return self._bound(confidence, lower=False)

    def _bound(self, confidence: float, *, lower: bool) -> float | None:
        error, parts = self.standard_error, self.parts
        if self.why or self.value is None or error is None or parts is None or not enough(parts):
            return None
        if self.degrees_of_freedom < 1 or not error >= 0:
            return None
        made = lower_bound if lower else upper_bound
        bound = made(self.value, error, self.degrees_of_freedom, parts, confidence)
        return bound if math.isfinite(bound) else None


def of_metric(found: MetricValue) -> Bounded:
    """The bounds of a metric."""
    return Bounded(found.value, found.standard_error, found.degrees_of_freedom, found.parts, found.reason)


def of_difference(found: PairedDifference) -> Bounded:
    """The bounds of a difference."""
    return Bounded(found.difference, found.standard_error, found.degrees_of_freedom, found.parts, found.reason)
