"""The F distribution's tail."""

from __future__ import annotations

from everloop.statistics.student_t import incomplete_beta


def f_tail(value: float, numerator_freedom: float, denominator_freedom: float) -> float:
    """The probability of an F-distributed value above ``value``.

    Raises
    ------
    ValueError
        Unless both degrees of freedom are positive and ``value`` is not negative.
    """
    a, b = denominator_freedom / 2, numerator_freedom / 2
    if not a > 0 or not b > 0 or not value >= 0:
        raise ValueError(f"no F tail for {value} with {numerator_freedom} and {denominator_freedom} degrees of freedom")
    return incomplete_beta(a / (a + b * value), a, b)
