"""Whether more rows would help: the loss of models that learned from fewer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LearningPoint:
    """A model that learned from ``rows`` rows, and its loss with a 95% interval (None where the rows give none)."""

    rows: int
    loss: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class LearningCurve:
    """Models of the same script, each learned from twice as many rows as the one before, on the same later rows.

    Attributes
    ----------
    metric : str
    validation_rows : int
        The newest training rows, which none of these models learned from. The test rows are not among them.
    points : tuple of LearningPoint
        Fewest rows first.
    change : float or None
        The last point's loss less that of half as many rows: below 0, more rows have helped. None of one point.
    low, high : float or None
        Its 95% interval, with days as clusters.
    left_out : tuple of str
        What could not be learned, as sentences without a full stop.
    threshold : float or None
        Of a classification: whose decisions by the last model cost least on the validation rows.
    """

    metric: str
    validation_rows: int
    points: tuple[LearningPoint, ...]
    change: float | None
    low: float | None
    high: float | None
    left_out: tuple[str, ...] = ()
    threshold: float | None = None


def more_rows(curve: LearningCurve) -> str:
    """What the curve says of more rows, as a sentence."""
    if curve.change is None:
        return "Whether more rows would help is not known: fewer than two models could be learned."
    told = f"The last doubling of the rows changed {curve.metric} by {curve.change:+.4g}"
    if curve.low is None or curve.high is None:
        return f"{told}; how sure that is can't be said."
    interval = f"{told} (95%: {curve.low:+.4g} to {curve.high:+.4g})"
    if curve.high < 0:
        return f"{interval}: more rows still help."
    if curve.low > 0:
        return f"{interval}: more rows made it worse, so older or other rows may mislead."
    return f"{interval}: it is not shown that more rows help."
