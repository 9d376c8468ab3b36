"""How far two distributions over the same bins are apart.

References
----------
K. Pearson, "On the criterion that a given system of deviations …", Philosophical Magazine 50 (1900).
D. A. Williams, "Improved likelihood ratio tests for complete contingency tables", Biometrika 63 (1976).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from everloop.statistics.binomial import at_least, at_most
from everloop.statistics.chi_square import chi_square_tail
from everloop.statistics.hypergeometric import both_tails

PSEUDO_COUNT = 0.5
"""Added to every cell, so that an empty one is a finite surprise."""

SMALLEST_SHARE = 0.02


def stability_index(reference: Sequence[int], window: Sequence[int]) -> float:
    """The population stability index: the symmetrised Kullback-Leibler divergence, from 0.

    By custom 0.1 is small and 0.25 large; those are not thresholds of a test, as the index grows with few rows
    and with how much one day naturally differs from another.
    """
    extra = PSEUDO_COUNT * len(reference)
    total_reference, total_window = sum(reference) + extra, sum(window) + extra
    index = 0.0
    for a, b in zip(reference, window, strict=True):
        p, q = (a + PSEUDO_COUNT) / total_reference, (b + PSEUDO_COUNT) / total_window
        index += (p - q) * math.log(p / q)
    return index


def distance(reference: Sequence[int], window: Sequence[int], smallest_share: float) -> float:
    """The squared differences of the shares, each by its share in the reference (Pearson's chi-square per row).

    A share below ``smallest_share`` counts as that much: how surprising a value is that never occurred is not known
    from a reference of few days, of which each is one draw.
    """
    total_reference, total_window = max(1, sum(reference)), max(1, sum(window))
    return math.fsum(
        (b / total_window - a / total_reference) ** 2 / max(a / total_reference, smallest_share)
        for a, b in zip(reference, window, strict=True)
    )


def distance_of_one_row(reference: Sequence[int], smallest_share: float) -> float:
    """The mean :func:`distance` that a single row drawn from the reference has; that of n rows is an n-th of it."""
    total = max(1, sum(reference))
    shares = [a / total for a in reference]
    return math.fsum(share * (1 - share) / max(share, smallest_share) for share in shares)


def smallest_share(days: int) -> float:
    """The share that a bin of a reference of ``days`` days counts as at least."""
    return max(SMALLEST_SHARE, 1 / days)


FEWEST_EXPECTED = 5
"""Cells that expect fewer rows are tested together: of few, neither statistic is a chi-square variable."""


def sampling_p_value(reference: Sequence[int], window: Sequence[int]) -> float:
    """The probability of a difference this large if all rows of both were independent draws of one distribution.

    Of two cells it is Fisher's exact test. Of more it is the likelihood ratio test (G-test) with Williams' correction
    for few rows, or Pearson's, whichever finds less: where cells expect five rows, either alone is news more often than
    it says, up to 1.25 times. The reference's own sampling noise counts. Where rare cells had to be put together, a
    value that never occurred could hide among them; so each cell is also tested by itself, by the binomial
    distribution, whose tails bound the exact ones (Hoeffding 1956), and the smaller p-value counts twice.
    Both hold for a handful of rows; 1 where there is nothing to be told.
    """
    cells = [(a, b) for a, b in zip(reference, window, strict=True) if a + b]
    total_reference, total_window = sum(reference), sum(window)
    if len(cells) < 2 or not total_reference or not total_window:
        return 1.0
    share = total_window / (total_reference + total_window)
    groups = list(_large_enough(cells, min(share, 1 - share)))
    together = _p_value_of_all(groups, share)
    if len(groups) == len(cells):
        return together
    single = min(_smaller_tail(b, a + b, share) for a, b in set(cells))
    return min(1.0, 2 * min(together, 2 * len(cells) * single))


def _smaller_tail(count: int, trials: int, probability: float) -> float:
    """The less likely of a count as small or as large: a binomial median is the mean, rounded up or down."""
    mean = trials * probability
    if count > mean + 1:
        return at_least(count, trials, probability)
    if count < mean - 1:
        return at_most(count, trials, probability)
    return min(at_least(count, trials, probability), at_most(count, trials, probability))


def _large_enough(cells: Sequence[tuple[int, int]], smaller_share: float) -> Iterable[tuple[int, int]]:
    """The cells, the rarest put together until each expects rows enough of either sample."""
    a = b = 0
    found: list[tuple[int, int]] = []
    for in_reference, in_window in sorted(cells, key=sum):
        a, b = a + in_reference, b + in_window
        if (a + b) * smaller_share >= FEWEST_EXPECTED:
            found.append((a, b))
            a = b = 0
    if a + b and found:
        last = found.pop()
        found.append((last[0] + a, last[1] + b))
    return found


def _p_value_of_all(cells: Sequence[tuple[int, int]], share: float) -> float:
    if len(cells) < 2:
        return 1.0
    if len(cells) == 2:
        (a, b), (other_a, other_b) = cells
        return both_tails(b, b + other_b, a + b, a + b + other_a + other_b)
    return chi_square_tail(min(_likelihood_ratio(cells, share), _pearson(cells, share)), len(cells) - 1)


def _likelihood_ratio(cells: Sequence[tuple[int, int]], share: float) -> float:
    statistic = 0.0
    for a, b in cells:
        expected = (a + b) * (1 - share)
        statistic += a * math.log(a / expected) if a else 0.0
        statistic += b * math.log(b / (a + b - expected)) if b else 0.0
    rows = sum(a + b for a, b in cells)
    by_sample = 1 / (share * (1 - share)) - 1
    by_cell = math.fsum(rows / (a + b) for a, b in cells) - 1
    too_large_by = 1 + by_sample * by_cell / (6 * rows * (len(cells) - 1))
    return max(0.0, 2 * statistic / too_large_by)


def _pearson(cells: Sequence[tuple[int, int]], share: float) -> float:
    # The two samples differ from what they expect by as much, so that the parts of a cell add up to this.
    return math.fsum((b - (a + b) * share) ** 2 / ((a + b) * share * (1 - share)) for a, b in cells)
