"""The rule that answers each group's own training mean, and the overall mean to groups that training did not have."""

from __future__ import annotations

import numpy as np

from everloop.evaluation.baselines import Answers, Asked, BaselineRule, Learned, Rows
from everloop.evaluation.group_means import means_by_group


class GroupMean:
    """The mean by group."""

    def fit(self, asked: Asked, rows: Rows, target: np.ndarray) -> Learned:
        """The overall mean, and each group's."""
        return Learned(*means_by_group(target, rows.features[asked.by or ""]))

    def answer(self, asked: Asked, learned: Learned, rows: Rows) -> Answers:
        """Each row's group's mean."""
        groups = rows.features[asked.by or ""]
        means = (learned.groups.get(str(group), learned.value) for group in groups)
        return Answers(np.fromiter(means, dtype=np.float64, count=len(rows)))


RULE: BaselineRule = GroupMean()
