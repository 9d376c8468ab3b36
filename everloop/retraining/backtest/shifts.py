"""How far each window's features lie from the rows that a model learned from: what drift triggers watch."""

from __future__ import annotations

import numpy as np

from everloop.retraining.backtest.timeline import Timeline

BINS = 10
SMOOTHING = 0.5
"""Rows added to each bin, so that an empty one is no infinity."""


def feature_counts(timeline: Timeline, columns: list[np.ndarray]) -> np.ndarray:
    """Counts by feature, window and bin, the rows before the first window first.

    Parameters
    ----------
    columns : list of arrays, shape (rows,)
        Numbers, NaN where missing, binned at the tenths of the first rows; or texts, binned by value: the most
        frequent ones and the rest.

    Returns
    -------
    int array, shape (features, 1 + windows, bins)
    """
    starts = [0, *(timeline.day_starts[timeline.first_day(w)] for w in range(timeline.windows + 1))]
    part = np.repeat(np.arange(timeline.windows + 1), np.diff(starts))
    first = slice(0, starts[1])
    counts = np.zeros((len(columns), timeline.windows + 1, BINS + 1), dtype=int)
    for feature, column in enumerate(columns):
        bins = _bins(column[: starts[-1]], first)
        np.add.at(counts[feature], (part, bins), 1)
    return counts


def _bins(column: np.ndarray, first: slice) -> np.ndarray:
    """Each row's bin; the last one holds what is missing or unheard of."""
    if column.dtype.kind in "fiub":
        values = column.astype(np.float64)
        known = values[first][~np.isnan(values[first])]
        edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS)) if len(known) else np.zeros(0)
        return np.where(np.isnan(values), BINS, np.searchsorted(edges, values, side="right"))
    names, frequency = np.unique(column[first].astype(str), return_counts=True)
    kept = {name: index for index, name in enumerate(names[np.argsort(-frequency, kind="stable")][:BINS])}
    return np.array([kept.get(str(value), BINS) for value in column])


def stability(counts: np.ndarray) -> np.ndarray:
    """The largest population stability index over features, float, shape (models, windows).

    Model i learned from all windows before i.
    """
    windows = counts.shape[1] - 1
    shares = _shares(counts[:, 1:])
    reference = _shares(np.cumsum(counts, axis=1)[:, :-1])
    found = np.full((windows, windows), np.nan)
    for model in range(windows):
        ratio = shares[:, model:] - reference[:, model, None]
        index = (ratio * np.log(shares[:, model:] / reference[:, model, None])).sum(-1)
        found[model, model:] = index.max(0)
    return found


def least_p_value(counts: np.ndarray) -> np.ndarray:
    """Kolmogorov and Smirnov's least p-value over features, times their number, float, shape (models, windows).

    On binned values the test is conservative.
    """
    windows = counts.shape[1] - 1
    before = np.cumsum(counts, axis=1)[:, :-1]
    found = np.full((windows, windows), np.nan)
    for model in range(windows):
        reference, later = before[:, model, None], counts[:, model + 1 :]
        sizes = reference.sum(-1), later.sum(-1)
        known = np.maximum(sizes[0], 1), np.maximum(sizes[1], 1)
        distance = np.abs(
            np.cumsum(reference, -1) / known[0][..., None] - np.cumsum(later, -1) / known[1][..., None]
        ).max(-1)
        effective = sizes[0] * sizes[1] / np.maximum(sizes[0] + sizes[1], 1)
        root = np.sqrt(effective)
        # Stephens' approximation of the distribution's tail.
        p = np.minimum(2 * np.exp(-2 * ((root + 0.12 + 0.11 / np.maximum(root, 1e-9)) * distance) ** 2), 1.0)
        found[model, model:] = np.minimum(p.min(0) * len(counts), 1.0)
    return found


def _shares(counts: np.ndarray) -> np.ndarray:
    smooth = counts + SMOOTHING
    found: np.ndarray = smooth / smooth.sum(-1, keepdims=True)
    return found
