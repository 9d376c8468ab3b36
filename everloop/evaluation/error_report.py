"""What the evaluation says of the candidate's errors: where it fails, and what its answers depend on."""

from __future__ import annotations

from dataclasses import dataclass, field

from everloop.typed_json import ADDED


@dataclass(frozen=True)
class Confusion:
    """Decisions at the threshold against outcomes, in rows."""

    threshold: float
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int


@dataclass(frozen=True)
class WorstRow:
    """A test row with one of the largest losses.

    Attributes
    ----------
    day : str
        Its UTC day. The row's key is not kept.
    outcome, score, loss : float
        Of several classes ``outcome`` is the place of the one that came, and ``score`` its probability.
    came, answered : str
        Of several classes the names of the one that came and of the likeliest one; else empty.
    features : dict of str to str
        Its values as text, ``missing`` where there is none, ``masked`` of a feature that is declared personal.
    """

    day: str
    outcome: float
    score: float
    loss: float
    features: dict[str, str]
    came: str = field(default="", metadata=ADDED)
    answered: str = field(default="", metadata=ADDED)


@dataclass(frozen=True)
class Importance:
    """How much worse the answers are when a feature's values are dealt out to other rows.

    Attributes
    ----------
    increase : float
        Of the loss, on average over the deals.
    low, high : float or None
        The 95% interval of the first deal's, with days as clusters; None where the rows do not give one.
    """

    feature: str
    increase: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Dependence:
    """The mean score when all rows have the same value of a feature; of several classes the probability of one.

    Attributes
    ----------
    values : tuple of str
        Quantiles of a number, or the commonest values of a category; rising, as text.
    scores : tuple of float or None
        None where no row has a score.
    of_class : str
        The class whose probability it is, of several; else empty.
    """

    feature: str
    values: tuple[str, ...]
    scores: tuple[float | None, ...]
    of_class: str = field(default="", metadata=ADDED)


@dataclass(frozen=True)
class Errors:
    """The error analysis, in ``metric``, of ``rows`` test rows.

    Attributes
    ----------
    confusion : Confusion or None
        Of all test rows; None of a regression, and of several classes, whose confusion the report has beside.
    worst : tuple of WorstRow
        Of all test rows, the largest loss first.
    rows : int
        Rows that importance and dependence are of, drawn with a seed where there are more.
    importance : tuple of Importance
        The most important feature first.
    dependence : tuple of Dependence
        Of the most important features, in the same order; of several classes one for each class and feature.
    """

    metric: str
    rows: int
    confusion: Confusion | None
    worst: tuple[WorstRow, ...]
    importance: tuple[Importance, ...]
    dependence: tuple[Dependence, ...]
