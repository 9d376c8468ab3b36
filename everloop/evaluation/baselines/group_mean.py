"""The rule that answers each group's own training mean, and the overall mean to groups that training did not have.

A group's answer is the mean over its rows and one more row at the overall mean. Without that row a group of three
on-time flights would answer 0 with certainty, its log loss would be infinite, and any model would beat the baseline.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from everloop.evaluation.baseline import Baseline
from everloop.evaluation.baselines import BaselineRule
from everloop.evaluation.exceptions import EvaluationError


class GroupMean:
    """The mean by group."""

    def fit(self, target: np.ndarray, groups: Sequence[str] | None) -> tuple[float, dict[str, float]]:
        """The overall mean, and each group's."""
        mean = float(np.mean(target))
        names, index = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
        counts = np.bincount(index)
        sums = np.bincount(index, weights=np.asarray(target, dtype=np.float64))
        means = (sums + mean) / (counts + 1)
        return mean, dict(zip(names.tolist(), means.tolist(), strict=True))

    def scores(self, fitted: Baseline, rows: int, groups: Sequence[str] | None) -> np.ndarray:
        """Each row's group's mean."""
        if groups is None or len(groups) != rows:
            raise EvaluationError(f"the baseline needs the feature {fitted.by!r} of each row")
        return np.array([fitted.groups.get(group, fitted.value) for group in groups], dtype=np.float64)


RULE: BaselineRule = GroupMean()
