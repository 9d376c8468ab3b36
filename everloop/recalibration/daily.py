"""What was or would have been served, window by window: each by what was learned of the windows before it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from everloop.recalibration.calibration import Calibration, Kind, identity
from everloop.recalibration.learner import calibration, learn, start, succeed
from everloop.recalibration.noise import spread_of
from everloop.recalibration.state import Limits, State, rounded
from everloop.recalibration.sums import LogOddsSums, Scale, Sums, ValueSums


@dataclass(frozen=True)
class Terms:
    """Under which scores are recalibrated.

    Attributes
    ----------
    kind : {"log_odds", "value"}
        Of a classification or of a regression.
    delay : int
        Whole windows between the newest labelled one and the one its calibration is made for.
    max_shift : float
        As declared: in log odds, or in standard deviations of a regression's scores.
    minimum_rows : int
        A window of fewer labelled rows teaches nothing.
    """

    kind: Kind
    delay: int
    max_shift: float
    minimum_rows: int = 1


def continued(before: State | None, terms: Terms, sums: Sums) -> State:
    """What was known before a window, under the terms of today; ``sums`` are the window's, for the unit of values.

    Raises
    ------
    StateFormatError
        When labels are later than a state can wait for.
    """
    unit, center = 1.0, 0.0
    if isinstance(sums, ValueSums):
        center = sums.center
        # Rounded as the state keeps it: with another limit a state would make its calibrations anew.
        first = float(rounded(np.array(spread_of(sums)))) if sums.rows else 1.0
        unit = before.spread if before is not None and before.labelled else first
    limits = Limits(terms.max_shift * unit)
    if before is None or before.kind != terms.kind:
        return start(terms.kind, terms.delay, limits, center=center)
    return succeed(before, terms.delay, limits)


def calibration_for(state: State, window: int) -> Calibration:
    """What a window is served with: the newest calibration that was made for it, or for one before it."""
    made = [forecast for forecast in state.forecasts if forecast.window <= window]
    return calibration(replace(state, forecasts=(made[-1],))) if made else identity(state.kind)


def served_scores(
    before: State | None, terms: Terms, windows: np.ndarray, scores: np.ndarray, outcomes: np.ndarray
) -> np.ndarray:
    """The scores as they would have been served, had a model answered the rows from ``before`` on.

    Each window is served with what was learned of windows whose labels were there when it began. Its own outcomes are
    learned from afterwards. So no score depends on an outcome of its own window, or of a later one.

    Parameters
    ----------
    before : State or None
        What was learned of earlier windows; None where nothing was.
    windows : int array (rows,)
        The number of each row's window, above that of every window learned before.
    scores, outcomes : float arrays (rows,)
        What the model says of each row, and what came of it.

    Raises
    ------
    RecalibrationError
        When a score or an outcome is none, a window was learned before, or labels are too late.
    """
    raw = np.asarray(scores, dtype=np.float64)
    served, state = raw.copy(), before if before is not None and before.kind == terms.kind else None
    first = Scale(float(np.median(raw[windows == windows.min()])) if len(raw) and terms.kind == "value" else 0.0)
    for window in np.unique(windows):
        rows = windows == window
        scale = first if state is None else Scale(state.center, state.bin_width)
        counted = _sums(terms.kind, raw[rows], outcomes[rows], scale)
        known = counted if counted.rows >= terms.minimum_rows else _sums(terms.kind, raw[:0], outcomes[:0], scale)
        state = continued(state, terms, known)
        served[rows] = calibration_for(state, int(window)).apply(raw[rows])
        state = learn(state, int(window), known)
    return served


def _sums(kind: Kind, scores: np.ndarray, outcomes: np.ndarray, scale: Scale) -> Sums:
    if kind == "log_odds":
        return LogOddsSums.of_rows(scores, outcomes)
    return ValueSums.of_rows(scores, outcomes, scale.center, scale.width)
