"""The rule that answers the training mean to everyone: the rate of 1, or the mean value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from everloop.evaluation.baseline import Baseline
from everloop.evaluation.baselines import BaselineRule


class Prior:
    """The training mean."""

    def fit(self, target: np.ndarray, groups: Sequence[str] | None) -> tuple[float, dict[str, float]]:
        """The mean."""
        return float(np.mean(target)), {}

    def scores(self, fitted: Baseline, rows: int, groups: Sequence[str] | None) -> np.ndarray:
        """The mean, for every row."""
        return np.full(rows, fitted.value)


RULE: BaselineRule = Prior()
