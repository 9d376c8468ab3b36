"""What each model's scores are after two numbers are refitted every day on the labels that have arrived."""

from __future__ import annotations

import numpy as np

from everloop.retraining.backtest.losses import CLIP
from everloop.retraining.backtest.timeline import Timeline

DAYS = 14
"""Labelled days that level and slope are fitted on."""

PRIOR_ROWS = 20.0
"""Rows whose weight pulls level and slope to 0 and 1."""

STEPS = 2
"""Newton's steps a day, from where the day before ended."""

LEAST_SLOPE = 0.05


def recalibrated(timeline: Timeline, scores: np.ndarray, kind: str) -> np.ndarray:
    """The served scores of each model, from its own window on.

    A model starts as it is: rows that it learned from say nothing of its calibration.

    Parameters
    ----------
    scores : float array, shape (models, rows)
    kind : {"log_odds", "value"}
        Probabilities, whose log odds are put right, or values.

    Returns
    -------
    float array, shape (models, rows)
    """
    served = np.array(scores, dtype=np.float64)
    raw = served.copy()
    if kind == "log_odds":
        kept = np.clip(raw, CLIP, 1 - CLIP)
        raw = np.log(kept) - np.log1p(-kept)
    starts, target = timeline.day_starts, timeline.target
    for model in range(timeline.windows):
        first = timeline.first_day(model)
        line = np.array([0.0, 1.0])
        for day in range(first, timeline.days):
            known = day - timeline.lag_days
            rows = slice(starts[max(first, known - DAYS)], starts[max(known, first)])
            if rows.stop > rows.start:
                line = _refitted(line, raw[model, rows], target[rows], kind)
            asked = slice(starts[day], starts[day + 1])
            put_right = line[0] + line[1] * raw[model, asked]
            served[model, asked] = 1 / (1 + np.exp(-put_right)) if kind == "log_odds" else put_right
    return served


def _refitted(line: np.ndarray, raw: np.ndarray, target: np.ndarray, kind: str) -> np.ndarray:
    if kind == "value":
        design = np.column_stack([np.ones_like(raw), raw])
        scale = float(raw.var()) or 1.0
        prior = PRIOR_ROWS * np.array([[1.0, raw.mean()], [raw.mean(), scale + raw.mean() ** 2]])
        pull = design.T @ target + prior @ np.array([0.0, 1.0])
        return np.asarray(np.linalg.solve(design.T @ design + prior, pull))
    for _ in range(STEPS):
        probability = 1 / (1 + np.exp(-(line[0] + line[1] * raw)))
        weight, wrong = probability * (1 - probability), probability - target
        pull = np.array([wrong.sum() + PRIOR_ROWS / 4 * line[0], wrong @ raw + PRIOR_ROWS / 4 * (line[1] - 1)])
        curvature = np.array([[weight.sum(), weight @ raw], [weight @ raw, weight @ raw**2]]) + PRIOR_ROWS / 4 * np.eye(
            2
        )
        line = line - np.clip(np.linalg.solve(curvature, pull), [-1, -0.5], [1, 0.5])
        line[1] = max(line[1], LEAST_SLOPE)
    return line
