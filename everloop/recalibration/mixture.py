"""Weights of a mixture, by the losses of what is mixed.

Two floors of them. Below, lines share their weights so that whichever fits now leads (fixed share: Herbster and
Warmuth 1998). Above, what they make together is compared with leaving the scores alone by Bayes' rule at rate 1, whose
weight of leaving alone is raised whenever it falls below a floor. Only Bayes' rule ever lowers it, and then by what
leaving alone lost more than the mixture. So over any stretch of windows the mixture loses at most ``log(1 / floor)``
more than leaving alone (docs/recalibration.md has the proof).

Where a loss is convex but not mixable, Prod takes the place of Bayes' rule above (Cesa-Bianchi, Mansour and Stoltz
2007; with one expert whose weight stays: Sani, Neu and Lazaric 2014).
"""

from __future__ import annotations

import math

import numpy as np

LARGEST_ODDS = 700.0
"""Of log odds: beyond this, their exponential is not a number."""


def shared(weights: np.ndarray, losses: np.ndarray, rate: float, share: float) -> np.ndarray:
    """Weights after a window's losses: each by ``exp(-rate * loss)``, then ``share`` of all is dealt out evenly.

    Parameters
    ----------
    weights, losses : float arrays (lines,)
    rate : float
        How fast the better ones win.
    share : float
        From 0 to 1: what a line never falls below, times their number, so that it can come back.
    """
    with np.errstate(divide="ignore"):
        score = np.log(weights) - rate * losses
    won = np.exp(score - score.max())
    found: np.ndarray = (1 - share) * won / won.sum() + share / len(won)
    return found


def leave_odds_after(log_odds: float, leave: float, adapt: float, rate: float, floor: float) -> float:
    """The log odds of leaving alone, after a window on which it lost ``leave`` and adapting ``adapt``.

    ``rate`` is 1 for a full window and less for one of few rows; ``floor`` the least weight of leaving alone.
    """
    found = log_odds + rate * (adapt - leave)
    return min(max(found, math.log(floor / (1 - floor))), LARGEST_ODDS)


def leave_odds_by_prod(log_odds: float, leave: float, adapt: float, rate: float, floor: float) -> float:
    """As :func:`leave_odds_after`, of a loss that is convex and no more, from 0 to one half.

    The weight of adapting grows by ``1 + rate * (leave - adapt)``, that of leaving alone not at all.
    """
    found = log_odds - math.log1p(rate * (leave - adapt))
    return min(max(found, math.log(floor / (1 - floor))), LARGEST_ODDS)


def leave_weight(log_odds: float) -> float:
    """The weight of leaving alone that these log odds are."""
    return 1 / (1 + math.exp(-log_odds))
