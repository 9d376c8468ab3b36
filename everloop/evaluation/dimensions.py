"""Dimensions: how the rows of an evaluation are taken apart by a feature, into slices or groups of people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from everloop.numbers_of import number_of

MOST_VALUES = 20
"""Values of a category that make a group each where none are declared: those with the most rows."""

MISSING = "missing"
NOWHERE = -1


@dataclass(frozen=True)
class Dimension:
    """A feature and its groups.

    Attributes
    ----------
    feature : str
    names : tuple of str
        Of the groups.
    places : ndarray of int64, shape (rows,)
        The group of each row; ``NOWHERE`` where it is in none.
    left_out : str
        What is in no group, in a sentence; empty where every row is in one.
    """

    feature: str
    names: tuple[str, ...]
    places: np.ndarray
    left_out: str = ""

    def conditions(self) -> tuple[str, ...]:
        """The groups' names as conditions on the feature."""
        return tuple(f"{self.feature} = {name}" for name in self.names)

    def with_other(self, other: Dimension) -> Dimension:
        """The pairs of both dimensions' groups."""
        places = np.where(
            (self.places < 0) | (other.places < 0), NOWHERE, self.places * len(other.names) + other.places
        )
        names = tuple(f"{one} and {two}" for one in self.conditions() for two in other.conditions())
        return Dimension(f"{self.feature}, {other.feature}", names, places)


def dimension_of_number(feature: str, values: np.ndarray, edges: Sequence[float] | None) -> Dimension:
    """The spans of a number: between declared edges, or else four with about as many rows each.

    Rows without the number are a group of their own.
    """
    known = np.isfinite(values)
    if edges is None:
        quartiles = np.quantile(values[known], [0.25, 0.5, 0.75]) if known.any() else np.array([])
        # Rounded so that people can say it: the groups stay about equal.
        cuts = sorted({float(f"{edge:.3g}") for edge in quartiles})
        low = float(values[known].min()) if known.any() else 0.0
        cuts = [cut for cut in cuts if cut > low]
    else:
        cuts = list(edges)
    places = np.where(known, np.searchsorted(cuts, np.where(known, values, 0.0), side="right"), len(cuts) + 1)
    names = (*_spans(cuts), MISSING)
    if known.all() and len(values):
        names = names[:-1]
    return Dimension(feature, names, places.astype(np.int64))


def _spans(cuts: Sequence[float]) -> tuple[str, ...]:
    if not cuts:
        return ("any number",)
    between = (f"{low:.9g} to below {high:.9g}" for low, high in pairwise(cuts))
    return (f"below {cuts[0]:.9g}", *between, f"{cuts[-1]:.9g} and above")


def dimension_of_category(feature: str, values: np.ndarray, groups: Sequence[str] | None) -> Dimension:
    """A group for each declared value, or else for each of the commonest ones; the empty string is a missing value."""
    texts = np.asarray(values, dtype=object)
    found, index, counts = np.unique(texts.astype(str), return_inverse=True, return_counts=True)
    if groups is None:
        order = np.argsort(-counts, kind="stable")[:MOST_VALUES]
        chosen = [str(found[one]) for one in order]
    else:
        chosen = list(groups)
    place = {value: number for number, value in enumerate(chosen)}
    of_value = np.array([place.get(str(value), NOWHERE) for value in found], dtype=np.int64)
    places = of_value[index] if len(texts) else np.zeros(0, dtype=np.int64)
    outside = int((places == NOWHERE).sum())
    told = ""
    if outside:
        how = (
            "which are not declared groups"
            if groups is not None
            else f"which are not among the {MOST_VALUES} commonest"
        )
        others = number_of(int((of_value == NOWHERE).sum()), "value")
        told = f"{number_of(outside, 'row')} of {feature} with {others}, {how}"
    names = tuple(value or MISSING for value in chosen)
    return Dimension(feature, names, places, told)
