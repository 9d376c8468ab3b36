"""How far each window's features lie from the rows that a model learned from: what drift triggers watch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from everloop.retraining.backtest.timeline import Timeline

BINS = 10
SMOOTHING = 0.5
"""Rows added to each bin, so that an empty one is no infinity."""


def feature_counts(timeline: Timeline, columns: list[np.ndarray], *, before: int = 1) -> np.ndarray:
    """Counts by feature, part and bin: the parts are those before the first window, then the windows.

    Parameters
    ----------
    columns : list of arrays, shape (rows,)
        Numbers, NaN where missing, binned at the tenths of the first rows; or texts, binned by value: the most
        frequent ones and the rest.
    before : int
        Parts before the first window: each as long as a window, but for the first, which has the rest.

    Returns
    -------
    int array, shape (features, before + windows, bins)
    """
    first_days = [max(timeline.first_day(part), 0) for part in range(1 - before, timeline.windows + 1)]
    starts = [0, *(timeline.day_starts[day] for day in first_days)]
    part = np.repeat(np.arange(before + timeline.windows), np.diff(starts))
    first = slice(0, starts[before])
    counts = np.zeros((len(columns), before + timeline.windows, BINS + 1), dtype=int)
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


def stability(counts: np.ndarray, *, before: int = 1, spans: Sequence[int | None] | None = None) -> np.ndarray:
    """The largest population stability index over features, float, shape (models, windows).

    Parameters
    ----------
    counts : int array, shape (features, before + windows, bins)
        As :func:`feature_counts` gives them, with as many parts ``before`` the first window.
    spans : sequence of int or None, optional
        From how many of the newest parts each model learned; None, and where it is not given, from all before it.
    """
    windows = counts.shape[1] - before
    shares = _shares(counts[:, before:])
    reference = _shares(_learned(counts, before, spans))
    found = np.full((windows, windows), np.nan)
    for model in range(windows):
        ratio = shares[:, model:] - reference[:, model, None]
        index = (ratio * np.log(shares[:, model:] / reference[:, model, None])).sum(-1)
        found[model, model:] = index.max(0)
    return found


def least_p_value(counts: np.ndarray, *, before: int = 1, spans: Sequence[int | None] | None = None) -> np.ndarray:
    """Kolmogorov and Smirnov's least p-value over features, times their number, float, shape (models, windows).

    On binned values the test is conservative. The arguments are those of :func:`stability`.
    """
    windows = counts.shape[1] - before
    learned = _learned(counts, before, spans)
    found = np.full((windows, windows), np.nan)
    for model in range(windows):
        reference, later = learned[:, model, None], counts[:, before + model :]
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


def _learned(counts: np.ndarray, before: int, spans: Sequence[int | None] | None) -> np.ndarray:
    """What each model learned from, shape (features, windows, bins)."""
    up_to = np.cumsum(counts, axis=1)[:, before - 1 : -1]
    found = up_to.copy()
    for model, parts in enumerate(spans or ()):
        end = before + model
        if parts is not None and parts < end:
            found[:, model] -= np.cumsum(counts[:, : end - parts], axis=1)[:, -1]
    return found


def _shares(counts: np.ndarray) -> np.ndarray:
    smooth = counts + SMOOTHING
    found: np.ndarray = smooth / smooth.sum(-1, keepdims=True)
    return found
