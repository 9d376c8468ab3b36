"""Where a function changes its sign, in few evaluations, with the standard library alone.

References
----------
T. R. Chandrupatla, "A new hybrid quadratic/bisection algorithm for finding the zero of a nonlinear function without
using derivatives", Advances in Engineering Software 28 (1997).
"""

from __future__ import annotations

from collections.abc import Callable

_MOST_STEPS = 200


def negative_from(function: Callable[[float], float], low: float, high: float, *, within: float) -> float:
    """Where between ``low`` and ``high`` a function comes to be negative.

    It may jump, and may be infinite: then intervals are halved.

    Returns
    -------
    float
        Where it is negative, at most twice ``within`` beyond where it is not; ``low`` where it is negative already
        there, ``high`` where it is not even there.
    """
    newest, other = (high, function(high)), (low, function(low))
    if newest[1] >= 0:
        return high
    if other[1] < 0:
        return low
    before = other
    share = 0.5
    for _ in range(_MOST_STEPS):
        at = newest[0] + share * (other[0] - newest[0])
        found = (at, function(at))
        if (found[1] < 0) == (newest[1] < 0):
            before = newest
        else:
            before, other = other, newest
        newest = found
        width = abs(other[0] - newest[0])
        if width <= 2 * within:
            break
        share = min(max(_share(newest, other, before), within / width), 1 - within / width)
    return newest[0] if newest[1] < 0 else other[0]


def _share(newest: tuple[float, float], other: tuple[float, float], before: tuple[float, float]) -> float:
    """How far on the way from ``newest`` to ``other`` to look next: by a parabola through all three, or half-way."""
    (a, fa), (b, fb), (c, fc) = newest, other, before
    if len({fa, fb, fc}) < 3 or b == c:
        return 0.5
    xi, phi = (a - b) / (c - b), (fa - fb) / (fc - fb)
    if not phi**2 < xi or not (1 - phi) ** 2 < 1 - xi:  # no number where one is infinite
        return 0.5
    share = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
    return share if 0 < share < 1 else 0.5
