"""How far two distributions over the same bins are apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

from everloop.statistics.chi_square import chi_square_tail

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
    return sum(
        (b / total_window - a / total_reference) ** 2 / max(a / total_reference, smallest_share)
        for a, b in zip(reference, window, strict=True)
    )


def smallest_share(days: int) -> float:
    """The share that a bin of a reference of ``days`` days counts as at least."""
    return max(SMALLEST_SHARE, 1 / days)


def sampling_p_value(reference: Sequence[int], window: Sequence[int]) -> float:
    """The probability of a difference this large if all rows of both were independent draws of one distribution.

    The likelihood ratio test (G-test) of two samples: the reference's own sampling noise counts.
    """
    cells = [(a, b) for a, b in zip(reference, window, strict=True) if a + b]
    total_reference, total_window = sum(reference), sum(window)
    if len(cells) < 2 or not total_reference or not total_window:
        return 1.0
    share = total_reference / (total_reference + total_window)
    statistic = 0.0
    for a, b in cells:
        expected = (a + b) * share
        statistic += a * math.log(a / expected) if a else 0.0
        statistic += b * math.log(b / (a + b - expected)) if b else 0.0
    return chi_square_tail(max(0.0, 2 * statistic), len(cells) - 1)
