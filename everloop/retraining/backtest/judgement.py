"""Which policy a history speaks for: chosen on its first part, reported on the part that was held back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from everloop.retraining.backtest.walk import Walk
from everloop.statistics.student_t import t_quantile

HELD_BACK = 1 / 3
"""Of all windows, the newest ones."""

CONFIDENCE = 0.95
FEWEST_WINDOWS = 3
"""Windows without which a difference has no interval."""


@dataclass(frozen=True)
class Part:
    """What a walk cost in some windows.

    Attributes
    ----------
    loss, cost : float
        What callers lost, and that with the retrainings.
    retrainings : int
    """

    loss: float
    retrainings: int
    cost: float


@dataclass(frozen=True)
class Difference:
    """What one policy cost less than another, a window: the mean with its interval, windows as draws."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Judgement:
    """What a history says.

    Attributes
    ----------
    chosen : str
        The policy that cost least in the first part.
    first_held_back : int
        The window from which on nothing was chosen.
    before, after : dict of str to Part
        By policy, in the two parts.
    against : dict of str to Difference
        What the chosen policy cost less than each other one in the part that was held back.
    """

    chosen: str
    first_held_back: int
    before: dict[str, Part]
    after: dict[str, Part]
    against: dict[str, Difference]


def judge(walks: Sequence[Walk], cost: float, choosable: Sequence[str] | None = None) -> Judgement:
    """Choose on the first part, and report on the rest.

    Parameters
    ----------
    walks : sequence of Walk
        All of one history.
    cost : float
        Of a retraining.
    choosable : sequence of str, optional
        Names of the policies that may be chosen; all, when it is not given.
    """
    windows = len(walks[0].loss)
    first = windows - max(1, math.floor(windows * HELD_BACK))
    before = {w.policy: _part(w, 0, first, cost) for w in walks}
    after = {w.policy: _part(w, first, windows, cost) for w in walks}
    names = [w.policy for w in walks if choosable is None or w.policy in choosable]
    chosen = min(names, key=lambda name: before[name].cost)
    by_window = {w.policy: _by_window(w, cost)[first:] for w in walks}
    against = {name: _difference(by_window[name] - by_window[chosen]) for name in by_window if name != chosen}
    return Judgement(chosen, first, before, after, against)


def _by_window(found: Walk, cost: float) -> np.ndarray:
    total = np.array(found.loss, dtype=np.float64)
    for window in found.retrained:
        total[window] += cost
    return total


def _part(found: Walk, first: int, last: int, cost: float) -> Part:
    retrainings = sum(first <= window < last for window in found.retrained)
    loss = float(found.loss[first:last].sum())
    return Part(loss, retrainings, loss + cost * retrainings)


def _difference(less: np.ndarray) -> Difference:
    mean = float(less.mean())
    if len(less) < FEWEST_WINDOWS:
        return Difference(mean, None, None)
    error = float(less.std(ddof=1)) / math.sqrt(len(less))
    half = t_quantile((1 + CONFIDENCE) / 2, len(less) - 1) * error
    return Difference(mean, mean - half, mean + half)
