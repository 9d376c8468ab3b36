"""How much of the false-alarm probability one look at a rollout may use.

Each step has an equal part of it, and so has the bake (Bonferroni). A step is looked at once its time is over, and
again and again while too few requests have come. Half of a step's part is for the look that decides whether the rollout
goes on, and half for all looks before it together, however many they become. Without that a good version that waits for
traffic would be rolled back the more often, the longer it waits.
"""

from __future__ import annotations

from dataclasses import dataclass

from everloop.statistics.binomial import exact_lower_bound
from everloop.statistics.confidence_sequence import lower_bound_at_any_time

WAITING_PART = 0.5
"""Of a step's part, what the looks while it waits for traffic have together."""


@dataclass(frozen=True)
class Look:
    """One look.

    Attributes
    ----------
    part : float
        What its step or bake has of a rollout's false-alarm probability.
    number : int
        Which of the looks it is that wait for traffic, from 1; 0 is the one that decides.
    may_wait : bool
        Whether there may be looks that wait, so that the deciding one has less.
    """

    part: float
    number: int = 0
    may_wait: bool = False

    def share(self, false_alarm_rate: float) -> float:
        """The probability of a false alarm that a test in this look alone may use.

        The looks that wait use it up by ``1 / (n (n + 1))``, which adds up to 1.
        """
        whole = self.part * false_alarm_rate
        if self.number:
            return whole * WAITING_PART / (self.number * (self.number + 1))
        return whole * (1 - WAITING_PART) if self.may_wait else whole

    def lower_bound(self, count: int, trials: int, false_alarm_rate: float) -> tuple[float, float]:
        """What a rate is at least, and with which confidence.

        Exact where the look decides, and valid at all looks at once where it waits.
        """
        if self.number:
            confidence = 1 - self.part * false_alarm_rate * WAITING_PART
            return lower_bound_at_any_time(count, trials, confidence), confidence
        confidence = 1 - self.share(false_alarm_rate)
        return exact_lower_bound(count, trials, confidence), confidence
