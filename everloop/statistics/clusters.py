"""The standard error of a mean over rows that come in days: pure Python, since monitors and gates share it.

Rows of a day may depend on each other in any way; days are independent. With equal days this is the usual robust error
with days less one degrees of freedom. Where a few days have most rows, that would be too sure: such days pull the mean
towards themselves, and the others hardly count. So each day is left out in turn (the jackknife, "CR3"), and the degrees
of freedom are those of a chi-square variable with the mean and variance that the squared error has when what days
differ by is alike in all (Satterthwaite; Bell and McCaffrey).

References
----------
R. M. Bell, D. F. McCaffrey, "Bias reduction in standard errors for linear regression with multi-stage samples",
Survey Methodology 28 (2002).
J. G. MacKinnon, M. O. Nielsen, M. D. Webb, "Fast and reliable jackknife and bootstrap methods for cluster-robust
inference", Journal of Applied Econometrics 38 (2023).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_ROUNDING = 1e-6


def error_of_mean(deviations: Sequence[float], rows: Sequence[int]) -> tuple[float, int]:
    """The standard error of a mean over all rows, and its degrees of freedom.

    Parameters
    ----------
    deviations : sequence of float
        By day, the sum over its rows of the value less the mean over all rows.
    rows : sequence of int
        By day, more than none.

    Returns
    -------
    tuple of float and int
        NaN and 0 for fewer than two days. The degrees of freedom are rounded down, to 1 at least.
    """
    groups, total = len(rows), sum(rows)
    if groups < 2:
        return math.nan, 0
    squares = math.fsum(part**2 / (total - n) for part, n in zip(deviations, rows, strict=True))
    return math.sqrt(squares / total), _freedom(rows, total)


def _freedom(rows: Sequence[int], total: int) -> int:
    """Of the quadratic form that the squared error is in the days' means: its trace squared over that of its square."""
    weights = [n / total for n in rows]
    pulls = [(n / total) * n / (total - n) for n in rows]
    whole, square = math.fsum(pulls), math.fsum(w * w for w in weights)
    mixed = math.fsum(p * w for p, w in zip(pulls, weights, strict=True))
    trace = whole - 2 * mixed + whole * square
    of_square = (
        math.fsum(p * p * (1 - 4 * w) + 2 * whole * p * w * w for p, w in zip(pulls, weights, strict=True))
        + 2 * math.fsum(p * p for p in pulls) * square
        + 2 * mixed**2
        + (whole * square) ** 2
        - 4 * whole * mixed * square
    )
    return max(1, int(trace**2 / of_square + _ROUNDING))
