"""Recalibration as a trial would do it: level and slope, fitted every day on the last fourteen labelled days.

The benchmark of retraining uses it where the product's own learner, which mixes many such lines, takes too long.
"""

from __future__ import annotations

import numpy as np

from everloop.retraining.backtest.losses import CLIP
from everloop.retraining.backtest.timeline import Timeline

DAYS, PRIOR_ROWS, STEPS, LEAST_SLOPE = 14, 20.0, 2, 0.05


def fitted(timeline: Timeline, scores: np.ndarray) -> np.ndarray:
    """The served probabilities of each model, float, shape (models, rows); NaN before a model's own window."""
    served = np.array(scores, dtype=np.float64)
    kept = np.clip(served, CLIP, 1 - CLIP)
    raw = np.log(kept) - np.log1p(-kept)
    starts, target = timeline.day_starts, timeline.target
    for model in range(timeline.windows):
        first = timeline.first_day(model)
        line = np.array([0.0, 1.0])
        for day in range(first, timeline.days):
            known = day - timeline.lag_days
            rows = slice(starts[max(first, known - DAYS)], starts[max(known, first)])
            if rows.stop > rows.start:
                line = _refitted(line, raw[model, rows], target[rows])
            asked = slice(starts[day], starts[day + 1])
            served[model, asked] = 1 / (1 + np.exp(-(line[0] + line[1] * raw[model, asked])))
    return served


def _refitted(line: np.ndarray, raw: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Newton's steps from where the day before ended; the prior counts as rows that agree with level 0 and slope 1."""
    for _ in range(STEPS):
        probability = 1 / (1 + np.exp(-(line[0] + line[1] * raw)))
        weight, wrong = probability * (1 - probability), probability - target
        pull = np.array([wrong.sum() + PRIOR_ROWS / 4 * line[0], wrong @ raw + PRIOR_ROWS / 4 * (line[1] - 1)])
        curvature = np.array([[weight.sum(), weight @ raw], [weight @ raw, weight @ raw**2]])
        step = np.linalg.solve(curvature + PRIOR_ROWS / 4 * np.eye(2), pull)
        line = line - np.clip(step, [-1, -0.5], [1, 0.5])
        line[1] = max(line[1], LEAST_SLOPE)
    return line
