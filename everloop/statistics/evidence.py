"""Evidence that one rate is above another, counted while trials come in: it holds however often one looks.

Somebody bets against chance, begins with a stake of 1, and may stop at any time. Each bet is fair: while the rate is
no higher than it may be, the stake does not grow on average. So by Ville's inequality it ever reaches ``1 / alpha``
with a probability of ``alpha`` at most, at all looks together, and a stake of 400 is evidence of 400 to 1. Such a stake
is a test martingale, or e-process; what it was at its best may be acted on at any later look.

The stake is divided over how much higher the rate may be (:data:`ODDS`), as in Robbins' mixture and the mixture
sequential probability ratio test, and over when that began: half bets from the first block on, and half is kept for
beginnings later, of which each has less. So a fault that begins after a day without one is found about as soon as one
that was there from the start, and an end need not be known.

References
----------
J. Ville, Étude critique de la notion de collectif (1939).
H. Robbins, Statistical Methods Related to the Law of the Iterated Logarithm, Annals of Mathematical Statistics 41
(1970).
S. R. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, Time-Uniform, Nonparametric, Nonasymptotic Confidence Sequences,
Annals of Statistics 49 (2021).
R. Turner, A. Ly, P. Grünwald, Generic E-Variables for Exact Sequential k-Sample Tests that Allow for Optional Stopping,
Journal of Statistical Planning and Inference 230 (2024).
J. Shin, A. Ramdas, A. Rinaldo, E-detectors: A Nonparametric Framework for Sequential Change Detection, New England
Journal of Statistics in Data Science (2024).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, inf, log, log1p

ODDS = (1.2, 1.5, 2.0, 3.0, 5.0, 8.0, 16.0, 50.0, 200.0, 10_000.0)
"""How many times the odds may be what they should be; each is bet on."""

_WEIGHTS = (0.03, 0.05, 0.1, 0.12, 0.14, 0.14, 0.12, 0.1, 0.05, 0.15)
"""How much of the stake is bet on each. Most is where few trials must be enough, and on a rate near 1."""

_AT_ONCE = 0.5
"""How much of the stake bets from the first block on."""

_LATER = 2.109742801
"""The sum of ``1 / (n log(n)^2)`` over all ``n`` from 2, in whose proportion later beginnings have the rest."""


Growth = tuple[float, ...]
"""The logarithm of what a stake is multiplied by in one block of trials, for each way to bet; of rates by
:data:`ODDS`."""

NO_GROWTH: Growth = (0.0,) * len(ODDS)


@dataclass(frozen=True)
class Evidence:
    """What a bet brought at its best.

    Attributes
    ----------
    log_stake : float
        The logarithm of the stake.
    begin, end : int
        The blocks that speak loudest, ``end`` excluded. Both are 0 where nothing speaks against chance.
    """

    log_stake: float
    begin: int
    end: int

    def is_enough(self, probability: float) -> bool:
        """Whether chance alone gives so much evidence, ever, with no more than this probability."""
        return self.log_stake >= -log(probability)

    @property
    def to_one(self) -> float:
        """How many to one, at most 10^12."""
        return exp(min(self.log_stake, 12 * log(10)))


def above(count: int, trials: int, limit: float) -> Growth:
    """A block's growth where each trial succeeds with probability ``limit`` at most, whatever came before it.

    Where ``limit`` is 0, one success is all the evidence there can be.
    """
    if not trials or limit >= 1:
        return NO_GROWTH
    if limit <= 0:
        return (inf,) * len(ODDS) if count else NO_GROWTH
    return tuple(count * log(odds) - trials * log1p(limit * (odds - 1)) for odds in ODDS)


def more_often(count: int, trials: int, other_count: int, other_trials: int) -> Growth:
    """A block's growth where chance alone divides the successes over two groups of trials.

    It holds given the successes of both and the sizes of the groups, so the rate may be anything and change from block
    to block. The number in the first group is hypergeometric then. Neither group's binomial distribution is less
    dispersed (W. Hoeffding, Probability Inequalities for Sums of Bounded Random Variables, Journal of the American
    Statistical Association 58, 1963, theorem 4), so the stake does not grow on average.
    """
    both, total = count + other_count, trials + other_trials
    if not both or not trials or not other_trials:
        return NO_GROWTH
    ours, rate = trials / total, both / total
    return tuple(
        count * log(odds) - min(both * log1p(ours * (odds - 1)), trials * log1p(rate * (odds - 1))) for odds in ODDS
    )


def gathered(growths: Iterable[Growth], weights: Sequence[float] = _WEIGHTS) -> Evidence:
    """The evidence of blocks in the order of time.

    Parameters
    ----------
    weights : sequence of float
        How much of the stake is bet in each way; they sum to 1.
    """
    stakes = [-inf] * len(weights)
    paths = [(-inf, 0)] * len(weights)
    negligible = log(len(weights) + 1)  # a sum of so many is not larger than this above its largest
    kept, best = 1.0, Evidence(0.0, 0, 0)
    for index, growth in enumerate(growths):
        begins = _AT_ONCE if index == 0 else (1 - _AT_ONCE) / (_LATER * (index + 1) * log(index + 1) ** 2)
        kept -= begins
        for place, grown in enumerate(growth):
            begun = log(begins * weights[place])
            stakes[place] = _log_sum(stakes[place], begun) + grown
            along, since = paths[place]
            paths[place] = (along + grown, since) if along > begun else (begun + grown, index)
        top = max(stakes)
        if top == inf:
            return Evidence(inf, index, index + 1)
        if top <= best.log_stake - negligible:
            continue
        whole = log(sum(exp(stake - top) for stake in stakes) + max(kept, 0.0) * exp(-top)) + top
        if whole > best.log_stake:
            best = Evidence(whole, max(paths)[1], index + 1)
    return best


def _log_sum(first: float, second: float) -> float:
    high, low = (first, second) if first > second else (second, first)
    return high + log1p(exp(low - high))
