"""Evidence that one rate is above another by more than is allowed; see :mod:`everloop.statistics.evidence`.

The numerator of a stake is what two guessed rates make of a block's counts, and the denominator what the two nearest
rates do that keep the limit: those with the smallest Kullback-Leibler divergence from the guess. So the stake does not
grow on average under any two rates that keep it, whatever the guess, which may come from all that was seen before
(Turner, Ly and Grünwald; Grünwald, de Heide and Koolen). A bad guess costs power alone.

References
----------
R. Turner, A. Ly, P. Grünwald, Generic E-Variables for Exact Sequential k-Sample Tests that Allow for Optional Stopping,
Journal of Statistical Planning and Inference 230 (2024).
P. Grünwald, R. de Heide, W. Koolen, Safe Testing, Journal of the Royal Statistical Society B 86 (2024).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from math import log, log1p

from everloop.statistics.binomial import exact_lower_bound
from everloop.statistics.evidence import NO_GROWTH, ODDS, Growth, more_often

_GUESSED, _AS_OF = 0.5, 100
"""What the rate of the other group is taken for before any of it was seen: so many of so many."""

_STEPS = 40
_PRECISION = 1e-7

Block = tuple[int, int, int, int]
"""Successes and trials of the one group, and of the other."""


def added(blocks: Iterable[Block], allowed: float) -> Iterator[Growth]:
    """Each block's growth where the one group's rate is above the other's by ``allowed`` at most.

    Both rates may change from block to block. The blocks come in the order of time: the guess at a block is from those
    before it. Where nothing more is allowed, :func:`everloop.statistics.evidence.more_often` needs no guess.
    """
    seen, trials_seen = _GUESSED, float(_AS_OF)
    for count, trials, other_count, other_trials in blocks:
        if allowed <= 0:
            yield more_often(count, trials, other_count, other_trials)
            continue
        yield _growth((count, trials, other_count, other_trials), allowed, seen / trials_seen)
        seen, trials_seen = seen + other_count, trials_seen + other_trials


def is_above_by(block: Block, allowed: float, probability: float) -> bool:
    """Whether the one rate is above the other by more than ``allowed``, in one look at a fixed number of trials.

    Where it is not, that is found with no more than this probability: each exact bound (Clopper and Pearson) may fail
    with half of it.
    """
    count, trials, other_count, other_trials = block
    if not trials or not other_trials or probability <= 0:
        return False
    lowest = exact_lower_bound(count, trials, 1 - probability / 2)
    highest = 1 - exact_lower_bound(other_trials - other_count, other_trials, 1 - probability / 2)
    return lowest - highest > allowed


def _growth(block: Block, allowed: float, guess: float) -> Growth:
    _, trials, _, other_trials = block
    limit = guess + allowed
    if not trials or not other_trials or limit >= 1:
        return NO_GROWTH
    return tuple(_bet(block, allowed, guess, limit * odds / (1 + limit * (odds - 1))) for odds in ODDS)


def _bet(block: Block, allowed: float, guess: float, rate: float) -> float:
    """The growth of the bet on ``rate`` beside the guess."""
    count, trials, other_count, other_trials = block
    other_null = _nearest(rate, guess, trials, other_trials, allowed)
    null = other_null + allowed
    # What is staked on a success here, and against one there, for one trial each. The whole stakes of both are equal,
    # and so the bet is fair for whatever keeps the limit, however exactly the nearest rates were found.
    stake = (rate - null) / (null * (1 - null))
    other_stake = stake * trials / other_trials
    left = 1 - (1 - other_null) * other_stake
    if stake <= 0 or left <= 0:
        return 0.0
    here = count * log1p((1 - null) * stake) + (trials - count) * log1p(-null * stake)
    there = other_count * log(left) + (other_trials - other_count) * log1p(other_null * other_stake)
    return here + there


@lru_cache(maxsize=4096)
def _nearest(rate: float, other: float, trials: int, other_trials: int, allowed: float) -> float:
    """The other group's rate of the two nearest that are ``allowed`` apart; the slope of the divergence is 0 there.

    It is kept: each look at a rollout asks of the same trials for every measure, and for what it could tell at most.
    """
    low, high = other, rate - allowed
    at = (other * other_trials + high * trials) / (trials + other_trials)
    for _ in range(_STEPS):
        above = at + allowed
        spread, other_spread = above * (1 - above), at * (1 - at)
        pull, other_pull = (above - rate) / spread, (at - other) / other_spread
        slope = trials * pull + other_trials * other_pull
        low, high = (at, high) if slope < 0 else (low, at)
        # Newton's step; where it leaves what is known to hold the solution, half of that.
        steep = (
            trials * (1 - pull * (1 - 2 * above)) / spread
            + other_trials * (1 - other_pull * (1 - 2 * at)) / other_spread
        )
        after = at - slope / steep if steep > 0 else low
        after = after if low < after < high else (low + high) / 2
        if abs(after - at) <= _PRECISION * at:
            return after
        at = after
    return at
