"""Student's t distribution, with the standard library alone.

The gate runs where scipy does not. The tail probability is the regularised incomplete beta function,
evaluated by its continued fraction.

References
----------
NIST Digital Library of Mathematical Functions, 8.17.22 (https://dlmf.nist.gov/8.17).
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

_TINY = 1e-300
_EPSILON = 1e-15
_LAST_STEP = 1e-7
"""Newton's steps square what is missing: after one so small, relative to the value, it is the rounding."""


def t_cdf(t: float, degrees_of_freedom: float) -> float:
    """The probability that a t-distributed value is at most ``t``."""
    if math.isinf(t):
        return 1.0 if t > 0 else 0.0
    nu = degrees_of_freedom
    if t * t < nu:
        # Near the middle nu / (nu + t^2) rounds to 1; its complement keeps every digit.
        middle = 0.5 * incomplete_beta(t * t / (nu + t * t), 0.5, nu / 2)
        return 0.5 + math.copysign(middle, t)
    tail = 0.5 * incomplete_beta(nu / (nu + t * t), nu / 2, 0.5)
    return 1 - tail if t > 0 else tail


@lru_cache(maxsize=256)
def t_quantile(probability: float, degrees_of_freedom: float) -> float:
    """The value that a t-distributed one stays at or below with ``probability``.

    Raises
    ------
    ValueError
        Unless 0 < ``probability`` < 1 and ``degrees_of_freedom`` is positive.
    """
    if not 0 < probability < 1 or not degrees_of_freedom > 0:
        raise ValueError(f"no quantile for {probability} with {degrees_of_freedom} degrees of freedom")
    if probability < 0.5:
        return -t_quantile(1 - probability, degrees_of_freedom)
    if probability == 0.5:
        return 0.0
    nu = degrees_of_freedom
    log_peak = math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - 0.5 * math.log(nu * math.pi)
    # Newton's steps, inside the interval that is known to hold the quantile.
    low, high, value = 0.0, math.inf, NormalDist().inv_cdf(probability)
    for _ in range(200):
        # The tail keeps the digits that 1 - tail loses.
        excess = (1 - probability) - t_cdf(-value, nu)
        low, high = (low, value) if excess > 0 else (value, high)
        density = math.exp(log_peak - (nu + 1) / 2 * math.log1p(value * value / nu))
        step = excess / density if density else math.inf
        if abs(step) <= _LAST_STEP * value:
            return value - step
        value = value - step if low < value - step < high else (low + min(high, 4 * value + 1)) / 2
    return value


def incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b)."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(log_front + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _continued_fraction(x, a, b) / a
    return 1 - front * _continued_fraction(1 - x, b, a) / b


def _continued_fraction(x: float, a: float, b: float) -> float:
    """Lentz's evaluation, without a call a step; the caller picks the side on which it converges fast."""
    both = a + b
    c, d = 1.0, 1.0 - both * x / (a + 1)
    d = 1.0 / (_TINY if -_TINY <= d <= _TINY else d)
    result = d
    for m in range(1, 10_000):
        place = a + 2 * m
        even = m * (b - m) * x / ((place - 1) * place)
        d = 1.0 + even * d
        d = 1.0 / (_TINY if -_TINY <= d <= _TINY else d)
        c = 1.0 + even / c
        c = _TINY if -_TINY <= c <= _TINY else c
        result *= c * d
        odd = -(a + m) * (both + m) * x / (place * (place + 1))
        d = 1.0 + odd * d
        d = 1.0 / (_TINY if -_TINY <= d <= _TINY else d)
        c = 1.0 + odd / c
        c = _TINY if -_TINY <= c <= _TINY else c
        factor = c * d
        result *= factor
        if -_EPSILON < factor - 1.0 < _EPSILON:
            return result
    raise ArithmeticError(f"the incomplete beta function does not converge at {x}, {a}, {b}")
