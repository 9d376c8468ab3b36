"""Evidence that the mean of a bounded value is above a limit, gathered while values come in, however often one looks.

A share of the stake is bet on each value being above the limit: it pays in proportion to how far above it lies, and
costs as much below it. A value can't lie lower than its bound, so the stake never falls below 0; and where no mean is
above the limit, whatever came before, it does not grow on average. Nothing is taken for granted of the values'
distribution. The stake is divided over several shares, and over beginnings as in :mod:`everloop.statistics.evidence`,
which says how such a stake is read.

References
----------
I. Waudby-Smith, A. Ramdas, Estimating Means of Bounded Random Variables by Betting, Journal of the Royal Statistical
Society B 86 (2024).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import log1p

from everloop.statistics.evidence import Growth

SHARES = (0.01, 0.03, 0.08, 0.2, 0.4, 0.6, 0.8, 0.95)
"""The shares of a stake that are bet; small ones for small differences among values that vary much."""

WEIGHTS = (1 / len(SHARES),) * len(SHARES)
"""How much of the stake is bet by each of :data:`SHARES`."""


def above_mean(values: Iterable[float], limit: float, least: float) -> Growth:
    """A block's growth where each value's mean is ``limit`` at most, whatever came before it.

    Parameters
    ----------
    values : iterable of float
        None lies below ``least``.
    limit : float
        Above ``least``.
    """
    room, counts = limit - least, Counter(values)
    return tuple(sum(n * log1p(share * (value - limit) / room) for value, n in counts.items()) for share in SHARES)
