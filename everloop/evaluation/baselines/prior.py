"""The rule that answers the training mean to everyone: the rate of 1, or the mean value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from everloop.evaluation.baselines import BaselineRule, Learned


class Prior:
    """The training mean."""

    def fit(self, target: np.ndarray, groups: Sequence[str] | None) -> Learned:
        """The mean."""
        return Learned(float(np.mean(target)), {})

    def scores(self, learned: Learned, rows: int, groups: Sequence[str] | None) -> np.ndarray:
        """The mean, for every row."""
        return np.full(rows, learned.value)


RULE: BaselineRule = Prior()
