"""What the evaluation says of held-out groups: entities of which neither candidate nor training has seen a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from everloop.evaluation.measured import MetricValue

Basis = Literal["held_out", "learned"]
"""Of which groups the rows are on which the champion is compared: of those that neither has learned from, or of those
that both have, where the champion is from before groups were held out."""


@dataclass(frozen=True)
class HeldGroupsFacts:
    """The groups that judge a candidate, and how it does beside them on groups that it knows.

    Attributes
    ----------
    column : str
        The feature whose values are the groups.
    share : float
        Of the groups that are held out, as declared.
    groups : int
        Held-out groups with a test row.
    test_rows : int
        Of the whole test part; the report's ``rows`` are those of held-out groups.
    known_groups, known_rows : int
        The other groups with a test row, and their rows, none of which was learned from.
    known : MetricValue or None
        The candidate's gate metric on these; None where there are none.
    champion_basis : {"held_out", "learned"} or None
        Where the champion is compared; None without one.
    champion_groups : int or None
        Groups of the rows on which it is.
    """

    column: str
    share: float
    groups: int
    test_rows: int
    known_groups: int
    known_rows: int
    known: MetricValue | None
    champion_basis: Basis | None = None
    champion_groups: int | None = None
