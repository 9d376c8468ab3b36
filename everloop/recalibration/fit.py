"""Fits straight lines that forget: each window's rows count half as much after so many labelled windows.

What a line has learned is a normal distribution over (level, slope), the posterior. When a window's labels arrive, its
precision fades towards the prior's (level 0, slope 1) and the window's rows are added by Newton's method. So no old
window is kept, a window with one class or few rows moves little, and a line that hears nothing returns to the prior.

Sources: Platt (1999) for level and slope of the log odds, Cox (1958) for reading them; the forgetting is that of the
power prior (Ibrahim and Chen 2000), the normal approximation Laplace's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from everloop.recalibration.sums import Lines, LogOddsSums, Sums, ValueSums

PRIOR = np.array([0.0, 1.0])
"""Level and slope of a line that has learned nothing."""

_ONE = np.eye(2)

PRIOR_ROWS = 5.0
"""Rows that the prior of a line counts as: few, because whether to believe a line is decided by what it then loses."""

MOST_ROWS = 200
"""Rows that a window counts as at most: those of one window have its weather in common, and repeat each other."""

NEWTON_STEPS = 25
HALVINGS = 30
CONVERGED = 1e-9
ROUNDING = 1e-13
"""How much larger, relatively, a loss may come out that is the same: a step is not halved for the last digits."""


@dataclass(frozen=True, eq=False)
class Posterior:
    """What lines have learned, one a row.

    Attributes
    ----------
    mean : float array (lines, 2)
        Level and slope. For values: in units of ``spread``, over scores counted from the center in the same unit.
    precision : float array (lines, 2, 2)
        In rows: that of the prior is ``PRIOR_ROWS`` that agree with it.
    """

    mean: np.ndarray
    precision: np.ndarray

    @classmethod
    def prior(cls, lines: int) -> Posterior:
        """Lines that have learned nothing."""
        return cls(np.tile(PRIOR, (lines, 1)), np.tile(np.eye(2) * PRIOR_ROWS, (lines, 1, 1)))

    def faded(self, keep: np.ndarray) -> Posterior:
        """Of which ``keep`` (float array (lines,), 0 to 1) is left, and the rest is prior again."""
        known = keep[:, None, None] * self.precision
        new = (1 - keep[:, None]) * PRIOR_ROWS
        precision = known + new[:, :, None] * _ONE
        return Posterior(_solved(precision, _times(known, self.mean) + new * PRIOR), precision)

    def lines(self, least_slope: float, most_slope: float) -> Lines:
        """Level and slope of each; where the slope would leave its limits, the level that fits best at the limit."""
        slope = np.clip(self.mean[:, 1], least_slope, most_slope)
        follows = self.precision[:, 0, 1] / self.precision[:, 0, 0]
        return _pairs(self.mean[:, 0] - follows * (slope - self.mean[:, 1]), slope)


def learned(before: Posterior, sums: Sums, spread: float, share: float) -> Posterior:
    """The posterior after a window's rows.

    Parameters
    ----------
    spread : float
        The unit of values; 1 of log odds.
    share : float
        What is believed of the window, from 0 to 1, beside that its rows count as at most ``MOST_ROWS``.
    """
    if not sums.rows:
        return before
    each = share * min(1.0, MOST_ROWS / sums.rows)
    return _least_squares(before, sums, spread, each) if isinstance(sums, ValueSums) else _newton(before, sums, each)


def _least_squares(before: Posterior, sums: ValueSums, spread: float, each: float) -> Posterior:
    x, xx = sums.score / spread, sums.score_squares / spread**2
    gram = each * np.array([[sums.rows, x], [x, xx]])
    # The outcome is score + error, both in units of the spread.
    target = each * np.array([x + sums.error / spread, xx + sums.product / spread**2])
    precision = before.precision + gram
    return Posterior(_solved(precision, _times(before.precision, before.mean) + target), precision)


def _newton(before: Posterior, sums: LogOddsSums, each: float) -> Posterior:
    """Minimise the window's log loss plus the distance from what was known, for all lines at once."""
    z, outcome, rows = sums.cells()
    rows = each * rows
    now = before.mean
    probability, loss = _sigmoid(_at(now, z)), _penalised(before, now, z, outcome, rows)
    for _ in range(NEWTON_STEPS):
        wrong = (probability - outcome) * rows
        gradient = _pairs(_sum(wrong), _sum(wrong * z)) + _times(before.precision, now - before.mean)
        step = _solved(_precision(before, probability, z, rows), gradient)
        length = np.ones((len(now), 1))
        for _ in range(HALVINGS):
            then = now - length * step
            loss_then = _penalised(before, then, z, outcome, rows)
            worse = loss_then > loss * (1 + ROUNDING)
            if not worse.any():
                break
            length[worse] /= 2
        now = np.where(worse[:, None], now, then)
        loss, probability = np.minimum(loss, loss_then), _sigmoid(_at(now, z))
        if np.abs(step).max() < CONVERGED:
            break
    return Posterior(now, _precision(before, probability, z, rows))


def _penalised(before: Posterior, mean: np.ndarray, z: np.ndarray, outcome: np.ndarray, rows: np.ndarray) -> np.ndarray:
    away = mean - before.mean
    known = 0.5 * _sum(away * _times(before.precision, away))
    x = np.where(outcome, -1.0, 1.0) * _at(mean, z)
    found: np.ndarray = _sum(np.logaddexp(0.0, x) * rows) + known
    return found


def _precision(before: Posterior, probability: np.ndarray, z: np.ndarray, rows: np.ndarray) -> np.ndarray:
    weight = probability * (1 - probability) * rows
    tilted = weight * z
    first = _sum(tilted)
    found = before.precision.copy()
    found[:, 0, 0] += _sum(weight)
    found[:, 0, 1] += first
    found[:, 1, 0] += first
    found[:, 1, 1] += _sum(tilted * z)
    return found


# A window has few cells, so what counts is how many operations there are, and what each costs to call.


def _sum(each: np.ndarray) -> np.ndarray:
    """Along the second axis."""
    found: np.ndarray = np.add.reduce(each, axis=1)
    return found


def _pairs(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Both as columns."""
    found = np.empty((len(first), 2))
    found[:, 0], found[:, 1] = first, second
    return found


def _times(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Each 2x2 matrix times its vector; written out, so that no library's order of summing decides the last digit."""
    found: np.ndarray = matrices[:, :, 0] * vectors[:, :1] + matrices[:, :, 1] * vectors[:, 1:]
    return found


def _solved(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """What each symmetric positive definite 2x2 matrix maps to its vector."""
    a, b, d = matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 1, 1]
    follows = b / a
    second = (vectors[:, 1] - follows * vectors[:, 0]) / (d - follows * b)
    return _pairs((vectors[:, 0] - b * second) / a, second)


def _at(lines: Lines, z: np.ndarray) -> np.ndarray:
    found: np.ndarray = lines[:, :1] + lines[:, 1:] * z
    return found


def _sigmoid(x: np.ndarray) -> np.ndarray:
    # exp(-(log(1 + exp(-x)))): no overflow on either side.
    found: np.ndarray = np.exp(-np.logaddexp(0.0, -x))
    return found
