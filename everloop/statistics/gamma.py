"""The gamma distribution's quantile, with the standard library alone.

References
----------
E. B. Wilson, M. M. Hilferty, "The distribution of chi-square", PNAS 17 (1931).
"""

from __future__ import annotations

import math
from statistics import NormalDist

from everloop.statistics.chi_square import chi_square_tail

_LARGE_SHAPE = 2000.0
"""From here on the cube of a normal variable is the gamma's to seven digits, and summing its series would take long."""

_SMALLEST = 1e-300

_LAST_STEP = 1e-7
"""Newton's steps square what is missing: after one so small, relative to the value, it is the rounding."""


def gamma_quantile(probability: float, shape: float) -> float:
    """The value that a gamma variable of scale 1 stays at or below with ``probability``.

    Raises
    ------
    ValueError
        Unless 0 < ``probability`` < 1 and ``shape`` is positive.
    """
    if not 0 < probability < 1 or not shape > 0:
        raise ValueError(f"no gamma quantile for {probability} with shape {shape}")
    cube = _by_wilson_and_hilferty(probability, shape)
    if shape >= _LARGE_SHAPE:
        return cube
    low, high, value = 0.0, math.inf, cube if cube > 0 else shape * probability ** (1 / shape)
    if value < _SMALLEST:
        return 0.0
    for _ in range(200):
        above = chi_square_tail(2 * value, 2 * shape)
        # The smaller of both tails keeps every digit.
        excess = (1 - probability) - above if probability > 0.5 else (1 - above) - probability
        low, high = (low, value) if excess > 0 else (value, high)
        log_density = (shape - 1) * math.log(value) - value - math.lgamma(shape)
        step = excess * math.exp(min(-log_density, 700.0))
        if abs(step) <= _LAST_STEP * value:
            return value - step
        value = value - step if low < value - step < high else (low + min(high, 2 * value + 1)) / 2
        if value < _SMALLEST:
            return 0.0
    return value


def _by_wilson_and_hilferty(probability: float, shape: float) -> float:
    ninth = 1 / (9 * shape)
    return shape * max(0.0, 1 - ninth + NormalDist().inv_cdf(probability) * math.sqrt(ninth)) ** 3
