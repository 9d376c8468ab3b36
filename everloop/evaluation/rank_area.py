"""The area under the ROC curve, and how far each row pulls it."""

from __future__ import annotations

import numpy as np


def roc_auc(labels: np.ndarray, scores: np.ndarray) -> tuple[float, np.ndarray]:
    """The area of labels 0 and 1 and scores [rows], and the influences [rows]; NaN with rows of one class alone."""
    positive = labels == 1
    ones, zeros = int(positive.sum()), int((~positive).sum())
    if not ones or not zeros:
        return float("nan"), np.full(len(labels), np.nan)
    share = np.empty(len(labels))
    share[positive] = _share_below(np.sort(scores[~positive]), scores[positive])
    share[~positive] = 1 - _share_below(np.sort(scores[positive]), scores[~positive])
    value = float(share[positive].mean())
    weight = np.where(positive, len(labels) / ones, len(labels) / zeros)
    return value, weight * (share - value)


def _share_below(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The share of ``ordered`` below each value, ties counting half."""
    below = np.searchsorted(ordered, values, side="left")
    up_to = np.searchsorted(ordered, values, side="right")
    return (below + up_to) / (2 * len(ordered))
