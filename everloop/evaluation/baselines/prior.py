"""The rule that answers the training mean to everyone: the rate of 1, of each class, or the mean value."""

from __future__ import annotations

import numpy as np

from everloop.evaluation.baselines import Answers, Asked, BaselineRule, Learned, Rows


class Prior:
    """The training mean."""

    def fit(self, asked: Asked, rows: Rows, target: np.ndarray) -> Learned:
        """The mean; of several classes the share of each."""
        if asked.classes:
            shares = np.bincount(target.astype(np.int64), minlength=asked.classes) / len(target)
            return Learned(float(shares.max()), numbers={str(place): float(s) for place, s in enumerate(shares)})
        return Learned(float(np.mean(target)))

    def answer(self, asked: Asked, learned: Learned, rows: Rows) -> Answers:
        """The mean, for every row."""
        if asked.classes:
            shares = [learned.numbers[str(place)] for place in range(asked.classes)]
            return Answers(np.tile(np.asarray(shares, dtype=np.float64), (len(rows), 1)))
        return Answers(np.full(len(rows), learned.value))


RULE: BaselineRule = Prior()
