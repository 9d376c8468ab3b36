"""What was or would have been served, window by window: each by what was learned of the windows before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from everloop.recalibration.beginning import sums_of
from everloop.recalibration.calibration import Kind
from everloop.recalibration.grouped_by import GroupBy
from everloop.recalibration.groups import Groups, continued_groups, grouped_calibration_for, learn_groups
from everloop.recalibration.learner import calibration, calibration_for, learn, start, succeed
from everloop.recalibration.noise import spread_of
from everloop.recalibration.state import Limits, State, rounded
from everloop.recalibration.sums import LogOddsSums, Scale, Sums, ValueSums

Rows = slice | np.ndarray
"""Which of some rows: a slice, or a bool array."""


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
        # Rounded as the state keeps it: with another limit a state would make its calibrations again.
        first = float(rounded(np.array(spread_of(sums)))) if sums.rows else 1.0
        unit = before.spread if before is not None and before.labelled else first
    limits = Limits(terms.max_shift * unit)
    if before is None or before.kind != terms.kind:
        return start(terms.kind, terms.delay, limits, center=center)
    return succeed(before, terms.delay, limits)


@dataclass(frozen=True)
class RowsApart:
    """Of rows that are recalibrated by group.

    Attributes
    ----------
    by : GroupBy
    places : int array (rows,)
        The group of each row, as :func:`everloop.recalibration.calibration.group_places` gives it.
    minimum_rows : int
        Labelled rows before a group is served apart.
    before : Groups
        What was learned of them in earlier windows.
    """

    by: GroupBy
    places: np.ndarray
    minimum_rows: int
    before: Groups = field(default_factory=dict)


def served_scores(
    before: State | None,
    terms: Terms,
    windows: np.ndarray,
    scores: np.ndarray,
    outcomes: np.ndarray,
    apart: RowsApart | None = None,
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
    apart : RowsApart, optional
        The rows' groups, where they are recalibrated apart.

    Raises
    ------
    RecalibrationError
        When a score or an outcome is none, a window was learned before, or labels are too late.
    """
    raw = np.asarray(scores, dtype=np.float64)
    served, state = raw.copy(), before if before is not None and before.kind == terms.kind else None
    first = Scale(float(np.median(raw[windows == windows.min()])) if len(raw) and terms.kind == "value" else 0.0)
    groups = apart.before if apart else {}
    for window in np.unique(windows):
        rows = windows == window
        scale = first if state is None else Scale(state.center, state.bin_width)
        counted = _sums(terms.kind, raw[rows], outcomes[rows], scale)
        taught = counted.rows >= terms.minimum_rows
        known = counted if taught else _sums(terms.kind, raw[:0], outcomes[:0], scale)
        state = continued(state, terms, known)
        if apart is None:
            served[rows] = calibration_for(state, int(window)).apply(raw[rows])
        else:
            groups = continued_groups(groups, apart.by, state)
            made = grouped_calibration_for(state, apart.by, groups, int(window), apart.minimum_rows)
            served[rows] = made.apply(raw[rows], apart.places[rows])
            own = {
                name: _sums(terms.kind, raw[chosen], outcomes[chosen], scale)
                for place, name in enumerate(apart.by.names)
                if taught and (chosen := rows & (apart.places == place)).any()
            }
            groups = learn_groups(groups, state, int(window), own)
        state = learn(state, int(window), known)
    return served


def serve_days(
    state: State | None,
    rows_of: Callable[[int], Rows],
    raw: np.ndarray,
    target: np.ndarray,
    served: np.ndarray,
    *,
    begin: int,
    end: int,
    own: int,
) -> State | None:
    """Fill in what is served of the days from ``begin`` on and before ``end``, and return what was learned by the end.

    At the start of each day the newest day is learned whose labels are there by then, if it is not before ``own``.

    Parameters
    ----------
    state : State or None
        As of the day ``begin``; None leaves the scores as they are.
    rows_of : callable
        Which rows are of a day: a slice, or a bool array (rows,).
    raw, target, served : float arrays (rows,)
        ``served`` is written to.
    """
    for today in range(begin, end):
        if state is not None:
            labelled = today - 1 - state.delay
            if labelled >= own and (state.window is None or labelled > state.window):
                known = rows_of(labelled)
                state = learn(state, labelled, sums_of(state, raw[known], target[known]))
        rows = rows_of(today)
        if len(raw[rows]):
            served[rows] = raw[rows] if state is None else calibration(state).apply(raw[rows])
    return state


def _sums(kind: Kind, scores: np.ndarray, outcomes: np.ndarray, scale: Scale) -> Sums:
    if kind == "log_odds":
        return LogOddsSums.of_rows(scores, outcomes)
    return ValueSums.of_rows(scores, outcomes, scale.center, scale.width)
