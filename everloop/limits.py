"""How large a value may be that is a label or an answer, and which characters no text may have."""

from __future__ import annotations

import re

UNUSABLE_CHARACTERS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, which no key or category means, and lone surrogates, which are no text at all."""

LARGEST_VALUE = 1e60
"""Of either sign. Monitoring sums fourth powers of what it counts, and squares those sums again to find their error:
beyond this, a single value would make them infinite for good, and no number can be told from another any more."""


def value_range(low: float | None, high: float | None) -> tuple[float, float]:
    """The range of a value that is declared to lie from ``low`` to ``high``, where it is."""
    return (
        -LARGEST_VALUE if low is None else max(low, -LARGEST_VALUE),
        LARGEST_VALUE if high is None else min(high, LARGEST_VALUE),
    )
