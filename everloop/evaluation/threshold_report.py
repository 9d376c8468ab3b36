"""The threshold that was cheapest on rows the model had not learned from, beside the one that serves."""

from __future__ import annotations

from dataclasses import dataclass

from everloop.evaluation.measured import PairedDifference


@dataclass(frozen=True)
class ThresholdChoice:
    """Two thresholds, compared in money on the test rows.

    Attributes
    ----------
    serving : float
        The one of the contract.
    cheapest : float
        Whose decisions cost least on the validation rows, by the prices of ``problem.value``. No test row chose it.
    validation_rows : int
    paired : PairedDifference
        What 1,000 decisions on the test rows cost with ``cheapest``, less what they cost with ``serving``.
    """

    serving: float
    cheapest: float
    validation_rows: int
    paired: PairedDifference


def told(found: ThresholdChoice, currency: str) -> str:
    """The comparison as a sentence."""
    paired = found.paired
    known = paired.low is not None and paired.high is not None
    interval = f" (95%: {paired.low:+,.2f} to {paired.high:+,.2f})" if known else ""
    return (
        f"On {found.validation_rows:,} validation rows, acting from a score of {found.cheapest:.3g} on cost least. On"
        f" the test rows that changes the cost of 1,000 decisions by {paired.difference:+,.2f} {currency}{interval}."
        f" The threshold that serves is {found.serving:.3g}."
    )
