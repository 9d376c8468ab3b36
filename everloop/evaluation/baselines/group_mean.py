"""The rule that answers each group's own training mean, and the overall mean to groups that training did not have.

Of several classes it is each group's share of each class.
"""

from __future__ import annotations

import numpy as np

from everloop.evaluation.baselines import Answers, Asked, BaselineRule, Learned, Rows
from everloop.evaluation.group_means import means_by_group


class GroupMean:
    """The mean by group."""

    def fit(self, asked: Asked, rows: Rows, target: np.ndarray) -> Learned:
        """The overall mean, and each group's; of several classes these of each, by its place."""
        groups = rows.features[asked.by or ""]
        if not asked.classes:
            return Learned(*means_by_group(target, groups))
        shares: dict[str, float] = {}
        by_group: dict[str, float] = {}
        for place in range(asked.classes):
            shares[str(place)], means = means_by_group((target == place).astype(np.float64), groups)
            by_group |= {_name(place, group): mean for group, mean in means.items()}
        return Learned(max(shares.values()), by_group, shares)

    def answer(self, asked: Asked, learned: Learned, rows: Rows) -> Answers:
        """Each row's group's mean, or share of each class."""
        groups = rows.features[asked.by or ""]
        if asked.classes:
            places = range(asked.classes)
            shares = {
                group: [learned.groups.get(_name(k, group), learned.numbers[str(k)]) for k in places]
                for group in {str(group) for group in groups}
            }
            told = [shares[str(group)] for group in groups]
            return Answers(np.array(told, dtype=np.float64).reshape(len(rows), asked.classes))
        means = (learned.groups.get(str(group), learned.value) for group in groups)
        return Answers(np.fromiter(means, dtype=np.float64, count=len(rows)))


def _name(place: int, group: str) -> str:
    """Under which a group's share of the class at a place is kept."""
    return f"{place}:{group}"


RULE: BaselineRule = GroupMean()
