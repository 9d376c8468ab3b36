"""What the evaluation says of slices: parts of the test rows that share something, each measured by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from everloop.evaluation.measured import MetricValue, PairedDifference

SliceKind = Literal["declared", "pair", "found"]


@dataclass(frozen=True)
class SliceFacts:
    """One slice, in the gate's metric.

    Attributes
    ----------
    name : str
        The condition on the features, as people say it.
    kind : {"declared", "pair", "found"}
    rows, days : int
    reason : str
        Why it is not judged; empty where it is.
    candidate, baseline : MetricValue or None
        None where the slice is not judged.
    paired_baseline : PairedDifference or None
    paired_champion : PairedDifference or None
        On the slice's rows that the champion has not learned from, by the scores that decide.
    champion_reason : str
        Why there is no comparison with the champion.
    """

    name: str
    kind: SliceKind
    rows: int
    days: int
    reason: str
    candidate: MetricValue | None = None
    baseline: MetricValue | None = None
    paired_baseline: PairedDifference | None = None
    paired_champion: PairedDifference | None = None
    champion_reason: str = ""


@dataclass(frozen=True)
class Slices:
    """All slices of an evaluation.

    Attributes
    ----------
    metric : str
        The gate's.
    minimum_rows : int
        Smaller slices are named and not judged.
    slices : tuple of SliceFacts
    worst : str or None
        The judged slice whose metric is at least the highest, all of them taken together at 95% confidence; None where
        no interval is known.
    worst_at_least : float or None
        That bound.
    left_out : tuple of str
        What was not made a slice, and why, a sentence each.
    search : str
        How slices were looked for among the errors, or why they were not.
    """

    metric: str
    minimum_rows: int
    slices: tuple[SliceFacts, ...]
    worst: str | None
    worst_at_least: float | None
    left_out: tuple[str, ...]
    search: str

    @property
    def judged(self) -> tuple[SliceFacts, ...]:
        """Those that are large enough."""
        return tuple(one for one in self.slices if not one.reason)
