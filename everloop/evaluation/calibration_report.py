"""What the evaluation says of calibration: whether of rows with a score of 0.3 three in ten are ones."""

from __future__ import annotations

from dataclasses import dataclass

from everloop.evaluation.fairness_report import ReliabilityBin


@dataclass(frozen=True)
class Calibrated:
    """The calibration of a classification's raw scores on the test rows.

    Attributes
    ----------
    bins : tuple of ReliabilityBin
        The curve: up to ten bins with about as many rows each, by rising score.
    error : float
        The expected calibration error: the mean over rows of the distance between a bin's mean score and its share of
        ones.
    low, high : float or None
        Its 95% interval by a bootstrap over days; None of rows of one day.
    by_chance : float
        What the error would be on average on these rows if the scores were the true chances: it is never 0, as shares
        of few rows differ from chances.
    """

    bins: tuple[ReliabilityBin, ...]
    error: float
    low: float | None
    high: float | None
    by_chance: float
