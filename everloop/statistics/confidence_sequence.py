"""A lower bound of a rate that holds however often one looks.

An interval for a fixed number of trials fails more often than declared when it is computed again and again while trials
come in, and acted on as soon as it says something. A confidence sequence holds at all times at once. Here it is
Robbins' mixture: the rates at which what was seen is far less likely than it is on average over a prior. The quotient
of the two likelihoods is a martingale where the rate is the true one, so by Ville's inequality it ever reaches
``1 / alpha`` with probability ``alpha`` at most.

References
----------
H. Robbins, Statistical Methods Related to the Law of the Iterated Logarithm, Annals of Mathematical Statistics 41
(1970).
S. R. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, Time-Uniform, Nonparametric, Nonasymptotic Confidence Sequences,
Annals of Statistics 49 (2021).
J. Ville, Étude critique de la notion de collectif (1939).
"""

from __future__ import annotations

from math import lgamma, log, log1p

_PRIOR = (1.0, 4.0)
"""Of the beta distribution that the likelihood is averaged over. Any keeps the promise. This one, of mean one in five,
tells a rate of 10% from 2% in a sixth fewer trials than the uniform one does, and takes no more for a rate of 1."""

_PRECISION = 1e-12


def lower_bound_at_any_time(count: int, trials: int, confidence: float) -> float:
    """A rate that the true one exceeds, at all numbers of trials at once, with at least ``confidence`` (one-sided).

    Parameters
    ----------
    count, trials : int
        Successes so far, of so many trials. Trials need not be independent: it is enough that each succeeds with no
        more than the true rate, whatever came before it.

    Returns
    -------
    float
        0 without successes: nothing is known.
    """
    if count == 0:
        return 0.0
    a, b = _PRIOR
    average = _log_beta(count + a, trials - count + b) - _log_beta(a, b)
    least = log(1 - confidence) + average
    # The likelihood rises up to the rate that was seen.
    low, high = 0.0, count / trials
    while high - low > _PRECISION * high:
        middle = (low + high) / 2
        if count * log(middle) + (trials - count) * log1p(-middle) > least:
            high = middle
        else:
            low = middle
    return low


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
