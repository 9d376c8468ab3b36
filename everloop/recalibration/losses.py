"""What straight lines, and mixtures of them, would have lost on a window, in units in which losses can be mixed.

Log loss is mixable at rate 1, and so is its mean over a window (Vovk 1998; for the mean by Hölder's inequality).
Squared error is so as well when it is divided by twice the mean squared error of the worst line: then ``exp(-loss)`` is
concave in the weights (Cesa-Bianchi and Lugosi 2006, section 3.3). That unit is the window's own, so a window with wild
outcomes counts as one like any other.
"""

from __future__ import annotations

import numpy as np

from everloop.recalibration.sums import Lines, LogOddsSums, Sums, ValueSums


def mean_losses(sums: Sums, mixtures: np.ndarray, lines: Lines, max_shift: float) -> np.ndarray:
    """The mean loss of each mixture over the rows: log loss, or squared error in units of its largest.

    Parameters
    ----------
    sums : Sums
        Of at least one row.
    mixtures : float array (mixtures, lines)
        The weights of each, which sum to 1; the rows of an identity matrix are the lines themselves.
    lines : float array (lines, 2)
        Level and slope over the raw score.
    max_shift : float
        How far a line may move the log odds, or the value.

    Returns
    -------
    float array (mixtures,)
        Log loss in nats; or half of the mean squared error over that of the worst mixture, at most one half.
    """
    if isinstance(sums, LogOddsSums):
        return _log_losses(sums, mixtures, lines, max_shift)
    squares = squared_errors(sums, mixtures, lines, max_shift) / sums.rows
    worst = squares.max()
    return squares / (2 * worst) if worst > 0 else np.zeros_like(squares)


def _log_losses(sums: LogOddsSums, mixtures: np.ndarray, lines: Lines, max_shift: float) -> np.ndarray:
    z, outcome, rows = sums.cells()
    raw = sums.raw_cells()
    x = np.clip(lines[:, :1] + lines[:, 1:] * z, raw - max_shift, raw + max_shift)
    # The probability that each line gives to what happened.
    likelihood = np.exp(-np.logaddexp(0.0, np.where(outcome, -x, x)))
    found: np.ndarray = -(np.log(mixtures @ likelihood) @ rows) / rows.sum()
    return found


def squared_errors(sums: ValueSums, mixtures: np.ndarray, lines: Lines, max_shift: float) -> np.ndarray:
    """The squared errors of each mixture, summed over the rows; arguments as of :func:`mean_losses`.

    A line moves the score by ``a + b * score``, or to the limit around the raw score in the bins whose mean it moves
    further. So does a mixture in each bin, and what its rows then err follows from their moments.
    """
    rows, score, score_squares, error, error_squares, product = sums.cells()
    raw_level, raw_slope = sums.raw_cells()
    a, b = lines[:, :1] + (lines[:, 1:] - 1) * sums.center, lines[:, 1:] - 1
    mean = score / rows
    moved = a + b * mean + (mean - (raw_level + raw_slope * mean))
    free = np.abs(moved) <= max_shift
    level = mixtures @ np.where(free, a, np.sign(moved) * max_shift + raw_level)
    slope = mixtures @ np.where(free, b, raw_slope - 1)
    each = (
        error_squares
        - 2 * (level * error + slope * product)
        + level * level * rows + 2 * level * slope * score + slope * slope * score_squares
    )  # fmt: skip
    found: np.ndarray = np.maximum(each.sum(1), 0.0)
    return found
