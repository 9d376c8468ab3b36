"""The reference whose queries and records are the largest that a declaration can come to."""

from __future__ import annotations

from everloop.model_file.schema import Feature, ModelDeclaration
from everloop.monitoring.bins import Bins, CategoryBins, NumberBins
from everloop.monitoring.build import CATEGORIES, NUMBER_BINS, SCORE_BINS
from everloop.monitoring.profile import BinCounts
from everloop.monitoring.reference import FeatureReference, Natural, Reference

COUNT = 9_999_999_999
"""More rows than one window ever had."""

ASTRAL = 0x1F600
"""A character of four bytes."""


def worst_reference(declaration: ModelDeclaration) -> Reference:
    """Every edge written with 24 characters, every category as long as it may be, of the longest characters."""
    features = {f.name: _feature(_bins(f)) for f in declaration.data.features}
    return Reference(
        rows=COUNT,
        days=3000,
        features=features,
        score=_feature(NumberBins(_edges(SCORE_BINS + 1))),
        metric=declaration.gate.metric,
    )


def _feature(bins: Bins) -> FeatureReference:
    natural = tuple(Natural(days, 1.2345678901234567e-100, 1.2345678901234567, 9.87654321) for days in range(1, 32))
    return FeatureReference(bins, BinCounts((COUNT,) * bins.size, COUNT), natural)


def _bins(feature: Feature) -> Bins:
    if feature.type == "number":
        return NumberBins(_edges(NUMBER_BINS + 1))
    if feature.unseen == "refuse" and feature.values:
        return CategoryBins(tuple(sorted(feature.values, key=lambda v: -len(v.encode()))[:CATEGORIES]))
    length = feature.max_length
    texts = (chr(ASTRAL + i % 60) + chr(ASTRAL + i // 60) * (length - 1) for i in range(CATEGORIES))
    return CategoryBins(tuple(dict.fromkeys(texts)))


def _edges(count: int) -> tuple[float, ...]:
    return tuple(sorted(-1.2345678901234567e-300 * (1 + i / 64) for i in range(count)))
