"""Builds the reference in the training and evaluation jobs, from arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from everloop.model_file.schema import ModelDeclaration
from everloop.monitoring.bins import Bins, CategoryBins, NumberBins
from everloop.monitoring.counting import bin_indices, count_outcomes, counted, counted_daily
from everloop.monitoring.exceptions import ReferenceUnusableError
from everloop.monitoring.natural import natural_variation
from everloop.monitoring.reference import FeatureReference, Reference
from everloop.monitoring.several_classes import answered, class_bins, class_outcomes
from everloop.problem_types import BINARY

NUMBER_BINS = 10
SCORE_BINS = 50
CATEGORIES = 20


def build_reference(
    numbers: Mapping[str, np.ndarray],
    categories: Mapping[str, Sequence[str]],
    days: np.ndarray,
    declaration: ModelDeclaration,
) -> Reference:
    """The reference of the training rows; :func:`complete_reference` adds the scores.

    Parameters
    ----------
    numbers : mapping of str to float64 array, shape (rows,)
        Each number feature, NaN where missing.
    categories : mapping of str to sequence of str
        Each category feature, ``""`` where missing.
    days : datetime64[D] array, shape (rows,)
        The UTC day of each row.

    Raises
    ------
    ReferenceUnusableError
        When there are no rows, or a declared feature is not given for every row.
    """
    span = declaration.monitoring.drift_days
    distinct, day = np.unique(days, return_inverse=True)
    features = {}
    for feature in declaration.data.features:
        given = numbers if feature.type == "number" else categories
        if feature.name not in given or len(given[feature.name]) != len(days) or not len(days):
            raise ReferenceUnusableError(f"the feature {feature.name!r} is not given for each of {len(days)} rows")
        if feature.type == "number":
            values = numbers[feature.name]
            features[feature.name] = _feature(number_bins(values, NUMBER_BINS), values, day, span)
        else:
            texts = categories[feature.name]
            features[feature.name] = _feature(category_bins(texts), texts, day, span)
    return Reference(rows=len(days), days=len(distinct), features=features)


def complete_reference(
    reference: Reference,
    scores: np.ndarray,
    labels: np.ndarray,
    days: np.ndarray,
    declaration: ModelDeclaration,
) -> Reference:
    """The reference with what the model answered to test rows, and how good it was.

    Parameters
    ----------
    scores, labels : float64 array, shape (rows,); scores of several classes have the shape (rows, classes)
    days : datetime64[D] array, shape (rows,)
    """
    if not len(scores) or len(scores) != len(labels) or len(scores) != len(days):
        raise ReferenceUnusableError(f"{len(scores)} scores, {len(labels)} labels and {len(days)} days")
    classification = declaration.problem.type == BINARY
    metric = declaration.gate.metric
    distinct, day = np.unique(days, return_inverse=True)
    classes = declaration.problem.classes
    if classes:
        return replace(
            reference,
            score=_feature(class_bins(classes), answered(classes, scores), day, declaration.monitoring.drift_days),
            metric=metric,
            outcomes=class_outcomes(classes, scores, labels, metric=metric),
            outcome_days=len(distinct),
        )
    bins = number_bins(scores, SCORE_BINS)
    return replace(
        reference,
        score=_feature(bins, scores, day, declaration.monitoring.drift_days),
        metric=metric,
        outcomes=count_outcomes(bins, scores, labels, metric=metric, classification=classification),
        outcome_days=len(distinct),
    )


def number_bins(values: np.ndarray, wanted: int) -> NumberBins:
    """About ``wanted`` bins of equally many rows between the least and the greatest value, and one on either side.

    The bins beyond what the reference has seen are what shows a value that never occurred. A value that fills
    more than a bin's share has one to itself, and the rest is divided among the others.
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return NumberBins(())
    distinct, sizes = np.unique(finite, return_counts=True)
    edges: list[float] = []
    left, bins_left, filled = float(len(finite)), wanted, math.inf
    for value, size in zip(distinct.tolist(), sizes.tolist(), strict=True):
        share = left / max(1, bins_left)
        if filled + size / 2 > share and len(edges) < wanted:
            edges.append(value)
            left, bins_left = left - (0 if math.isinf(filled) else filled), bins_left - (len(edges) > 1)
            filled = 0.0
        filled += size
    edges.append(float(np.nextafter(distinct[-1], np.inf)))
    return NumberBins(tuple(edges))


def category_bins(values: np.ndarray | Sequence[str]) -> CategoryBins:
    """The most frequent categories; of equally frequent ones the first in order."""
    found, sizes = np.unique(np.asarray(values, dtype=str), return_counts=True)
    ranked = sorted((-size, name) for name, size in zip(found.tolist(), sizes.tolist(), strict=True) if name)
    return CategoryBins(tuple(name for _, name in ranked[:CATEGORIES]))


def _feature(bins: Bins, values: np.ndarray | Sequence[str], day: np.ndarray, span: int) -> FeatureReference:
    """``day`` is the number of each row's day, from 0 on."""
    indices = bin_indices(bins, values)
    return FeatureReference(bins, counted(bins, indices), natural_variation(counted_daily(bins, indices, day), span))
