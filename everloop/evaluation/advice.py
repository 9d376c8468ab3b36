"""What a person can do where a gate's check was not shown, in figures: more test days, or less confidence.

Nothing is decided here. The figures take the estimate and the way days differ as they were found.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from everloop.evaluation.bounds import upper_bound
from everloop.evaluation.report import PairedDifference
from everloop.numbers_of import number_of

MOST_DAYS = 3650
"""Beyond ten years of test days, more of them are no advice."""

_NOT_EVEN_HERE = "Even on these rows it does not hold: more rows will not help, other features or another model may."


def advice(paired: PairedDifference, bound: float, limit: float, confidence: float) -> str:
    """The end of a sentence on a difference whose ``bound`` does not stay below ``limit`` with ``confidence``.

    Needs a difference that has a bound.
    """
    short = limit - paired.difference
    if short <= 0:
        return _NOT_EVEN_HERE
    days = paired.days or paired.degrees_of_freedom + 1
    needed = math.ceil(days * ((bound - paired.difference) / short) ** 2)
    return _ways(needed, days, confidence_that_shows(paired, limit, confidence), "a worse model pass")


def threshold_advice(
    value: float, limit: float, days: int, confidence: float, bound_at: Callable[[float], float | None]
) -> str:
    """The end of a sentence on a metric that does not keep a declared limit with ``confidence``.

    Parameters
    ----------
    value : float
        The metric on the test rows, of ``days`` days.
    bound_at : callable
        The bound that is compared with ``limit``, for a given confidence; None where that is not known.
    """
    bound = bound_at(confidence)
    if bound is None:
        return ""
    room = value - limit
    if room == 0 or (bound < value) != (room > 0):
        return _NOT_EVEN_HERE
    # Where a single row may outweigh all others there is no bound at all.
    needed = math.ceil(days * ((value - bound) / room) ** 2) if math.isfinite(bound) else MOST_DAYS + 1

    def keeps(found: float | None) -> bool:
        return found is not None and (found >= limit if room > 0 else found <= limit)

    passes = next((c for c in _below(confidence) if keeps(bound_at(c))), None)
    return _ways(needed, days, passes, "a model that misses the limit pass")


def _ways(needed: int, days: int, passes: float | None, wrongly: str) -> str:
    ways = []
    if needed <= MOST_DAYS:
        ways.append(
            f"about {number_of(needed, 'day')} of test rows instead of {days:,} (more history and data.split.test_days)"
        )
    if passes is not None:
        ways.append(
            f"a gate.confidence of {passes:.2f}, which lets {wrongly} in up to {100 * (1 - passes):.0f}% of runs"
        )
    if not ways:
        return "The difference is too small: more rows would not show it."
    return f"If the candidate stays that good, this would show it: {', or '.join(ways)}."


def confidence_that_shows(paired: PairedDifference, limit: float, declared: float) -> float | None:
    """The highest confidence, in hundredths below the declared one, that shows it; None where none does."""
    error, parts = paired.standard_error, paired.parts
    if error is None or parts is None:
        return None
    for confidence in _below(declared):
        if upper_bound(paired.difference, error, paired.degrees_of_freedom, parts, confidence) < limit:
            return confidence
    return None


def _below(declared: float) -> list[float]:
    """Confidences in hundredths below the declared one, the highest first, down to one half."""
    return [hundredths / 100 for hundredths in range(math.ceil(100 * declared) - 1, 49, -1)]
