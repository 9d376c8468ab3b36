"""Whether a retraining pays: what waiting one more window is expected to lose, against what a retraining costs.

A *fresh probe* is a cheap model that is trained on all rows labelled before a window and then scored on it. What the
champion loses more than the probe on the same rows is its **regret**: what better trained, newer knowledge would have
saved. Probes of earlier windows are scored on it too. What they lose more than the fresh one says how a model of
this kind ages here and now: the **ageing** by windows since its training.

Two rules ask for a retraining, and each is enough:

- *It pays from now on.* A cycle of ``T`` windows costs the retraining and the regret of ages 0 to ``T - 1``. The best
  ``T`` gives the least cost a window, the **rate**. A champion is kept as long as the regret of its next window lies
  below the rate. That is the marginal rule of replacement; where regret grows in a straight line it asks when
  regret has added up to the cost.
- *It has been paid for.* The champion's own regret since its training has added up to the cost, by more than chance.
  This is renting until the rent has reached the price: alone, and with regret known exactly, it never pays more than
  twice the price before it buys. It needs nothing of the ageing, and so holds where the probes' says little of the
  champion.

Sources: Karlin, Manasse, Rudolph and Sleator 1988 (renting or buying); Žliobaitė, Budka and Stahl 2015 (adaptation as
an investment); Mahadevan and Mathioudakis 2024 (staleness against the cost of retraining).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from everloop.numbers_of import number_of
from everloop.reasons import Reason
from everloop.retraining.exceptions import InvestmentError

HALF_LIFE = 2.0
"""Windows after which an observation of ageing counts half."""

FEWEST_WINDOWS = 3
"""Windows with labels before ageing is believed."""

FUTURE_AGES = 60
"""Ages beyond the oldest one seen, for which ageing goes on as it did on average."""

SURE = 1.0
"""Standard errors that a sum of regrets must lie above the cost."""

DECIDED = 2.0
"""Standard errors by which an older version must lead, and has lost less, before it serves again."""

FEWEST_DAYS = 3
"""Days on which versions are compared."""

HALF_LIFE_DAYS = 3.0
"""Days after which a day counts half where versions are compared: the next window is most like the newest days."""

Rule = Literal["pays_from_now_on", "paid_for", "none"]


@dataclass(frozen=True)
class Ageing:
    """How much a model loses by its age.

    Attributes
    ----------
    regret : float array, shape (ages,)
        Expected over one window by windows since the training, never falling; 0 at age 0.
    windows : int
        Labelled windows it rests on.
    """

    regret: np.ndarray
    windows: int

    @classmethod
    def seen(cls, staleness: np.ndarray, half_life: float = HALF_LIFE) -> Ageing:
        """From what probes of all ages lost more than the fresh one.

        Parameters
        ----------
        staleness : float array, shape (windows, ages)
            Oldest window first; NaN where there was no probe of that age.
        half_life : float
            In windows: the newest count most.
        """
        windows = len(staleness)
        if not windows:
            return cls(np.zeros(1), 0)
        newness = 0.5 ** (np.arange(windows - 1, -1, -1) / half_life)
        there = ~np.isnan(staleness)
        weight = (newness[:, None] * there).sum(0)
        ages = int(np.flatnonzero(weight > 0).max()) + 1 if weight.any() else 1
        total = (newness[:, None] * np.where(there, staleness, 0.0)).sum(0)
        mean = total[:ages] / np.maximum(weight[:ages], np.finfo(float).tiny)
        return cls(never_falling(mean, weight[:ages]), windows)

    def at(self, ages: np.ndarray) -> np.ndarray:
        """The expected regret at these ages; beyond what was seen it grows on, as it did on average."""
        last = len(self.regret) - 1
        growth = self.regret[-1] / last if last else 0.0
        found: np.ndarray = self.regret[np.minimum(ages, last)] + growth * np.maximum(ages - last, 0)
        return found

    def rate(self, cost: float) -> tuple[float, int]:
        """The least cost a window that a cycle of training and ageing can have, and its windows."""
        ages = np.arange(len(self.regret) + FUTURE_AGES)
        average = (np.cumsum(self.at(ages)) + cost) / (ages + 1)
        best = int(np.argmin(average))
        return float(average[best]), best + 1


def never_falling(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The nearest sequence that starts at 0 and never falls (pool adjacent violators, weighted squares)."""
    # The 0 of the first age holds against whatever follows.
    blocks: list[tuple[float, float, int]] = [(0.0, math.inf, 1)]
    for value, weight in zip(values[1:], weights[1:], strict=True):
        block = (float(value), float(weight), 1)
        while blocks and blocks[-1][0] >= block[0]:
            before = blocks.pop()
            mass = before[1] + block[1]
            mean = 0.0 if math.isinf(mass) else (before[0] * before[1] + block[0] * block[1]) / mass if mass else 0.0
            block = (mean, mass, before[2] + block[2])
        blocks.append(block)
    return np.concatenate([np.full(count, value) for value, _, count in blocks])


