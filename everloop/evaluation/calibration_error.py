"""The reliability curve and the expected calibration error, with days as clusters.

References
----------
M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 29
(2015).
J. Broecker, L. A. Smith, "Increasing the reliability of reliability diagrams", Weather and Forecasting 22 (2007).
"""

from __future__ import annotations

import numpy as np

from everloop.evaluation.calibration_report import Calibrated
from everloop.evaluation.fairness import reliability

BINS = 10
DRAWS = 1000
DRAWS_BY_CHANCE = 100


def calibration_of(labels: np.ndarray, scores: np.ndarray, days: np.ndarray, seed: int) -> Calibrated | None:
    """The calibration of scores; None of fewer than 50 rows, whose shares say nothing.

    Parameters
    ----------
    labels, scores : ndarray, shape (rows,)
    days : ndarray, shape (rows,)
        Whole days are drawn again.
    seed : int
    """
    bins = reliability(labels, scores, BINS)
    if not bins:
        return None
    rng = np.random.default_rng(seed)
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, BINS + 1)[1:-1]))
    place, count = np.searchsorted(edges, scores, side="right"), len(edges) + 1
    residuals = scores - labels
    every, day = np.unique(days, return_inverse=True)
    sums = np.bincount(day * count + place, weights=residuals, minlength=len(every) * count).reshape(-1, count)
    low = high = None
    if len(every) > 1:
        weights = rng.multinomial(len(every), np.full(len(every), 1 / len(every)), size=DRAWS)
        errors = np.abs(weights @ sums).sum(axis=1) / (weights @ np.bincount(day))
        low, high = (float(end) for end in np.quantile(errors, [0.025, 0.975]))
    by_chance = [
        np.abs(np.bincount(place, weights=scores - (rng.random(len(scores)) < scores))).sum() / len(scores)
        for _ in range(DRAWS_BY_CHANCE)
    ]
    return Calibrated(bins, float(np.abs(sums.sum(axis=0)).sum() / len(scores)), low, high, float(np.mean(by_chance)))
