"""Of which groups of rows a model's scores are recalibrated apart.

The registry's functions import this: it needs no numpy.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from everloop.recalibration.exceptions import CalibrationFormatError
from everloop.shown import shown

MOST_GROUPS = 8
"""Groups of one model. Each has lines of its own, and all find room in a function's environment."""

LONGEST_BY = 300
"""Characters of the groups' names, or edges, in a calibration's text."""

EDGE_DIGITS = 9

OTHERS = -1
"""The place of rows that are in no group: their value is missing, or none of the declared ones."""


@dataclass(frozen=True)
class GroupBy:
    """A feature, and the groups that its values make: the declared values of a category, or the spans of a number.

    Attributes
    ----------
    feature : str
    values : tuple of str
        Of a category: a group for each. Rows of other values are in no group.
    edges : tuple of float
        Of a number, rising: the first group lies below the first edge, the last from the last edge on. Rounded to nine
        significant digits.

    Raises
    ------
    CalibrationFormatError
        When these are no groups, or too many.
    """

    feature: str
    values: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not (isinstance(self.feature, str) and self.feature):
            raise CalibrationFormatError(f"the feature of its groups is {shown(self.feature)}, not a name")
        if bool(self.values) == bool(self.edges):
            raise CalibrationFormatError(f"the groups of {self.feature!r} need either values or edges")
        if not all(isinstance(value, str) and value for value in self.values):
            raise CalibrationFormatError(f"the groups of {self.feature!r} are {shown(self.values)}, not texts")
        if len(set(self.values)) < len(self.values):
            raise CalibrationFormatError(f"the groups of {self.feature!r} are {shown(self.values)}: one stands twice")
        object.__setattr__(self, "edges", tuple(_edge(self.feature, edge) for edge in self.edges))
        if any(one >= other for one, other in zip(self.edges, self.edges[1:], strict=False)):
            raise CalibrationFormatError(f"the edges of {self.feature!r} are {shown(self.edges)}, which do not rise")
        if len(self) > MOST_GROUPS:
            raise CalibrationFormatError(f"{self.feature!r} makes {len(self)} groups, and there may be {MOST_GROUPS}")
        length, most = len(self.to_text()), LONGEST_BY + len(self.feature)
        if length > most:
            raise CalibrationFormatError(
                f"the groups of {self.feature!r} take {length} characters as JSON, and there may be {most}"
            )

    def __len__(self) -> int:
        return len(self.values) or len(self.edges) + 1

    @property
    def names(self) -> tuple[str, ...]:
        """What people call the groups, in their order."""
        if self.values:
            return self.values
        between = zip(self.edges, self.edges[1:], strict=False)
        return (
            f"below {self.edges[0]:.9g}",
            *(f"{low:.9g} to below {high:.9g}" for low, high in between),
            f"{self.edges[-1]:.9g} and above",
        )

    def place(self, value: str | float | None) -> int:
        """The group of a row with this value; ``OTHERS`` where it is in none."""
        if value is None or value != value or isinstance(value, str) != bool(self.values):
            return OTHERS
        if isinstance(value, str):
            return self.values.index(value) if value in self.values else OTHERS
        return bisect_right(self.edges, value)

    def to_text(self) -> str:
        """The one JSON text of these groups."""
        document = {"feature": self.feature, "values": list(self.values)}
        if self.values:
            return json.dumps(document, separators=(",", ":"))
        edges = ",".join(f"{edge:.{EDGE_DIGITS}g}" for edge in self.edges)
        return f'{{"feature":{json.dumps(self.feature)},"edges":[{edges}]}}'

    @classmethod
    def of(cls, feature: str, *, number: bool, groups: Sequence[str] | None, edges: Sequence[float] | None) -> Self:
        """The groups that are declared of a feature: its spans where it is a number, and else those of its values.

        Raises
        ------
        CalibrationFormatError
            When these are too many, or their names too long.
        """
        return cls(feature, edges=tuple(edges or ())) if number else cls(feature, values=tuple(groups or ()))

    @classmethod
    def from_document(cls, document: Any) -> Self:
        """The groups that were written so.

        Raises
        ------
        CalibrationFormatError
            Naming what is wrong.
        """
        if not isinstance(document, dict) or document.keys() not in ({"feature", "values"}, {"feature", "edges"}):
            raise CalibrationFormatError(f"by is {shown(document)}, not a feature with values or edges")
        groups = document.get("values", document.get("edges"))
        if not isinstance(groups, list):
            raise CalibrationFormatError(f"by has {shown(groups)}, not a list")
        return cls(document["feature"], tuple(document.get("values", ())), tuple(document.get("edges", ())))


def _edge(feature: str, edge: Any) -> float:
    if isinstance(edge, bool) or not isinstance(edge, int | float) or not math.isfinite(edge):
        raise CalibrationFormatError(f"an edge of {feature!r} is {shown(edge)}, not a finite number")
    return float(f"{edge:.{EDGE_DIGITS}g}") + 0.0
