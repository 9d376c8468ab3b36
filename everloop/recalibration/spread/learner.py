"""Learns, window by window, how much wider or narrower a version's intervals should be than at their birth.

Each candidate is a pair of factors, below and above: the quantiles of distances that fade with a half-life of its own,
whole and half-way, and the pair (1, 1) that leaves the widths alone. They are mixed as level and slope are, on the same
two floors (:mod:`everloop.recalibration.mixture`), by their interval scores. That loss is not mixable, but convex: so
the guard is not Bayes' rule but Prod with one expert whose weight never falls (Sani, Neu and Lazaric 2014). Its regret
against that expert has the same constant bound (docs/recalibration.md has the proof).

    state = start(0.9, delay=1)
    state = learn(state, window=15_765, sums=sums, interval=interval)
    below, above = factors(state)

Source of scaled quantiles of past errors that are followed online: Gibbs and Candès (2021); of mixing several speeds of
it: Zaffran et al. (2022), Gibbs and Candès (2024).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from everloop.recalibration.declared import LONGEST_DELAY
from everloop.recalibration.exceptions import StateFormatError, WindowOutOfOrderError
from everloop.recalibration.fit import MOST_ROWS
from everloop.recalibration.interval import Interval
from everloop.recalibration.learner import FULL_ROWS, LEAST_WEIGHT, LEAVE_FLOOR, SHARE
from everloop.recalibration.mixture import leave_odds_by_prod, leave_weight, shared
from everloop.recalibration.spread.state import CANDIDATES, HALF_LIVES, TAIL_DIGITS, SpreadForecast, SpreadState
from everloop.recalibration.spread.sums import BINS, EDGES, STEP, STEPS, SpreadSums
from everloop.recalibration.state import FORECAST_DIGITS, SHRINKAGES, rounded
from everloop.recalibration.written import LARGEST_FACTOR, UNSPREAD

PRIOR_ROWS = 15.0
"""Rows that agree with the birth, beside all that was seen: with fewer than so many a quantile is mostly luck."""

RATE = 16.0
"""How fast candidates win from each other, where labels are not late. Twice that of level and slope: the largest loss,
which is the unit, is seldom that far from the others."""

_KEEP = 0.5 ** (1 / np.array(HALF_LIVES))


def start(coverage: float, delay: int) -> SpreadState:
    """A version of which nothing is learned: its intervals are left alone.

    Parameters
    ----------
    delay : int
        Whole windows between the newest labelled one and the one that factors are made for.

    Raises
    ------
    StateFormatError
        When labels are later than a state can wait for.
    """
    if not 0 <= delay <= LONGEST_DELAY:
        raise StateFormatError(f"labels are {delay} windows late, and recalibration waits for 0 to {LONGEST_DELAY}")
    return SpreadState(
        coverage=coverage,
        delay=delay,
        window=None,
        labelled=0,
        rows=0,
        tails=np.zeros((len(HALF_LIVES), 2, BINS)),
        weights=rounded(np.full(CANDIDATES, 1 / CANDIDATES)),
        leave=(_rounded(math.log(LEAVE_FLOOR / (1 - LEAVE_FLOOR))),) * (delay + 1),
        forecasts=(),
    )


def learn(state: SpreadState, window: int, sums: SpreadSums, interval: Interval) -> SpreadState:
    """The state after one more window.

    Parameters
    ----------
    window : int
        Its number, above that of every window learned before.
    sums : SpreadSums
        Over the window's labelled rows that this version answered. Of none: it is only counted.
    interval : Interval
        Of the version's birth: the unit of the sums.

    Raises
    ------
    WindowOutOfOrderError
        When it is not newer.
    """
    if state.window is not None and window <= state.window:
        raise WindowOutOfOrderError(
            f"window {window} comes after window {state.window} was learned: learn it from the state before that one"
        )
    if sums.rows:
        state = _judged(state, window, sums, interval)
        faded = _KEEP[:, None, None] * state.tails + min(1.0, MOST_ROWS / sums.rows) * sums.counts
        state = replace(
            state,
            tails=rounded(faded, TAIL_DIGITS),
            labelled=state.labelled + 1,
            rows=state.rows + sums.rows,
        )
    return _with_forecast(replace(state, window=window))


def continued(before: SpreadState | None, coverage: float, delay: int, *, same_version: bool) -> SpreadState:
    """What was known before a window, under the terms of today.

    Another version has an interval of its own birth, which newer test days taught it: distances from that one are no
    distances from this one. But the weights say how fast the stream's spread turns, whoever answers it, and the guard
    is as careful as it was, so the bound goes on.

    Raises
    ------
    StateFormatError
        As :func:`start`.
    """
    fresh = start(coverage, delay)
    if before is None or before.coverage != coverage:
        return fresh
    if same_version and before.delay == delay:
        return before
    leave = before.leave if before.delay == delay else (max(before.leave),) * (delay + 1)
    if not same_version:
        return replace(fresh, window=before.window, weights=before.weights, leave=leave)
    taken = replace(before, delay=delay, leave=leave, forecasts=())
    if taken.window is None:
        return taken
    coming = range(taken.window + 1, taken.window + 2 + delay)
    return replace(taken, forecasts=tuple(_forecast(taken, window) for window in coming))


def factors(state: SpreadState) -> tuple[float, float]:
    """By how much the sides are to be wider from now on than at their birth, below and above."""
    if not state.forecasts:
        return UNSPREAD
    below, above = _mixed(state.forecasts[-1])
    return below, above


def factors_for(state: SpreadState, window: int) -> tuple[float, float]:
    """Those that a window is served with: the newest that were made for it, or for one before it."""
    made = [forecast for forecast in state.forecasts if forecast.window <= window]
    return factors(replace(state, forecasts=tuple(made[-1:])))


def adapted_for(state: SpreadState, window: int) -> tuple[float, float]:
    """What a window would be served with if widths were never left alone: the other side of the guard, whose loss is in
    the unit of the bound.
    """
    made = [forecast for forecast in state.forecasts if forecast.window <= window]
    if not made:
        return UNSPREAD
    below, above = _adapted(made[-1])
    return float(below), float(above)


def candidates(found: np.ndarray) -> np.ndarray:
    """The pairs that are mixed, float array (CANDIDATES, 2): every half-life's, whole and shrunk, and (1, 1)."""
    return np.concatenate([found**shrinkage for shrinkage in SHRINKAGES] + [np.ones((1, 2))])


