"""How far days naturally are from each other: what a shift of some days must be more than.

Without numpy, because the monitor computes it too, of the scores that it has counted itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from operator import add, mul, sub

from everloop.monitoring.divergence import smallest_share
from everloop.monitoring.profile import BinCounts
from everloop.monitoring.reference import Natural

FEWEST_SPANS = 5
"""A span is judged only where the reference holds this many side by side: fewer say too little of their spread."""

Cells = Sequence[float]
"""Counts, as floats: they hold whole numbers up to 2^53 exactly, and Python multiplies and divides them faster."""


def natural_variation(daily: Sequence[BinCounts], longest: int, *, days_each: int = 1) -> tuple[Natural, ...]:
    """How far spans of up to ``longest`` days are from the other days.

    Parameters
    ----------
    daily : sequence of BinCounts
        The days of the reference in order; with ``days_each``, counts of so many days each. Those without rows are
        left out.
    longest : int
        In days.
    """
    cells = [tuple(map(float, d.cells)) for d in daily if d.rows]
    units = len(cells)
    if units < FEWEST_SPANS:
        return ()
    floor = smallest_share(units * days_each)
    cumulative: list[Cells] = list(accumulate(cells, _added, initial=(0.0,) * len(cells[0])))
    spans = range(1, min(longest // days_each, units // FEWEST_SPANS) + 1)
    distances = [_distances(cumulative, span, floor) for span in spans]
    if not distances:
        return ()
    freedom = max(1.0, min(_directions(cells, floor), _freedom_by_moments(distances[0])))
    return tuple(
        Natural(span * days_each, math.fsum(apart) / len(apart), freedom, units / span)
        for span, apart in zip(spans, distances, strict=True)
    )


def _distances(cumulative: Sequence[Cells], span: int, floor: float) -> list[float]:
    """How far each span of so many units is from all the others; of ``cumulative`` the last are all of them."""
    whole, all_rows = cumulative[-1], sum(cumulative[-1])
    parts = [tuple(map(sub, end, begin)) for begin, end in zip(cumulative, cumulative[span:], strict=False)]
    return [_from_the_rest(part, whole, all_rows, floor) for part in parts]


def _from_the_rest(part: Cells, whole: Cells, all_rows: float, floor: float) -> float:
    """:func:`~everloop.monitoring.divergence.distance` of a part from the rest of the whole.

    A reference takes hundreds of them, so nothing is divided on the way: with n of N rows in the part, and b of B in a
    bin of it, ``b / n - (B - b) / (N - n)`` is ``(b N - B n) / (n (N - n))``.
    """
    rows = sum(part)
    others = all_rows - rows
    least = floor * others
    terms = [
        (apart := b * all_rows - every * rows) * apart / (rest if (rest := every - b) > least else least)
        for b, every in zip(part, whole, strict=True)
    ]
    return math.fsum(terms) / (rows * rows * others)


def _added(left: Cells, right: Cells) -> tuple[float, ...]:
    return tuple(map(add, left, right))


def _directions(cells: Sequence[Cells], floor: float) -> float:
    """Along how many directions days differ, in effect: tr(A)^2 / tr(A^2) of the days' weighted covariance A.

    A sum of squares of so many equally strong directions has the mean and variance that the distance of a day has
    (Satterthwaite). The plain estimate of tr(A^2) is too large by what few days have in common by chance.
    """
    days = len(cells)
    rows = [sum(day) for day in cells]
    bins = [_scaled(bin_, rows, floor) for bin_ in zip(*cells, strict=True)]
    covariances = [
        [math.fsum(map(mul, left, right)) / (days - 1) for right in bins[: place + 1]]
        for place, left in enumerate(bins)
    ]
    trace = math.fsum(row[-1] for row in covariances)
    squares = math.fsum(2 * math.fsum(c * c for c in row[:-1]) + row[-1] ** 2 for row in covariances)
    if trace <= 0:
        return 1.0
    chance = trace**2 / (days - 1)
    corrected = (days - 1) ** 2 / ((days + 1) * (days - 2)) * (squares - chance)
    widest = max(1.0, len(bins) - 1.0)
    return float(min(max(trace**2 / max(corrected, trace**2 / widest), 1.0), widest))


def _freedom_by_moments(distances: Sequence[float]) -> float:
    """The degrees of freedom of the multiple of a chi-square that has these distances' mean and variance.

    Days that differ very much are further out, now and then, than sums of squares of normal values are: the covariance
    does not tell, and a test that believed it alone would alarm twice to three times as often as declared.
    """
    mean = math.fsum(distances) / len(distances)
    variance = math.fsum((distance - mean) ** 2 for distance in distances) / (len(distances) - 1)
    return 2 * mean**2 / variance if variance > 0 else math.inf


def _scaled(counts: Cells, rows: Sequence[float], floor: float) -> list[float]:
    """A bin's share on each day less its mean over days, in units of the root of its share overall."""
    shares = [count / total for count, total in zip(counts, rows, strict=True)]
    mean, unit = math.fsum(shares) / len(shares), math.sqrt(max(sum(counts) / sum(rows), floor))
    return [(share - mean) / unit for share in shares]
