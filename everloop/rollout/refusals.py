"""Whether one share of requests is larger than another, beyond chance: Fisher's exact test, for any number of them.

It holds for one look; :mod:`everloop.statistics.evidence` has what holds at all of them.

References
----------
R. A. Fisher, The Logic of Inductive Inference, Journal of the Royal Statistical Society 98 (1935).
"""

from __future__ import annotations

from math import exp, lgamma

_NEGLIGIBLE = 1e-17


def more_often(refused: int, requests: int, other_refused: int, other_requests: int) -> float:
    """The p-value of the first share being no larger than the second, one-sided, by Fisher's exact test.

    It is the probability of ``refused`` or more among ``requests``, when the refusals of both fall anywhere. 1 where
    either has no requests: nothing is known.
    """
    if not requests or not other_requests:
        return 1.0
    both, total = refused + other_refused, requests + other_requests
    most = min(both, requests)
    if refused <= max(0, both - other_requests):
        return 1.0
    term = exp(_log_choose(requests, refused) + _log_choose(other_requests, both - refused) - _log_choose(total, both))
    summed = 0.0
    for count in range(refused, most + 1):
        summed += term
        # From one count to the next: the ratio of hypergeometric probabilities.
        term *= (requests - count) * (both - count) / ((count + 1) * (other_requests - both + count + 1))
        if term < _NEGLIGIBLE * summed and count > both * requests / total:
            break
    return min(1.0, summed)


def _log_choose(of: int, chosen: int) -> float:
    return lgamma(of + 1) - lgamma(chosen + 1) - lgamma(of - chosen + 1)
