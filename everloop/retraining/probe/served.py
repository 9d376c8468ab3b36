"""What a probe's scores would have been if it had served: recalibrated every day on the labels known by then."""

from __future__ import annotations

import numpy as np

from everloop.recalibration.beginning import nothing_learned
from everloop.recalibration.calibration import Kind
from everloop.recalibration.daily import serve_days
from everloop.recalibration.declared import LONGEST_DELAY
from everloop.recalibration.state import State


def started(kind: Kind, first_scores: np.ndarray, lag_days: int, max_shift: float) -> State | None:
    """Nothing learned yet; None where labels come later than recalibration waits for, so that scores stay as they are.

    Parameters
    ----------
    first_scores : float array, shape (rows,)
        In the probe's own window: a regression's unit is theirs.
    max_shift : float
        As ``recalibration.max_shift`` declares it: the champion is held to it too.
    """
    return None if lag_days > LONGEST_DELAY else nothing_learned(kind, first_scores, lag_days, max_shift)


def served_scores(
    raw: np.ndarray, target: np.ndarray, day: np.ndarray, *, begin: int, end: int, state: State | None, own: int
) -> tuple[np.ndarray, State | None]:
    """The scores of the days from ``begin`` on and before ``end``, and what was learned by the end.

    Parameters
    ----------
    raw, target : float array, shape (rows,)
        Rows of earlier days are learned from as well.
    day : int array, shape (rows,)
    state : State or None
        As of the day ``begin``; None leaves the scores as they are.
    own : int
        The first day that the probe has not learned from: rows before it say nothing of its calibration.

    Returns
    -------
    float array, shape (rows,)
        NaN outside of these days.
    """
    served = np.full(len(raw), np.nan)
    state = serve_days(state, lambda today: day == today, raw, target, served, begin=begin, end=end, own=own)
    return served, state
