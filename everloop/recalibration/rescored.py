"""A window's sums by what a calibration makes of the raw scores: what a group's own lines learn from.

The bins stay those of the raw scores, so nothing more has to be counted; in each, the calibration is one line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import overload

import numpy as np

from everloop.recalibration.calibration import LARGEST_LOG_ODDS, Calibration, Part
from everloop.recalibration.exceptions import SumsDifferError
from everloop.recalibration.grouped_by import OTHERS
from everloop.recalibration.sums import LogOddsSums, Sums, ValueSums


@dataclass(frozen=True, eq=False)
class RescoredLogOdds(LogOddsSums):
    """Rows by the log odds that a calibration made of theirs.

    Attributes
    ----------
    raw : float array (2, BINS)
        The sum of the raw log odds of each bin's rows.
    """

    raw: np.ndarray

    def raw_cells(self) -> np.ndarray:
        """See :meth:`LogOddsSums.raw_cells`."""
        used = self.counts > 0
        found: np.ndarray = self.raw[used] / self.counts[used]
        return found


@dataclass(frozen=True, eq=False)
class RescoredValues(ValueSums):
    """Rows by the values that a calibration made of theirs.

    Attributes
    ----------
    raw : float array (2, BINS)
        Level and slope of the raw score over the calibrated one in each bin, both counted from the center.
    """

    raw: np.ndarray

    def raw_cells(self) -> np.ndarray:
        """See :meth:`ValueSums.raw_cells`."""
        found: np.ndarray = self.raw[:, self.moments[0] > 0]
        return found


@overload
def rescored(sums: LogOddsSums, calibration: Calibration, place: int = ...) -> RescoredLogOdds: ...
@overload
def rescored(sums: ValueSums, calibration: Calibration, place: int = ...) -> RescoredValues: ...
def rescored(sums: Sums, calibration: Calibration, place: int = OTHERS) -> RescoredLogOdds | RescoredValues:
    """The sums of the same rows by what the calibration serves to the group at ``place``, or to the rows in none.

    Of log odds, taken at the mean of each bin. Of values exact, but in the bins where the limit of a line begins.

    Raises
    ------
    SumsDifferError
        When the two are not of one kind.
    """
    if calibration.kind != sums.kind:
        raise SumsDifferError(f"a calibration of {calibration.kind} can't be applied to sums of {sums.kind}")
    if isinstance(sums, LogOddsSums):
        return _log_odds(sums, calibration, place)
    found = _moved(sums, calibration.parts, calibration.max_shift)
    own = calibration.groups[place] if 0 <= place < len(calibration.groups) else None
    return found if own is None else _moved(found, own, calibration.max_shift)


def _log_odds(sums: LogOddsSums, calibration: Calibration, place: int) -> RescoredLogOdds:
    used = sums.counts > 0
    mean = np.clip(sums.log_odds[used] / sums.counts[used], -LARGEST_LOG_ODDS, LARGEST_LOG_ODDS)
    served = calibration.apply(1 / (1 + np.exp(-mean)), np.full(mean.shape, place))
    moved = np.zeros_like(sums.log_odds)
    moved[used] = (np.log(served) - np.log1p(-served)) * sums.counts[used]
    return RescoredLogOdds(sums.counts, moved, sums.log_odds)


def _moved(sums: ValueSums, parts: tuple[Part, ...], most: float) -> RescoredValues:
    """After one more mixture of lines; no line leaves the limit around the raw score."""
    n, x, xx, e, ee, xe = sums.moments
    raw_level, raw_slope = sums.raw if isinstance(sums, RescoredValues) else (np.zeros_like(n), np.ones_like(n))
    level, slope = np.zeros_like(n), np.zeros_like(n)
    mean = np.divide(x, n, out=np.zeros_like(x), where=n > 0)
    for part in parts:
        a, b = part.level + (part.slope - 1) * sums.center, part.slope - 1
        moved = a + b * mean + (mean - (raw_level + raw_slope * mean))
        free = np.abs(moved) <= most
        level += part.weight * np.where(free, a, np.sign(moved) * most + raw_level)
        slope += part.weight * np.where(free, b, raw_slope - 1)
    stretch = 1 + slope
    squares = ee - 2 * (level * e + slope * xe) + level**2 * n + 2 * level * slope * x + slope**2 * xx
    moments = np.stack(
        [
            n,
            stretch * x + level * n,
            stretch**2 * xx + 2 * stretch * level * x + level**2 * n,
            e - level * n - slope * x,
            np.maximum(squares, 0.0),
            stretch * (xe - level * x - slope * xx) + level * (e - level * n - slope * x),
        ]
    )
    raw = np.stack([raw_level - raw_slope * level / stretch, raw_slope / stretch])
    return RescoredValues(sums.center, sums.width, moments, raw)
