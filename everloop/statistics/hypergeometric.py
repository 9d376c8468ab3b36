"""Tails of the number of marked ones among those that are drawn without being put back.

References
----------
R. A. Fisher, "On the interpretation of χ² from contingency tables, and the calculation of P", Journal of the Royal
Statistical Society 85 (1922).
"""

from __future__ import annotations

import math

_NEGLIGIBLE = 1e-17
"""Of the sum: what a float would not show any more."""


def drawn_at_least(count: int, draws: int, marked: int, total: int) -> float:
    """The probability of ``count`` marked ones or more among ``draws`` of ``total``, of which ``marked`` are marked.

    Raises
    ------
    ValueError
        Where more are drawn, or are marked, than there are.
    """
    if not (0 <= draws <= total and 0 <= marked <= total):
        raise ValueError(f"{draws} draws of {total} with {marked} marked are no draws without putting back")
    fewest, most = max(0, draws + marked - total), min(draws, marked)
    if count <= fewest:
        return 1.0
    if count > most:
        return 0.0
    if count * total < draws * marked:
        # From the mean on terms fall at once: the sum is short on that side alone.
        return 1 - drawn_at_least(draws - count + 1, draws, total - marked, total)
    logarithm = _log_choose(marked, count) + _log_choose(total - marked, draws - count) - _log_choose(total, draws)
    term = found = 1.0
    for drawn in range(count, most):
        term *= (marked - drawn) * (draws - drawn) / ((drawn + 1) * (total - marked - draws + drawn + 1))
        found += term
        if term < _NEGLIGIBLE * found:
            break
    return min(1.0, math.exp(logarithm + math.log(found)))


def both_tails(count: int, draws: int, marked: int, total: int) -> float:
    """The two-sided p-value of a count of marked ones: twice the smaller tail (Fisher's exact test)."""
    above = drawn_at_least(count, draws, marked, total)
    below = drawn_at_least(draws - count, draws, total - marked, total)
    return min(1.0, 2 * min(above, below))


def _log_choose(total: int, drawn: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(drawn + 1) - math.lgamma(total - drawn + 1)
