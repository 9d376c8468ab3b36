"""The bins over which a window is counted, fixed by the reference.

A number falls into one of ``len(edges) + 1`` bins: bin ``i`` holds ``edges[i - 1] <= x < edges[i]``; the first lies
below all edges, the last at or above them. A category falls into the bin of its value, or into the last bin,
"other". What is missing is counted apart. The same rules stand in :mod:`everloop.monitoring.profile_query` as SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict

from everloop.documents.reference import FeatureReferenceDocument
from everloop.monitoring.exceptions import ProfileFormatError

MISSING = -1
"""The bin of a missing value."""


class NumberBinsDocument(TypedDict):
    """Bins of a number feature in JSON."""

    kind: Literal["number"]
    edges: list[float]


class CategoryBinsDocument(TypedDict):
    """Bins of a category feature in JSON."""

    kind: Literal["category"]
    categories: list[str]


@dataclass(frozen=True)
class NumberBins:
    """Bins of a number feature: ``edges`` rise strictly."""

    edges: tuple[float, ...]

    def __post_init__(self) -> None:
        if any(not a < b for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise ProfileFormatError(f"the edges {self.edges} do not rise")

    @property
    def size(self) -> int:
        """How many bins there are, without the one for missing."""
        return len(self.edges) + 1

    def label(self, index: int) -> str:
        """The bin as a person reads it."""
        if index == MISSING:
            return "missing"
        if not self.edges:  # of a feature that the reference has never seen
            return "any value"
        if index == 0:
            return f"below {self.edges[0]:.4g}"
        if index == len(self.edges):
            return f"from {self.edges[-1]:.4g}"
        return f"{self.edges[index - 1]:.4g} to {self.edges[index]:.4g}"

    def as_dict(self) -> NumberBinsDocument:
        """The bins as JSON values: ``kind`` is ``number``, ``edges`` ascend."""
        return {"kind": "number", "edges": list(self.edges)}


@dataclass(frozen=True)
class CategoryBins:
    """Bins of a category feature: its most frequent values, then "other"."""

    categories: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.categories)) != len(self.categories) or "" in self.categories:
            raise ProfileFormatError(
                "the categories must be distinct, and the empty string means missing, not a category"
            )

    @property
    def size(self) -> int:
        """How many bins there are, without the one for missing."""
        return len(self.categories) + 1

    def label(self, index: int) -> str:
        """The bin as a person reads it."""
        if index == MISSING:
            return "missing"
        return self.categories[index] if index < len(self.categories) else "other"

    def as_dict(self) -> CategoryBinsDocument:
        """The bins as JSON values: ``kind`` is ``category``, ``categories`` from the most frequent on."""
        return {"kind": "category", "categories": list(self.categories)}


Bins = NumberBins | CategoryBins


def bins_from_dict(document: FeatureReferenceDocument) -> Bins:
    """Read what ``as_dict`` wrote.

    Raises
    ------
    ProfileFormatError
        When the document is of no known kind.
    """
    if document.get("kind") == "number":
        return NumberBins(tuple(float(e) for e in document["edges"]))
    if document.get("kind") == "category":
        return CategoryBins(tuple(str(c) for c in document["categories"]))
    raise ProfileFormatError(f"bins of the kind {document.get('kind')!r}; the kinds are number and category")
