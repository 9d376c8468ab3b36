"""The chi-square distribution's tail, with the standard library alone: the monitor runs where scipy does not.

References
----------
NIST Digital Library of Mathematical Functions, 8.11.4 and 8.9.2 (https://dlmf.nist.gov/8).
"""

from __future__ import annotations

import math

_TINY = 1e-300
_EPSILON = 1e-15
_CLOSE = 10 * _EPSILON


def chi_square_tail(value: float, degrees_of_freedom: float) -> float:
    """The probability of a chi-square value above ``value``.

    Raises
    ------
    ValueError
        Unless ``degrees_of_freedom`` is positive and ``value`` is not negative.
    """
    if not degrees_of_freedom > 0 or not value >= 0:
        raise ValueError(f"no chi-square tail for {value} with {degrees_of_freedom} degrees of freedom")
    a, x = degrees_of_freedom / 2, value / 2
    if x == 0:
        return 1.0
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        return max(0.0, 1 - front * _series(a, x))
    return front * _continued_fraction(a, x)


def _series(a: float, x: float) -> float:
    term = total = 1 / a
    n = a
    while term > total * _EPSILON:  # all terms are positive
        n += 1.0
        term *= x / n
        total += term
    return total


def _continued_fraction(a: float, x: float) -> float:
    """Lentz's evaluation, without a call a step: a bound asks for hundreds of tails."""
    b = x + 1 - a
    c, d = 1 / _TINY, 1 / b
    result = d
    for i in range(1, 100_000):
        numerator = i * (a - i)
        b += 2.0
        d = numerator * d + b
        if -_TINY <= d <= _TINY:
            d = _TINY
        d = 1.0 / d
        c = b + numerator / c
        if -_TINY <= c <= _TINY:
            c = _TINY
        factor = c * d
        result *= factor
        if -_CLOSE < factor - 1.0 < _CLOSE:
            return result
    raise ArithmeticError(f"the incomplete gamma function does not converge at {a}, {x}")
