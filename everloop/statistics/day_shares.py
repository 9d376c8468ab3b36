"""How sure a share of rows is whose rows come in days: from sums that add up, in pure Python.

Rows of a day may depend on each other in any way; days are independent. What the days' shares differ by says how many
independent rows all of them are worth, and Wilson's interval is taken of so many: so it stays within 0 and 1, and is no
point where every row lies inside. Then nothing is known of how days differ, and each day counts as one row.

References
----------
A. Agresti, B. A. Coull, "Approximate is better than 'exact' for interval estimation of binomial proportions", The
American Statistician 52 (1998); of the effective number of rows: L. Kish, "Survey Sampling" (1965), section 8.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from everloop.statistics.student_t import t_quantile

CONFIDENCE = 0.95


@dataclass(frozen=True)
class DayShares:
    """Of some days with rows: how many of their rows are inside something.

    Attributes
    ----------
    days, rows, inside : int
    inside_squares, inside_rows, rows_squares : int
        Sums over the days: of the rows inside squared, of these times the day's rows, of the day's rows squared.
    """

    days: int = 0
    rows: int = 0
    inside: int = 0
    inside_squares: int = 0
    inside_rows: int = 0
    rows_squares: int = 0

    def plus(self, inside: int, rows: int) -> DayShares:
        """With one more day; one without rows is none."""
        if not rows:
            return self
        return DayShares(
            self.days + 1,
            self.rows + rows,
            self.inside + inside,
            self.inside_squares + inside * inside,
            self.inside_rows + inside * rows,
            self.rows_squares + rows * rows,
        )

    @property
    def share(self) -> float | None:
        """The share inside; None of no rows."""
        return self.inside / self.rows if self.rows else None

    def bounds(self) -> tuple[float, float] | None:
        """The two-sided 95% interval of the share; None for fewer than two days."""
        if self.days < 2 or self.share is None:
            return None
        share = self.share
        worth = self._worth(share)
        freedom = max(1.0, self.rows**2 / self.rows_squares - 1)
        t = t_quantile((1 + CONFIDENCE) / 2, freedom)
        middle = (share + t * t / (2 * worth)) / (1 + t * t / worth)
        half = t / (1 + t * t / worth) * math.sqrt(share * (1 - share) / worth + t * t / (4 * worth * worth))
        return max(0.0, min(middle - half, share)), min(1.0, max(middle + half, share))

    def _worth(self, share: float) -> float:
        """How many independent rows they are worth, at most all."""
        if self.inside in (0, self.rows):
            return float(self.days)
        apart = self.inside_squares - 2 * share * self.inside_rows + share * share * self.rows_squares
        variance = self.days / (self.days - 1) * max(apart, 0.0) / self.rows**2
        binomial = share * (1 - share)
        return min(float(self.rows), binomial / variance) if variance > 0 else float(self.rows)
