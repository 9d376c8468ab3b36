"""The detector that checks a shift against how far days naturally differ.

The effect is the stability index. The p-value is the larger of two tests': the latest days are further from the
reference than spans of as many days naturally are, by an F test of the squared distance over its mean between the days
of the reference; and further than the sampling of rows explains, by tests of the counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add

from everloop.monitoring.bins import CategoryBins
from everloop.monitoring.detectors import DriftDetector, Finding
from everloop.monitoring.divergence import (
    distance,
    distance_of_one_row,
    sampling_p_value,
    smallest_share,
    stability_index,
)
from everloop.monitoring.profile import BinCounts
from everloop.monitoring.reference import FeatureReference, Natural
from everloop.statistics.f_distribution import f_tail

FEWEST_OF_A_CATEGORY = 10
"""Rows of the reference with which a category is compared by itself."""


class StabilityDetector:
    """The stability index, with an F test and tests of the counts."""

    def judge(
        self, feature: FeatureReference, windows: Sequence[BinCounts], *, window_days: int, minimum_rows: int
    ) -> Finding | None:
        """Judge as many windows together as the reference has spans of."""
        natural = feature.natural_of(len(windows) * window_days)
        if natural is None or natural.days < window_days:
            return None
        taken = natural.days // window_days
        exact = feature.natural_of(taken * window_days)
        counts = reduce(add, windows[:taken])
        if exact is None or counts.rows < minimum_rows:
            return None
        effect = stability_index(feature.counts.cells, counts.cells)
        floor = smallest_share(round(exact.days * exact.spans))
        apart = distance(feature.counts.cells, counts.cells, floor)
        # Days of fewer rows than the reference's are further from it by what fewer rows leave to chance.
        fewer = max(0.0, 1 / counts.rows - exact.spans / feature.counts.rows)
        usual = exact.distance + fewer * distance_of_one_row(feature.counts.cells, floor)
        p_value = max(_natural_p_value(apart, usual, exact), sampling_p_value(*comparable(feature, counts)))
        return Finding(taken, effect, p_value)


def comparable(feature: FeatureReference, counts: BinCounts) -> tuple[Sequence[int], Sequence[int]]:
    """The cells of the reference and of the rows judged, rare categories counted with "other".

    Which categories have a bin was read off the reference: those that chance favoured there. So a reference of few rows
    has too many of them and too few of the others, and new rows would look like drift.
    """
    before, after = feature.counts.cells, counts.cells
    if not isinstance(feature.bins, CategoryBins):
        return before, after
    other = feature.bins.size - 1
    kept = {i for i in range(len(before)) if i > other or (i < other and before[i] >= FEWEST_OF_A_CATEGORY)}

    def pooled(cells: Sequence[int]) -> list[int]:
        return [*(cells[i] for i in sorted(kept)), sum(n for i, n in enumerate(cells) if i not in kept)]

    return pooled(before), pooled(after)


def _natural_p_value(found: float, usual: float, natural: Natural) -> float:
    """The probability of a distance this large where days like those of the reference have the mean ``usual``."""
    if usual <= 0:
        return 0.0 if found > 0 else 1.0
    return f_tail(found / usual, natural.freedom, natural.freedom * (natural.spans - 1))


DETECTOR: DriftDetector = StabilityDetector()
