"""ADWIN's test for change, on counts by day.

A. Bifet, R. Gavaldà, "Learning from time-changing data with adaptive windowing", SIAM 2007: a stretch of values splits
where the means of an older and a newer part differ by more than chance allows at the level ``delta``. Every border of
days is tried. The paper drops the older part and goes on; here a change ends the model, so the first one is enough.
"""

from __future__ import annotations

import numpy as np


def change_found(errors: np.ndarray, rows: np.ndarray, delta: float) -> bool:
    """Whether the stretch splits.

    Parameters
    ----------
    errors, rows : float array, shape (days,)
        Wrong answers, and all answers, by day.
    """
    count, total = np.cumsum(rows)[:-1].astype(float), float(np.sum(rows))
    inner = (count > 0) & (count < total)
    if not inner.any():
        return False
    wrong, all_wrong = np.cumsum(errors)[:-1][inner], float(np.sum(errors))
    before = count[inner]
    after = total - before
    difference = np.abs(wrong / before - (all_wrong - wrong) / after)
    harmonic = 1 / (1 / before + 1 / after)
    share = all_wrong / total
    level = np.log(2 * np.log(max(total, 3.0)) / delta)
    bound = np.sqrt(2 / harmonic * share * (1 - share) * level) + 2 / (3 * harmonic) * level
    return bool((difference > bound).any())
