"""The rule that answers each group's own training mean, and the overall mean to groups that training did not have.

A group's answer is the mean over its rows and one more row at the overall mean. Without that row a group of three
on-time flights would answer 0 with certainty, its log loss would be infinite, and any model would beat the baseline.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from everloop.evaluation.baselines import BaselineRule, Learned


class GroupMean:
    """The mean by group."""

    def fit(self, target: np.ndarray, groups: Sequence[str] | None) -> Learned:
        """The overall mean, and each group's."""
        mean = float(np.mean(target))
        names, index = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
        counts = np.bincount(index)
        sums = np.bincount(index, weights=np.asarray(target, dtype=np.float64))
        means = (sums + mean) / (counts + 1)
        return Learned(mean, dict(zip(names.tolist(), means.tolist(), strict=True)))

    def scores(self, learned: Learned, rows: int, groups: Sequence[str] | None) -> np.ndarray:
        """Each row's group's mean."""
        return np.array([learned.groups.get(group, learned.value) for group in groups or ()], dtype=np.float64)


RULE: BaselineRule = GroupMean()
