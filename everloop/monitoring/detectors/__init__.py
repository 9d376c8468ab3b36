"""Drift detectors: each judges one feature, or the scores, of the latest windows by the reference.

To add one: a file here whose ``DETECTOR`` is a :class:`DriftDetector`, its tests, and its name below. A declaration
chooses by ``monitoring.detector``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from everloop.seams import Seam

if TYPE_CHECKING:
    from everloop.monitoring.profile import BinCounts
    from everloop.monitoring.reference import FeatureReference


@dataclass(frozen=True)
class Finding:
    """What a detector found.

    Attributes
    ----------
    windows : int
        How many of the windows it judged together, the newest.
    effect : float
        How large the shift is, from 0; held against the declared ``minimum_effect``.
    p_value : float
        The probability of a shift this large where nothing has changed. Over all features Holm's procedure follows, so
        it must hold whatever the detectors' other answers are.
    """

    windows: int
    effect: float
    p_value: float


class DriftDetector(Protocol):
    """Judges by counts alone, and keeps nothing: the same counts give the same finding."""

    def judge(
        self, feature: FeatureReference, windows: Sequence[BinCounts], *, window_days: int, minimum_rows: int
    ) -> Finding | None:
        """Judge one feature; None where there is too little to judge by.

        Parameters
        ----------
        feature : FeatureReference
            Its bins, their counts, and how far days naturally differ.
        windows : sequence of BinCounts
            Newest first, without gaps, none of them empty, over the reference's bins.
        window_days : int
            Days of one window.
        minimum_rows : int
            With fewer, nothing is judged.
        """
        ...


DETECTORS: Seam[DriftDetector] = Seam(__name__, "drift detector", "DETECTOR", "stability")
