"""How noisy a regression's outcomes are in a window, and how far a window of unusual noise is believed."""

from __future__ import annotations

import math

from everloop.recalibration.sums import ValueSums

USUAL = 4.0
"""Times the usual variance up to which a window is believed whole: twice the usual spread."""

FOLLOWS = 0.1
"""How far the usual variance follows a window's, on the scale of its logarithm."""


def noise_of(sums: ValueSums) -> float:
    """The variance of the outcomes around the straight line that fits the window best; 0 where none is left.

    So a level that has moved is no noise, and one outcome a thousand times too large is.
    """
    score, error = sums.score / sums.rows, sums.error / sums.rows
    score_variance = sums.score_squares / sums.rows - score * score
    error_variance = sums.error_squares / sums.rows - error * error
    both = sums.product / sums.rows - score * error
    explained = both * both / score_variance if score_variance > 0 else 0.0
    # What is left after subtracting nearly equal numbers is rounding.
    found = error_variance - explained
    return found if found > 1e-12 * sums.error_squares / sums.rows else 0.0


def noise_after(usual: float, noise: float) -> tuple[float, float]:
    """The usual variance after a window, and the share from 0 to 1 that is believed of the window.

    Weighted by its precision, as least squares wants it, but never more than a usual one.
    """
    if noise <= 0:
        return usual, 1.0
    if usual <= 0:
        return noise, 1.0
    ratio = noise / usual
    return usual * math.exp(FOLLOWS * math.log(min(max(ratio, 1 / USUAL), USUAL))), min(1.0, USUAL / ratio)


def spread_of(sums: ValueSums) -> float:
    """A unit for values: how far the scores spread, else how far they err, else 1."""
    mean = sums.score / sums.rows
    for variance in (sums.score_squares / sums.rows - mean * mean, sums.error_squares / sums.rows):
        if variance > 0:
            return math.sqrt(variance)
    return 1.0
