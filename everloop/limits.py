"""How large a value may be that is a label or an answer."""

from __future__ import annotations

LARGEST_VALUE = 1e60
"""Of either sign. Monitoring sums fourth powers of what it counts, and squares those sums again to find their error:
beyond this, a single value would make them infinite for good, and no number can be told from another any more."""


def value_range(low: float | None, high: float | None) -> tuple[float, float]:
    """The range of a value that is declared to lie from ``low`` to ``high``, where it is."""
    return (
        -LARGEST_VALUE if low is None else max(low, -LARGEST_VALUE),
        LARGEST_VALUE if high is None else min(high, LARGEST_VALUE),
    )
