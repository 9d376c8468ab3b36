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
        How far a line may move the log odds. Values are taken as if they were not limited.

    Returns
    -------
    float array (mixtures,)
        Log loss in nats; or half of the mean squared error over that of the worst mixture, at most one half.
    """
    if isinstance(sums, LogOddsSums):
        return _log_losses(sums, mixtures, lines, max_shift)
    squares = _squared_errors(sums, mixtures @ lines)
    worst = squares.max()
    return squares / (2 * worst) if worst > 0 else np.zeros_like(squares)


def _log_losses(sums: LogOddsSums, mixtures: np.ndarray, lines: Lines, max_shift: float) -> np.ndarray:
    z, outcome, rows = sums.cells()
    x = np.clip(lines[:, :1] + lines[:, 1:] * z, z - max_shift, z + max_shift)
    # The probability that each line gives to what happened.
    likelihood = np.exp(-np.logaddexp(0.0, np.where(outcome, -x, x)))
    found: np.ndarray = -(np.log(mixtures @ likelihood) @ rows) / rows.sum()
    return found


def _squared_errors(sums: ValueSums, lines: Lines) -> np.ndarray:
    """The mean squared error of each line, from moments: its answer differs from the score by ``a + b * score``."""
    a = lines[:, 0] + (lines[:, 1] - 1) * sums.center
    b = lines[:, 1] - 1
    total = (
        sums.error_squares
        - 2 * (a * sums.error + b * sums.product)
        + a * a * sums.rows + 2 * a * b * sums.score + b * b * sums.score_squares
    )  # fmt: skip
    found: np.ndarray = np.maximum(total, 0.0) / sums.rows
    return found