def _adapted(forecast: SpreadForecast) -> np.ndarray:
    # Rounded weights do not sum to 1 exactly.
    found: np.ndarray = forecast.weights @ candidates(forecast.factors) / forecast.weights.sum()
    return found


def _mixed(forecast: SpreadForecast) -> tuple[float, float]:
    leave = leave_weight(forecast.leave)
    found = rounded(np.clip((1 - leave) * _adapted(forecast) + leave, 1 / LARGEST_FACTOR, LARGEST_FACTOR))
    return float(found[0]), float(found[1])


def _judged(state: SpreadState, window: int, sums: SpreadSums, interval: Interval) -> SpreadState:
    """The weights after the losses of a labelled window."""
    served = [forecast for forecast in state.forecasts if forecast.window <= window]
    if not served:
        return state  # it was answered before anything was learned
    forecast = served[-1]
    pairs, full = candidates(forecast.factors), min(1.0, sums.rows / FULL_ROWS)
    each = sums.mean_losses(interval, pairs)
    leave, adapt = sums.mean_losses(interval, np.stack([np.ones(2), _adapted(forecast)]))
    unit = 2 * max(leave, adapt)
    turn = forecast.window % (state.delay + 1)
    odds = list(state.leave)
    odds[turn] = _rounded(leave_odds_by_prod(odds[turn], leave / unit, adapt / unit, full, LEAVE_FLOOR))
    rate = full * RATE / (state.delay + 1)
    weights = shared(state.weights, each / (2 * each.max()), rate, SHARE)
    return replace(state, weights=rounded(weights), leave=tuple(odds))


def _with_forecast(state: SpreadState) -> SpreadState:
    assert state.window is not None
    known = [*state.forecasts, _forecast(state, state.window + 1 + state.delay)]
    first = max((i for i, each in enumerate(known) if each.window <= state.window + 1), default=0)
    return replace(state, forecasts=tuple(known[first:]))


def _forecast(state: SpreadState, window: int) -> SpreadForecast:
    weights = np.where(state.weights < LEAST_WEIGHT, 0.0, state.weights)
    weights[-1] += 1 - weights.sum()
    # Where nothing was seen, the prior's quantile is 1 but for its last digits.
    quantiles = _quantiles(state.tails, state.coverage) if state.tails.any() else np.ones((len(HALF_LIVES), 2))
    found = rounded(quantiles, FORECAST_DIGITS)
    return SpreadForecast(window, found, rounded(weights, FORECAST_DIGITS), state.leave[window % (state.delay + 1)])


def _quantiles(tails: np.ndarray, coverage: float) -> np.ndarray:
    """The distance beyond which lies the share that belongs there: float array (half-lives, 2)."""
    tail = (1 - coverage) / 2
    counts = tails + PRIOR_ROWS * _prior(tail)
    beyond = counts[:, :, ::-1].cumsum(axis=2)[:, :, ::-1][:, :, 1:]
    wanted = tail * counts.sum(axis=(1, 2))
    found = np.empty(beyond.shape[:2])
    for line, side in np.ndindex(found.shape):
        # Few rows lie far out, so what lies beyond an edge falls with the edge.
        known = beyond[line, side]
        place = int((known > wanted[line]).sum())
        if place == 0:
            found[line, side] = EDGES[0]
        elif place == len(EDGES):
            found[line, side] = EDGES[-1]
        else:
            part = (known[place - 1] - wanted[line]) / (known[place - 1] - known[place])
            found[line, side] = math.exp(STEP * (place - 1 - STEPS + part))
    return np.clip(found, 1 / LARGEST_FACTOR, LARGEST_FACTOR)


def _prior(tail: float) -> np.ndarray:
    """A row as at birth: half of it on each side, beyond the bound what belongs there, falling off exponentially."""
    beyond = np.concatenate([[0.5], 0.5 * (2 * tail) ** EDGES, [0.0]])
    return np.tile(-np.diff(beyond), (2, 1))


def _rounded(number: float) -> float:
    return float(rounded(np.array(number)))
