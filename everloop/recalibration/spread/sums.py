"""What the spread's recalibration keeps of a window's labelled rows: sums that add up, whoever counts them.

An outcome's distance from its answer is counted in widths of the interval's birth on its side: 1 is at the bound, 2
twice as far out. Counts over bins of that distance, of each side, say what any factor on the widths would have covered
and lost. A loss is taken at the mean distance of each bin: where a bound lies within a bin, it is off by less than a
tenth of the distance, for the rows of this one bin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TypedDict

import numpy as np

from everloop.recalibration.exceptions import SumsFormatError
from everloop.recalibration.interval import Interval
from everloop.recalibration.sums import LARGEST_SUM, REMEDY
from everloop.recalibration.written import LARGEST_FACTOR
from everloop.shown import shown
from everloop.typed_json import read_as

STEPS = 20
"""Bins from a factor of 1 to the largest; as many from the least one to 1."""

STEP = math.log(LARGEST_FACTOR) / STEPS
"""Of the logarithm of a distance: a bin's far end is a ninth further out than its near one."""

BINS = 2 * STEPS + 2
"""The first holds all that is nearer than the least factor, the last all that is further than the largest."""

EDGES = np.exp(STEP * np.arange(-STEPS, STEPS + 1))
"""Distances between bins, in widths at birth."""

SIDES = ("below", "above")


class AnsweredDocument(TypedDict):
    """See :class:`Answered`."""

    inside: int
    width: float
    outside: float


class SpreadSumsDocument(TypedDict):
    """Each bin that has rows: ``[side, bin, rows, sum of distances]``, where side 0 is below the answer."""

    bins: list[list[float]]
    served: AnsweredDocument
    raw: AnsweredDocument


@dataclass(frozen=True)
class Answered:
    """How intervals did that were answered, or would have been.

    Attributes
    ----------
    inside : int
        Outcomes inside.
    width, outside : float
        Summed over the rows: the interval's width, and how far the outcome lies outside, in the value's unit.
    """

    inside: int = 0
    width: float = 0.0
    outside: float = 0.0

    def __add__(self, other: Answered) -> Answered:
        """Of the rows of both."""
        return Answered(self.inside + other.inside, self.width + other.width, self.outside + other.outside)

    def score(self, tail: float) -> float:
        """The interval score, summed (Gneiting and Raftery 2007); ``tail`` is the share meant to lie on each side."""
        return self.width + self.outside / tail


@dataclass(frozen=True, eq=False)
class SpreadSums:
    """Labelled rows that were answered with an interval.

    Attributes
    ----------
    counts, distances : float arrays (2, BINS)
        Rows below and above their answer by distance, and the sum of the distances.
    served : Answered
        By the bounds that were answered.
    raw : Answered
        By the interval of the birth around what the model said.
    """

    counts: np.ndarray
    distances: np.ndarray
    served: Answered = field(default_factory=Answered)
    raw: Answered = field(default_factory=Answered)

    @property
    def rows(self) -> int:
        """How many rows they are of."""
        return int(self.counts.sum())

    @classmethod
    def none(cls) -> SpreadSums:
        """Of no rows."""
        return cls(np.zeros((2, BINS)), np.zeros((2, BINS)))

    @classmethod
    def of_rows(
        cls,
        interval: Interval,
        outcomes: np.ndarray,
        served: np.ndarray,
        raw: np.ndarray,
        low: np.ndarray,
        high: np.ndarray,
    ) -> SpreadSums:
        """Count rows: float arrays (rows,) of finite numbers; ``low`` and ``high`` are the answered bounds."""
        error = outcomes - served
        side = (error >= 0).astype(int)
        distance = np.abs(error) / np.where(side == 1, interval.above, interval.below)
        cell = side * BINS + np.searchsorted(EDGES, distance, side="right")
        counts = np.bincount(cell, minlength=2 * BINS).astype(float).reshape(2, BINS)
        distances = np.bincount(cell, distance, minlength=2 * BINS).reshape(2, BINS)
        plain = _answered(outcomes, raw - interval.below, raw + interval.above)
        return cls(counts, distances, _answered(outcomes, low, high), plain)

    def __add__(self, other: SpreadSums) -> SpreadSums:
        """Of the rows of both, which have one interval."""
        return SpreadSums(
            self.counts + other.counts,
            self.distances + other.distances,
            self.served + other.served,
            self.raw + other.raw,
        )

    def to_document(self) -> SpreadSumsDocument:
        """As JSON."""
        bins = [
            [int(side), int(place), int(self.counts[side, place]), float(self.distances[side, place])]
            for side, place in zip(*np.nonzero(self.counts), strict=True)
        ]
        return {"bins": bins, "served": _document(self.served), "raw": _document(self.raw)}

    @classmethod
    def from_document(cls, document: object) -> SpreadSums:
        """Read from JSON.

        Raises
        ------
        SumsFormatError
            Naming what is wrong.
        """
        found = read_as(SpreadSumsDocument, document, "sums of a window's intervals", REMEDY, refusal=SumsFormatError)
        sums = cls.none()
        for index, row in enumerate(found["bins"]):
            if len(row) != 4 or row[0] not in (0, 1) or row[1] not in range(BINS):
                raise SumsFormatError(f"bins[{index}] is {shown(row)}, not [side, bin, rows, distances]: {REMEDY}")
            side, place = int(row[0]), int(row[1])
            if not (1 <= row[2] <= LARGEST_SUM and row[2] == math.floor(row[2]) and 0 <= row[3] <= LARGEST_SUM):
                raise SumsFormatError(f"bins[{index}] is {shown(row)}, which no rows sum to: {REMEDY}")
            if sums.counts[side, place]:
                raise SumsFormatError(f"bins[{index}] repeats a bin: each must occur once")
            sums.counts[side, place], sums.distances[side, place] = row[2:]
        return replace(sums, served=_read(found["served"], sums.rows), raw=_read(found["raw"], sums.rows))

    def mean_losses(self, interval: Interval, factors: np.ndarray) -> np.ndarray:
        """The mean interval score of each pair of factors on the widths.

        It is convex in the factors, so a mean of pairs loses at most the mean of their losses.

        Parameters
        ----------
        factors : float array (pairs, 2)
            Below and above.

        Returns
        -------
        float array (pairs,)
            In the value's unit.
        """
        widths: np.ndarray = np.array([interval.below, interval.above])
        loss: np.ndarray = factors @ widths
        for side in (0, 1):
            used = self.counts[side] > 0
            mean = self.distances[side, used] / self.counts[side, used]
            beyond = np.maximum(mean - factors[:, side, None], 0.0) @ self.counts[side, used]
            loss = loss + widths[side] * beyond / (interval.tail * self.rows)
        return loss


def _answered(outcomes: np.ndarray, low: np.ndarray, high: np.ndarray) -> Answered:
    outside = np.maximum(low - outcomes, 0.0) + np.maximum(outcomes - high, 0.0)
    inside = (low <= outcomes) & (outcomes <= high)
    return Answered(int(inside.sum()), float((high - low).sum()), float(outside.sum()))


def _document(answered: Answered) -> AnsweredDocument:
    return {"inside": answered.inside, "width": answered.width, "outside": answered.outside}


def _read(document: AnsweredDocument, rows: int) -> Answered:
    found = Answered(**document)
    if not (0 <= found.inside <= rows and 0 <= found.width <= LARGEST_SUM and 0 <= found.outside <= LARGEST_SUM):
        raise SumsFormatError(f"{shown(document)} is of no {rows} rows: {REMEDY}")
    return found