@dataclass(frozen=True)
class Regret:
    """What the champion lost more than fresh probes since its training, in the unit of the cost.

    Attributes
    ----------
    total : float
        Beside probes that are put level with it in its first window.
    error : float
        The standard error of the total, windows as draws.
    windows : int
    """

    total: float
    error: float
    windows: int

    @classmethod
    def of(cls, champion_less_probe: Sequence[float] | np.ndarray) -> Regret:
        """From the differences window by window, the champion's first window first.

        In that one champion and probe knew the same rows: what they differ by there is how much cheaper the probe is.
        """
        difference = np.asarray(champion_less_probe, dtype=np.float64)
        if len(difference) < 2:
            return cls(0.0, 0.0, len(difference))
        regret = difference[1:] - difference[0]
        # The steps from window to window hold the noise and little of the growth.
        noise = float(np.var(np.diff(difference))) / 2 if len(difference) > 2 else 0.0
        later = len(regret)
        # The first window is in every difference.
        return cls(float(regret.sum()), math.sqrt(noise * (later + later**2)), len(difference))


@dataclass(frozen=True)
class Facts:
    """What the investment is decided on.

    Attributes
    ----------
    age : int
        Windows since the newest version that has served was trained, and so its age in the next one. Where an older
        version serves again, the newest one still says how much has been learned: a training would add to that.
    ageing : Ageing
        From this model's own probes.
    regret : Regret
        Of that version, as served.
    cost : float
        Of a retraining, above 0, in the unit of the regret.
    unit : str
        What sentences call it, e.g. "USD", "log loss of a window".
    """

    age: int
    ageing: Ageing
    regret: Regret
    cost: float
    unit: str = "loss"


@dataclass(frozen=True)
class Investment:
    """Whether a retraining pays, the figures it rests on, and the reasons."""

    retrain: bool
    rule: Rule
    next_regret: float
    rate: float
    best_age: int
    reasons: tuple[Reason, ...]


def invest(facts: Facts) -> Investment:
    """Decide.

    Raises
    ------
    InvestmentError
        When the cost is not above 0.
    """
    if not (facts.cost > 0 and math.isfinite(facts.cost)):
        raise InvestmentError(f"a retraining costs {facts.cost}; declare a cost above 0 (retraining.investment)")
    rate, best_age = facts.ageing.rate(facts.cost)
    coming = float(facts.ageing.at(np.array([facts.age]))[0])
    known = facts.ageing.windows >= FEWEST_WINDOWS and facts.age > 0
    sums = facts.regret
    paid_for = sums.windows > 1 and sums.total - SURE * sums.error >= facts.cost
    rule: Rule = "pays_from_now_on" if known and coming >= rate else "paid_for" if paid_for else "none"
    return Investment(rule != "none", rule, coming, rate, best_age, (_reason(rule, facts, coming, rate, best_age),))


def _reason(rule: Rule, facts: Facts, coming: float, rate: float, best_age: int) -> Reason:
    unit, sums = facts.unit, facts.regret
    if rule == "paid_for":
        sentence = (
            f"Since its training the newest model has lost {sums.total:.3g} (standard error {sums.error:.2g}) more "
            f"than fresh probes, and a retraining costs {facts.cost:.3g} {unit}."
        )
        return Reason("investment_paid_for", sentence)
    if facts.ageing.windows < FEWEST_WINDOWS:
        sentence = f"{number_of(facts.ageing.windows, 'labelled window')} are too few to measure how this model ages."
        return Reason("investment_unknown", sentence)
    figures = (
        f"a model of age {facts.age} is expected to lose {coming:.3g} {unit} in the next window, and training every"
        f" {number_of(best_age, 'window')} costs {rate:.3g} a window in total (ageing measured in"
        f" {number_of(facts.ageing.windows, 'window')}; a retraining costs {facts.cost:.3g})"
    )
    if rule == "pays_from_now_on":
        return Reason("investment_pays", f"A retraining pays from now on: {figures}.")
    return Reason("investment_waits", f"A retraining does not pay yet: {figures}.")


def leads(less_by_day: np.ndarray, half_life: float = HALF_LIFE_DAYS) -> float:
    """How much an older version would have saved over some days, 0 where that may be chance.

    The newest days say most: where conditions come back, they do so on some day and not at the end of a window.

    Parameters
    ----------
    less_by_day : float array, shape (days,)
        What the champion lost more than the older version, by day, oldest first; each day is a draw.
    half_life : float
        In days.
    """
    days = np.asarray(less_by_day, dtype=np.float64)
    if len(days) < FEWEST_DAYS:
        return 0.0
    weight = 0.5 ** (np.arange(len(days) - 1, -1, -1) / half_life)
    weight /= weight.sum()
    mean = float(weight @ days)
    error = math.sqrt(float(weight**2 @ (days - mean) ** 2))
    total = float(days.sum())
    return total if total > 0 and mean > DECIDED * error else 0.0
