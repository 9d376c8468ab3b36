"""What a person can do where a gate's comparison was not shown, in figures: more test days, or less confidence.

Nothing is decided here. The figures take the difference and the way days differ as they were found.
"""

from __future__ import annotations

import math

from everloop.evaluation.bounds import upper_bound
from everloop.evaluation.report import PairedDifference

MOST_DAYS = 3650
"""Beyond ten years of test days, more of them are no advice."""


def advice(paired: PairedDifference, bound: float, limit: float, confidence: float) -> str:
    """The end of a sentence on a difference whose ``bound`` does not stay below ``limit`` with ``confidence``.

    Needs a difference that has a bound.
    """
    short = limit - paired.difference
    if short <= 0:
        return "It is not so even on these rows: more rows will not help, other features or another model may."
    days = paired.days or paired.degrees_of_freedom + 1
    needed = math.ceil(days * ((bound - paired.difference) / short) ** 2)
    passes = confidence_that_shows(paired, limit, confidence)
    ways = []
    if needed <= MOST_DAYS:
        ways.append(f"about {needed:,} days of test rows instead of {days:,} (more history and data.split.test_days)")
    if passes is not None:
        ways.append(
            f"a gate.confidence of {passes:.2f}, which lets a worse one pass in up to {100 * (1 - passes):.0f}% of runs"
        )
    if not ways:
        return "The difference is too small to be shown by more rows."
    return f"If it stays that good, this would show it: {', or '.join(ways)}."


def confidence_that_shows(paired: PairedDifference, limit: float, declared: float) -> float | None:
    """The highest confidence, in hundredths below the declared one, that shows it; None where none does."""
    error, parts = paired.standard_error, paired.parts
    if error is None or parts is None:
        return None
    for hundredths in range(math.ceil(100 * declared) - 1, 49, -1):
        confidence = hundredths / 100
        if upper_bound(paired.difference, error, paired.degrees_of_freedom, parts, confidence) < limit:
            return confidence
    return None
