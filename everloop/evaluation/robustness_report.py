"""What the evaluation says of robustness: what disturbed rows do to the candidate's answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from everloop.typed_json import ADDED

Kind = Literal["missing", "unseen", "extreme", "noise", "unit", "search"]

KINDS: tuple[Kind, ...] = ("missing", "unseen", "extreme", "noise", "unit", "search")


@dataclass(frozen=True)
class Disturbance:
    """The test rows, changed in one way, and what the candidate then says.

    Attributes
    ----------
    kind : str
        ``missing``: a feature that may be missing is, in every row. ``unseen``: it has a category that training never
        saw. ``extreme``: a number is at an end of its declared range. ``noise``: every number moves a little. ``unit``:
        a number comes in another unit, as when a sender changes it without telling. ``search``: of many small moves of
        a row's numbers, those that hurt most.
    feature : str
        Empty where it is several.
    told : str
        The change in words.
    rows : int
        Rows that were changed and scored.
    refused : float
        Share of the changed rows that the contract refuses, so that no caller would get an answer. They are not scored.
    increase : float or None
        By how much the loss (``metric`` of :class:`Robustness`) grows on the scored rows; None where all are refused.
    low, high : float or None
        Its 95% interval with days as clusters; None where the rows do not give one.
    moved : float or None
        Mean absolute change of the score; of several classes the mean total variation between the probabilities:
        half the sum of their absolute changes.
    flipped : float or None
        Share of scored rows that get another decision, of several classes another likeliest class; None of a
        regression.
    unanswered : float
        Share of the rows that the contract takes for which the model has no score that can be answered. They are left
        out of the figures.
    """

    kind: Kind
    feature: str
    told: str
    rows: int
    refused: float
    increase: float | None
    low: float | None
    high: float | None
    moved: float | None
    flipped: float | None
    unanswered: float = field(default=0.0, metadata=ADDED)


@dataclass(frozen=True)
class Robustness:
    """How far the candidate's answers move when rows are not as they were.

    Attributes
    ----------
    metric : str
        What the increases are of.
    rows : int
        Test rows that were disturbed, drawn from all with a seed where those are more.
    loss : float
        Of these rows, undisturbed.
    disturbances : tuple of Disturbance
    left_out : tuple of str
        What could not be tried, as sentences without a full stop.
    """

    metric: str
    rows: int
    loss: float
    disturbances: tuple[Disturbance, ...]
    left_out: tuple[str, ...] = ()

    def worst(self, kind: Kind) -> Disturbance | None:
        """The disturbance of a kind that raises the loss most; None where none of the kind was scored."""
        scored = [one for one in self.disturbances if one.kind == kind and one.increase is not None]
        return max(scored, key=lambda one: one.increase or 0.0, default=None)
