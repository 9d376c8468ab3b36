"""How a model's recalibration begins where nothing was learned of it, and what it then learns from rows."""

from __future__ import annotations

import numpy as np

from everloop.recalibration.calibration import Kind
from everloop.recalibration.learner import start
from everloop.recalibration.state import Limits, State
from everloop.recalibration.sums import LogOddsSums, Sums, ValueSums


def nothing_learned(kind: Kind, first_scores: np.ndarray, delay: int, max_shift: float) -> State:
    """The state before the first labelled window.

    Parameters
    ----------
    first_scores : float array, shape (rows,)
        Raw, of the first window that is served: a regression's unit is theirs.
    delay : int
        Of labels, in windows.
    max_shift : float
        The most that a score is moved: in log odds, or in standard deviations of a regression's first scores. As
        ``recalibration.max_shift`` declares it.
    """
    if kind == "log_odds":
        return start(kind, delay, Limits(max_shift))
    spread, center = (float(first_scores.std()), float(first_scores.mean())) if len(first_scores) else (0.0, 0.0)
    return start(kind, delay, Limits(max_shift * spread or 1.0), center=center)


def sums_of(state: State, scores: np.ndarray, outcomes: np.ndarray) -> Sums:
    """What a window's rows say, in the unit of the state; float arrays of shape (rows,), also of no rows."""
    if state.kind == "log_odds":
        return LogOddsSums.of_rows(scores, outcomes) if len(scores) else LogOddsSums.none()
    return ValueSums.of_rows(scores, outcomes, state.center, state.bin_width)
