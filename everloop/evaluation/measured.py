"""Numbers that were measured on rows, with their error: a metric, and the difference of one between two models."""

from __future__ import annotations

from dataclasses import dataclass

SHARES = frozenset({"accuracy", "balanced_accuracy", "macro_f1", "roc_auc_ovr"})
"""Metrics of several classes from 0 to 1, of which the highest is the best."""

AREAS = frozenset({"roc_auc"}) | SHARES
"""Metrics from 0 to 1, whose bounds stay there; but accuracy none is a mean over rows."""


@dataclass(frozen=True)
class Parts:
    """A mean over rows as a constant and weighted counts; see :mod:`everloop.evaluation.bounds`.

    Of a classification's loss the rows that count are the surprising ones: those whose label is the one that the
    scores take for less likely. A row's weight is what it costs more for surprising. Of a regression, and ``by_row``,
    every row counts, with its distance from the median.

    Attributes
    ----------
    rows : int
        All of them.
    counted : int
        Rows of the rarer class; all where every row counts.
    share : float
        Of the surprising rows among all; 0 where every row counts.
    share_error : float
        The standard error over days of that share, relative to it; 0 where every row counts.
    up, up_squares, up_next : float
        Of the weights that raise the mean: their sum over the rows that count, that of their squares, and the weight
        that one more such row would have: of surprising rows the mean over all, each by its weight.
    down, down_squares, down_next : float
        The same of the weights that lower it.
    up_largest, down_largest : float
        The largest weight where every row counts, else 0.
    by_row : Parts or None
        Of a classification: the same mean with every row counted.
    """

    rows: int
    counted: int
    share: float
    share_error: float
    up: float
    up_squares: float
    up_next: float
    down: float
    down_squares: float
    down_next: float
    up_largest: float = 0.0
    down_largest: float = 0.0
    by_row: Parts | None = None

    def mirrored(self) -> Parts:
        """The parts of the mean's negative."""
        up, down = (self.up, self.up_squares, self.up_next), (self.down, self.down_squares, self.down_next)
        largest, by_row = (self.down_largest, self.up_largest), self.by_row and self.by_row.mirrored()
        return Parts(self.rows, self.counted, self.share, self.share_error, *down, *up, *largest, by_row)


@dataclass(frozen=True)
class MetricValue:
    """A metric with its two-sided 95% interval.

    Attributes
    ----------
    value : float or None
        None where the rows do not define it.
    low, high : float or None
        None where the rows do not give an interval; ``reason`` says why.
    standard_error : float or None
    degrees_of_freedom : int
    parts : Parts or None
        None for the AUC, which is not a mean over rows.
    """

    value: float | None
    low: float | None
    high: float | None
    standard_error: float | None = None
    degrees_of_freedom: int = 0
    parts: Parts | None = None
    reason: str = ""


@dataclass(frozen=True)
class PairedDifference:
    """Candidate minus other in one metric, on the same rows.

    Attributes
    ----------
    difference : float
        Negative where the candidate is better (the gate's metrics are losses).
    standard_error : float or None
        Robust to dependence within a day; None where the rows are of one day.
    degrees_of_freedom : int
        Days less one, or fewer where a few days have most rows.
    low, high : float or None
        The two-sided 95% interval; None where the rows do not give one, and ``reason`` says why.
    p_value : float or None
        Of no difference, two-sided.
    parts : Parts or None
        What the difference is made of; None for the AUC.
    days : int
        Days of the rows.
    """

    metric: str
    difference: float
    standard_error: float | None
    degrees_of_freedom: int
    low: float | None
    high: float | None
    p_value: float | None
    parts: Parts | None = None
    reason: str = ""
    days: int = 0
