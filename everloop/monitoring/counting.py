"""Counts rows in process, by the same rules as the query in :mod:`everloop.monitoring.profile_query`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from everloop.limits import LARGEST_VALUE
from everloop.monitoring.bins import MISSING, Bins, CategoryBins, NumberBins
from everloop.monitoring.exceptions import MonitoringError
from everloop.monitoring.profile import BinCounts, Decisions, Outcomes, Profile
from everloop.monitoring.reference import Reference

CLIP = float(np.finfo(np.float64).eps)
"""Probabilities are held this far from 0 and 1, as the evaluation does."""


def bin_indices(bins: Bins, values: np.ndarray | Sequence[str | None]) -> np.ndarray:
    """The bin of each value; ``MISSING`` for NaN, None and the empty text."""
    if isinstance(bins, NumberBins):
        numbers = np.asarray(values, dtype=np.float64)
        found = np.searchsorted(np.asarray(bins.edges), numbers, side="right")
        return np.where(np.isnan(numbers), MISSING, found)
    return _category_indices(bins, values)


def count(bins: Bins, values: np.ndarray | Sequence[str]) -> BinCounts:
    """How often each bin occurs."""
    return counted(bins, bin_indices(bins, values))


def counted(bins: Bins, indices: np.ndarray) -> BinCounts:
    """How often each bin occurs among bin numbers."""
    return _bin_counts(np.bincount(indices - MISSING, minlength=bins.size + 1).tolist())


def counted_daily(bins: Bins, indices: np.ndarray, day: np.ndarray) -> list[BinCounts]:
    """How often each bin occurs among the bin numbers of each day; ``day`` numbers each row's day, from 0 on."""
    width = bins.size + 1
    days = int(day.max()) + 1 if len(day) else 0
    cells = np.bincount(day * width + indices - MISSING, minlength=days * width)
    return [_bin_counts(row) for row in cells.reshape(days, width).tolist()]


def count_profile(
    reference: Reference,
    features: Mapping[str, np.ndarray | Sequence[str]],
    scores: np.ndarray,
    labels: np.ndarray,
    *,
    metric: str,
    classification: bool,
    threshold: float | None = None,
) -> Profile:
    """The profile of rows in memory.

    Parameters
    ----------
    features : mapping
        Each declared feature's values: numbers with NaN, texts with ``""`` where missing.
    scores : ndarray, shape (rows,)
    labels : ndarray, shape (rows,)
        NaN where the outcome is not known.
    metric : str
        The gate's.
    threshold : float, optional
        A classification's, to count its decisions too.
    """
    known = ~np.isnan(labels)
    bins = reference.score_bins
    return Profile(
        bins=reference.bins_id,
        rows=len(scores),
        features={name: count(f.bins, features[name]) for name, f in reference.features.items()},
        score=count(bins, scores) if bins is not None else BinCounts(()),
        outcomes=count_outcomes(
            bins, scores[known], labels[known], metric=metric, classification=classification, threshold=threshold
        ),
    )


def count_outcomes(
    bins: NumberBins | None,
    scores: np.ndarray,
    labels: np.ndarray,
    *,
    metric: str,
    classification: bool,
    threshold: float | None = None,
) -> Outcomes:
    """The sums over labelled rows; decisions of a classification are counted where there is a ``threshold``.

    For regression, rows of a label or a score beyond :data:`everloop.limits.LARGEST_VALUE` are left out.
    """
    y, s = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if not classification:
        countable = (np.abs(y) <= LARGEST_VALUE) & (np.abs(s) <= LARGEST_VALUE)
        y, s = y[countable], s[countable]
    residual = y - s
    if classification:
        p = np.clip(s, CLIP, 1 - CLIP)
        z = np.log(p) - np.log(1 - p)
        v, deviance = p * (1 - p), -np.where(y == 1, np.log(p), np.log(1 - p))
    else:
        z, v, deviance = s, np.ones(len(s)), residual**2 / 2
    loss = _losses(metric, residual, deviance)
    ones: tuple[int, ...] = ()
    zeros: tuple[int, ...] = ()
    if classification and bins is not None:
        ones, zeros = (counted(bins, bin_indices(bins, s[y == label])).counts for label in (1, 0))
    return Outcomes(
        rows=len(y),
        loss=float(loss.sum()),
        loss_squares=float((loss**2).sum()),
        label=float(y.sum()),
        score=float(s.sum()),
        deviance=float(deviance.sum()),
        residual_z=float((residual * z).sum()),
        v=float(v.sum()),
        v_z=float((v * z).sum()),
        v_zz=float((v * z * z).sum()),
        ones=ones,
        zeros=zeros,
        decisions=_decisions(y, s, classification, threshold),
    )


def _decisions(y: np.ndarray, s: np.ndarray, classification: bool, threshold: float | None) -> Decisions | None:
    if not classification:
        return Decisions(absolute_error=float(np.abs(y - s).sum()))
    if threshold is None:
        return None
    acts = s >= threshold
    return Decisions(hits=float((acts & (y == 1)).sum()), false_alarms=float((acts & (y == 0)).sum()))


def _losses(metric: str, residual: np.ndarray, deviance: np.ndarray) -> np.ndarray:
    if metric == "log_loss":
        return deviance
    if metric in ("brier", "rmse"):
        return residual**2
    if metric == "mae":
        return np.asarray(np.abs(residual))
    raise MonitoringError(f"{metric!r} is not a mean over rows: use log_loss, brier, mae or rmse")


def _bin_counts(cells: Sequence[int]) -> BinCounts:
    """Of cells of which the first counts what is missing."""
    return BinCounts(tuple(cells[1:]), cells[0])


def _category_indices(bins: CategoryBins, values: Sequence[str | None] | np.ndarray) -> np.ndarray:
    place = {category: index for index, category in enumerate(bins.categories)}
    other = len(bins.categories)
    indices = (MISSING if v is None or v == "" else place.get(v, other) for v in values)
    return np.fromiter(indices, dtype=np.int64, count=len(values))
