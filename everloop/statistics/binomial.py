"""Tails of the number of successes in independent trials, and what they say about its rate.

References
----------
C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
Biometrika 26 (1934).
W. Hoeffding, "On the distribution of the number of successes in independent trials", Annals of Mathematical
Statistics 27 (1956).
"""

from __future__ import annotations

from everloop.statistics.student_t import incomplete_beta

_PRECISION = 1e-12


def at_least(count: int, trials: int, probability: float) -> float:
    """The probability of ``count`` successes or more in ``trials`` of equal ``probability``."""
    if count <= 0:
        return 1.0
    return incomplete_beta(probability, count, trials - count + 1) if count <= trials else 0.0


def at_most(count: int, trials: int, probability: float) -> float:
    """The probability of ``count`` successes or fewer."""
    if count >= trials:
        return 1.0
    return incomplete_beta(1 - probability, trials - count, count + 1) if count >= 0 else 0.0


def both_tails(count: int, expected: float, trials: int) -> float:
    """The two-sided p-value of a count, where trials have any probabilities that add up to ``expected``.

    Beyond one from the mean, equal probabilities have the heaviest tails (Hoeffding's theorem 4), so the binomial
    distribution's bound them all. Nearer to it nothing is claimed: 1.
    """
    probability = min(1.0, max(0.0, expected / trials))
    if count >= expected + 1:
        return min(1.0, 2 * at_least(count, trials, probability))
    if count <= expected - 1:
        return min(1.0, 2 * at_most(count, trials, probability))
    return 1.0


def exact_lower_bound(count: int, trials: int, confidence: float) -> float:
    """The rate that the true one exceeds with at least ``confidence`` (one-sided), after Clopper and Pearson.

    It is the rate at which ``trials`` have ``count`` successes or more with probability ``1 - confidence``. 0 without
    successes, and so without trials: nothing is known. It holds for a number of trials that the successes have no part
    in; see :mod:`everloop.statistics.evidence` for one that holds while trials come in.
    """
    if count == 0:
        return 0.0
    low, high = 0.0, 1.0
    while high - low > _PRECISION * high:
        middle = (low + high) / 2
        if at_least(count, trials, middle) > 1 - confidence:
            high = middle
        else:
            low = middle
    return low
