"""The rule that answers the training mean to everyone: the rate of 1, or the mean value."""

from __future__ import annotations

import numpy as np

from everloop.evaluation.baselines import Answers, Asked, BaselineRule, Learned, Rows


class Prior:
    """The training mean."""

    def fit(self, asked: Asked, rows: Rows, target: np.ndarray) -> Learned:
        """The mean."""
        return Learned(float(np.mean(target)))

    def answer(self, asked: Asked, learned: Learned, rows: Rows) -> Answers:
        """The mean, for every row."""
        return Answers(np.full(len(rows), learned.value))


RULE: BaselineRule = Prior()
