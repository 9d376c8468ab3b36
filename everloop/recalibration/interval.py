"""A prediction interval at its birth: how far outcomes lay below and above what a model said, on rows it never saw.

The contract, the declaration and the request path import this: it needs no numpy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from everloop.recalibration.exceptions import IntervalFormatError
from everloop.shown import shown

LEAST_COVERAGE, MOST_COVERAGE = 0.5, 0.99

LARGEST_WIDTH = 1e100
"""Beyond this, sums of widths would not be finite."""


@dataclass(frozen=True)
class Interval:
    """An answer ``s`` lies between ``s - below`` and ``s + above``.

    Attributes
    ----------
    coverage : float
        The share of outcomes that is meant to lie inside, from 0.5 to 0.99; half of the others lies on each side.
    below, above : float
        Widths in the value's unit, above 0: no interval leaves its own answer out.

    Raises
    ------
    IntervalFormatError
        When a number is none that it may have.
    """

    coverage: float
    below: float
    above: float

    def __post_init__(self) -> None:
        if not _is_number(self.coverage) or not LEAST_COVERAGE <= self.coverage <= MOST_COVERAGE:
            raise IntervalFormatError(
                f"the coverage of an interval is {shown(self.coverage)}, not from {LEAST_COVERAGE} to {MOST_COVERAGE}"
            )
        for name in ("below", "above"):
            width = getattr(self, name)
            if not _is_number(width) or not 0 < width <= LARGEST_WIDTH:
                raise IntervalFormatError(
                    f"the width {name} an answer is {shown(width)}, not a number above 0 within {LARGEST_WIDTH:g}"
                )

    @property
    def tail(self) -> float:
        """The share of outcomes that is meant to lie on each side of it."""
        return (1 - self.coverage) / 2


def rows_needed(coverage: float) -> int:
    """The fewest rows by which a side of an interval of this coverage can be told from rows not learned from.

    With fewer, the quantile that covers a coming row lies beyond the largest residual there is (split conformal
    prediction: Vovk, Gammerman and Shafer 2005; Lei et al. 2018).
    """
    # Less what rounding adds to a quotient that is whole.
    return math.ceil(2 / (1 - coverage) - 1 - 1e-9)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
