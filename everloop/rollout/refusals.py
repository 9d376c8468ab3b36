"""Whether a candidate refuses requests that its predecessor takes.

A request that one version's contract refuses and another's takes is an outage for its caller, although nothing failed:
it is answered with 4xx. An alias sends each request to either version at random, so both see the same callers, and
what both refuse says nothing against either. The two shares are compared by Fisher's exact test, which holds for any
number of requests.

References
----------
R. A. Fisher, The Logic of Inductive Inference, Journal of the Royal Statistical Society 98 (1935).
"""

from __future__ import annotations

from math import exp, lgamma

FALSE_ALARM_RATE = 0.05
"""How often at most, over a whole rollout, a version that refuses as often as its predecessor is rolled back for it."""

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
