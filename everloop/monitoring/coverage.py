"""How the intervals did that a version answered with, over its labelled windows; it needs no numpy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from everloop.documents.recalibration import CoverageDocument, SpreadDocument, SpreadFigures
from everloop.numbers_of import number_of
from everloop.statistics.day_shares import DayShares

if TYPE_CHECKING:
    from everloop.recalibration.spread.sums import Answered


@dataclass(frozen=True)
class Told:
    """How intervals did over the labelled windows of a version, each taken as a day.

    Attributes
    ----------
    width, outside : float
        Sums over the rows, in the value's unit.
    """

    shares: DayShares = field(default_factory=DayShares)
    width: float = 0.0
    outside: float = 0.0

    def plus(self, answered: Answered, rows: int) -> Told:
        """With one more window."""
        return Told(
            self.shares.plus(answered.inside, rows), self.width + answered.width, self.outside + answered.outside
        )

    def to_document(self) -> CoverageDocument:
        """As JSON."""
        shares = self.shares
        return {
            "days": shares.days,
            "rows": shares.rows,
            "inside": shares.inside,
            "inside_squares": shares.inside_squares,
            "inside_rows": shares.inside_rows,
            "rows_squares": shares.rows_squares,
            "width": self.width,
            "outside": self.outside,
        }

    @classmethod
    def from_document(cls, document: CoverageDocument) -> Told:
        """Read from JSON."""
        shares = DayShares(
            days=document["days"],
            rows=document["rows"],
            inside=document["inside"],
            inside_squares=document["inside_squares"],
            inside_rows=document["inside_rows"],
            rows_squares=document["rows_squares"],
        )
        return cls(shares, document["width"], document["outside"])

    def figures(self, coverage: float) -> SpreadFigures | None:
        """Coverage with its 95% interval, mean width and mean interval score; None of no rows."""
        rows = self.shares.rows
        if not rows or self.shares.share is None:
            return None
        bounds = self.shares.bounds()
        return {
            "rows": rows,
            "windows": self.shares.days,
            "coverage": self.shares.share,
            "low": bounds[0] if bounds else None,
            "high": bounds[1] if bounds else None,
            "mean_width": self.width / rows,
            "score": (self.width + self.outside * 2 / (1 - coverage)) / rows,
        }


def coverage_sentence(document: SpreadDocument) -> str:
    """How the intervals did that were answered, beside those of the birth."""
    served, raw = document["served"], document["raw"]
    declared = document["interval"]["coverage"]
    if served is None or raw is None:
        return f"no labelled row was answered with an interval of {declared:.3g} yet"
    between = "" if served["low"] is None else f" ({served['low']:.3f} to {served['high']:.3f})"
    over = f"{number_of(served['windows'], 'labelled window')} ({number_of(served['rows'], 'row')})"
    return (
        f"intervals of {declared:.3g} held {served['coverage']:.3f}{between} of the outcomes of {over}, and would have"
        f" held {raw['coverage']:.3f} as they were at birth; their mean score is {served['score']:.4g}, and"
        f" {raw['score']:.4g}"
    )
