"""Learns a calibration window by window, from sums over the labelled rows that the version answered.

    state = start("log_odds", delay=1, limits=Limits(max_shift=8.0))
    state = learn(state, window=15_765, sums=LogOddsSums.of_rows(raw_scores, outcomes))
    state.to_document()                    # what is kept until the next window
    calibration(state)                     # what is served from now on

Every window is learned once, in order; one without labels too (``LogOddsSums.none()``), so that the windows that are
still served by an older calibration are known. Of a window's losses, only what was served on it is judged: the lines as
they were known when its calibration was made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from everloop.recalibration.calibration import SIGNIFICANT_DIGITS, Calibration, Kind, Part, identity
from everloop.recalibration.declared import LONGEST_DELAY
from everloop.recalibration.exceptions import StateFormatError, SumsDifferError, WindowOutOfOrderError
from everloop.recalibration.fit import PRIOR, Posterior, learned
from everloop.recalibration.losses import mean_losses
from everloop.recalibration.mixture import leave_odds_after, leave_weight, shared
from everloop.recalibration.noise import noise_after, noise_of, spread_of
from everloop.recalibration.state import (
    FORECAST_DIGITS,
    HALF_LIVES,
    SHRINKAGES,
    Forecast,
    Limits,
    State,
    rounded,
)
from everloop.recalibration.sums import Lines, Sums, ValueSums

LEAVE_FLOOR = 0.05
"""The least weight of leaving alone: the mixture loses at most ``log(1 / LEAVE_FLOOR)`` more, over any stretch."""

FULL_ROWS = 50
"""Rows from which on a window counts as a whole one; fewer count in proportion."""

RATE, SHARE = 8.0, 0.003
"""How fast lines win from each other, where labels are not late (the rate is shared by delay + 1 windows), and how much
of the weight is dealt out evenly at each window."""

LEAST_WEIGHT = 1e-4
"""A line of less than this is not served."""


def start(
    kind: Kind, delay: int, limits: Limits, *, center: float = 0.0, half_lives: tuple[float, ...] = HALF_LIVES
) -> State:
    """A version of which nothing is learned: its scores are left alone.

    Parameters
    ----------
    kind : {"log_odds", "value"}
        Of a classification or of a regression.
    delay : int
        Whole windows that pass between the newest labelled window and the one its calibration is made for: 0 when
        labels are complete before the next window begins, 1 when they come in its course.
    limits : Limits
        What a calibration may do to a score.
    center : float
        Of a regression: a number near its scores, the same for all sums of the version.
    half_lives : tuple of float
        Of the lines, in labelled windows.

    Raises
    ------
    StateFormatError
        When labels are later than a state can wait for.
    """
    if not 0 <= delay <= LONGEST_DELAY:
        raise StateFormatError(
            f"labels are {delay} windows late, and recalibration waits for 0 to {LONGEST_DELAY}; declare longer"
            " windows, or recalibration: none"
        )
    lines, mixed = len(half_lives), len(half_lives) * len(SHRINKAGES) + 1
    leave = math.log(LEAVE_FLOOR / (1 - LEAVE_FLOOR))
    return State(
        kind=kind,
        delay=delay,
        limits=limits,
        window=None,
        labelled=0,
        rows=0,
        posterior=Posterior.prior(lines),
        weights=rounded(np.full(mixed, 1 / mixed)),
        leave=(_rounded(leave),) * (delay + 1),
        forecasts=(),
        center=float(center),
        half_lives=half_lives,
    )


def learn(state: State, window: int, sums: Sums) -> State:
    """The state after one more window.

    Parameters
    ----------
    window : int
        Its number, above that of every window learned before. Numbers that are left out had no labels.
    sums : Sums
        Over the window's rows that were answered by this version and have a label. Of none: it is only counted.

    Raises
    ------
    WindowOutOfOrderError
        When it is not newer. Learn from the state of the window before it.
    SumsDifferError
        When the sums are of another kind, or counted from another center.
    """
    if state.window is not None and window <= state.window:
        raise WindowOutOfOrderError(
            f"window {window} comes after window {state.window} was learned: learn it from the state before that one"
        )
    _check_kind(state, sums)
    if sums.rows:
        state = _judged(state, window, sums)
        state = _fitted(state, sums)
    return _with_forecast(replace(state, window=window))


def succeed(state: State, delay: int, limits: Limits, tested: Sequence[Sums] = ()) -> State:
    """What a promoted version begins with: the weights of the version before it, and lines of its own where it has any.

    The weights say how fast the stream turns, whoever answers it. Lines of the predecessor are better than none on most
    streams, and those of the version's own test days better still where it is trained seldom
    (benchmarks/recalibration.md). The bound goes on over the promotion.

    Parameters
    ----------
    delay, limits
        As its own declaration has them.
    tested : sequence of Sums
        Of its test windows, oldest first, by scores that did not learn from them: for a refit, those of the
        evaluated model.

    Raises
    ------
    StateFormatError
        As :func:`start`.
    SumsDifferError
        As :func:`learn`.
    """
    if (delay, limits) == (state.delay, state.limits) and not tested:
        return state
    fresh = start(state.kind, delay, limits, center=state.center, half_lives=state.half_lives)
    # With another delay the guards take other turns: each is as careful as the most careful one was.
    leave = state.leave if delay == state.delay else (max(state.leave),) * (delay + 1)
    taken = replace(state, delay=delay, limits=limits, leave=leave, forecasts=())
    for sums in tested:
        _check_kind(fresh, sums)
        fresh = _fitted(fresh, sums) if sums.rows else fresh
    if tested:
        taken = replace(taken, posterior=fresh.posterior, spread=fresh.spread, noise=fresh.noise)
    if taken.window is None:
        return taken
    coming = range(taken.window + 1, taken.window + 2 + delay)
    return replace(taken, forecasts=tuple(_forecast(taken, window) for window in coming))


def calibration(state: State) -> Calibration:
    """What is to be served from now on."""
    if not state.forecasts:
        return identity(state.kind)
    newest = state.forecasts[-1]
    leave = leave_weight(newest.leave)
    weights = (1 - leave) * newest.weights
    weights[-1] += leave
    lines = mixed_lines(newest.lines)
    kept = weights > 0
    shares = weights[kept] / weights[kept].sum()
    parts = tuple(
        Part(weight, level, slope) for weight, (level, slope) in zip(shares.tolist(), lines[kept].tolist(), strict=True)
    )
    return Calibration(state.kind, parts, state.limits.max_shift)


def calibration_for(state: State, window: int) -> Calibration:
    """What a window is served with: the newest calibration that was made for it, or for one before it."""
    made = [forecast for forecast in state.forecasts if forecast.window <= window]
    return calibration(replace(state, forecasts=(made[-1],))) if made else identity(state.kind)


def mixed_lines(lines: Lines) -> Lines:
    """The lines of the mixture: those of every half-life, whole and shrunk, and the one that leaves the score alone."""
    return np.concatenate([PRIOR + shrinkage * (lines - PRIOR) for shrinkage in SHRINKAGES] + [PRIOR[None, :]])


def _check_kind(state: State, sums: Sums) -> None:
    if sums.kind != state.kind:
        raise SumsDifferError(f"a calibration of {state.kind} can't learn from sums of {sums.kind}")
    if isinstance(sums, ValueSums) and sums.center != state.center:
        raise SumsDifferError(f"sums counted from {sums.center}, and the version's from {state.center}: count again")


def _judged(state: State, window: int, sums: Sums) -> State:
    """The weights after the losses of a labelled window."""
    served = [forecast for forecast in state.forecasts if forecast.window <= window]
    if not served:
        return state  # it was answered before anything was learned: by no forecast
    forecast = served[-1]
    lines, full = mixed_lines(forecast.lines), min(1.0, sums.rows / FULL_ROWS)
    each = mean_losses(sums, np.eye(len(lines)), lines, state.limits.max_shift)
    alone = np.zeros(len(lines))
    alone[-1] = 1.0
    leave, adapt = mean_losses(sums, np.stack([alone, forecast.weights]), lines, state.limits.max_shift)
    turn = forecast.window % (state.delay + 1)
    odds = list(state.leave)
    odds[turn] = _rounded(leave_odds_after(odds[turn], float(leave), float(adapt), full, LEAVE_FLOOR))
    rate = full * RATE / (state.delay + 1)
    return replace(state, weights=rounded(shared(state.weights, each, rate, SHARE)), leave=tuple(odds))


def _fitted(state: State, sums: Sums) -> State:
    """The lines after the rows of a labelled window."""
    believed = 1.0
    if isinstance(sums, ValueSums):
        spread = state.spread if state.labelled else _rounded(spread_of(sums))
        noise, believed = noise_after(state.noise, noise_of(sums))
        state = replace(state, spread=spread, noise=_rounded(noise))
    keep = 0.5 ** (1 / np.array(state.half_lives))
    after = learned(state.posterior.faded(keep), sums, state.spread, believed)
    return replace(
        state,
        posterior=Posterior(rounded(after.mean), rounded(after.precision)),
        labelled=state.labelled + 1,
        rows=state.rows + sums.rows,
    )


def _with_forecast(state: State) -> State:
    """Together with what is made for the first window that this one's labels come in time for."""
    assert state.window is not None
    known = [*state.forecasts, _forecast(state, state.window + 1 + state.delay)]
    # The newest that is not after the next window is what the next window is served with.
    first = max((i for i, each in enumerate(known) if each.window <= state.window + 1), default=0)
    return replace(state, forecasts=tuple(known[first:]))


def _forecast(state: State, window: int) -> Forecast:
    small = state.weights < LEAST_WEIGHT
    weights = np.where(small, 0.0, state.weights)
    weights[-1] += 1 - weights.sum()
    lines, leave = rounded(_lines(state), FORECAST_DIGITS), state.leave[window % (state.delay + 1)]
    return Forecast(window, lines, rounded(weights, FORECAST_DIGITS), leave)


def _lines(state: State) -> Lines:
    """Level and slope over the raw score, within the limits."""
    lines = state.posterior.lines(state.limits.least_slope, state.limits.most_slope)
    lines[:, 0] = state.spread * lines[:, 0] + state.center * (1 - lines[:, 1])
    return lines


def _rounded(number: float) -> float:
    return float(f"{number:.{SIGNIFICANT_DIGITS}g}")
