"""Judges, on arrived labels, whether the champion still answers right.

A loss that rises need not be the champion's fault: in stormy weeks delays are harder to tell, and in quiet ones
easier. So its answers are not compared with an earlier loss but with themselves, put right: if the champion is as
good as it claims, then over any rows its scores are neither too high nor too low (the level), and outcomes follow
them as strongly as the scores differ (the spread). Both are linear conditions whose sums add up over rows:

- level: the residuals y - s sum to zero;
- spread: so do the residuals times the centred log odds (for regression: times the centred score). A negative sum
  says that the scores differ more than the outcomes do, which is what loss of discrimination looks like. A
  positive one is no decay.

Each is tested over days, as days are what varies independently: the variance is robust to any dependence within a
day. That alone would be blind where outcomes are rare: days without a positive hardly differ, and two positives would
be a certain decay. So the answers' own claim is heard as well. The number of positives is compared with the scores by
the binomial distribution, whose tails bound those of unequal probabilities (Hoeffding), and the larger of both
p-values counts; the spread's variance is never taken for less than the scores say it has. The rate of false alarms is
that of a single look: looks at overlapping days are not independent, and over many the chance of one adds up.
``benchmarks/quality_rates.py`` shows the rates.

Of several classes the outcome is whether the answered one came, and the score its probability
(:mod:`everloop.monitoring.several_classes`).

What such a deviation costs is the part of the deviance that a recalibration of the same scores would save, to
second order U^2 / 2I with the sum U and its information I: a lower bound to what a freshly trained model would
answer better, known without training one.

References
----------
W. Hoeffding, "On the distribution of the number of successes in independent trials", Annals of Mathematical
Statistics 27 (1956), theorem 4.
D. R. Cox, "Two further applications of a model for binary regression", Biometrika 45 (1958).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from everloop.documents.window import DeviationDocument, IntervalDocument, QualityDocument
from everloop.evaluation.bounds import FEWEST_OF_A_CLASS, area_bounds, least_area_error, rows_needed
from everloop.monitoring.bins import CategoryBins
from everloop.monitoring.profile import Outcomes
from everloop.monitoring.reference import Reference
from everloop.numbers_of import number_of
from everloop.statistics.binomial import both_tails
from everloop.statistics.clusters import error_of_mean
from everloop.statistics.student_t import t_cdf, t_quantile

if TYPE_CHECKING:
    from everloop.model_file.schema import QualityTrigger

TESTS = 2
_ROUNDING = 1e-9
CONFIDENCE = 0.95
"""Of the two-sided intervals that are reported."""


@dataclass(frozen=True)
class Deviation:
    """One way in which the scores do not fit the outcomes.

    Attributes
    ----------
    kind : {"level", "spread"}
    amount : float
        For the level, mean outcome less mean score. For the spread, how much steeper (or, negative, flatter) the
        outcomes follow the scores than the scores say, as a fraction.
    increase : float
        How much more the answers lose than the same answers put right, relative to the latter.
    p_value : float
        With regard to both tests.
    """

    kind: str
    amount: float
    increase: float
    p_value: float
    fallen: bool

    def as_dict(self) -> DeviationDocument:
        """All but the kind, as JSON values."""
        return {
            "amount": self.amount,
            "increase": self.increase,
            "p_value": self.p_value,
            "fallen": self.fallen,
        }


@dataclass(frozen=True)
class Interval:
    """A value with its two-sided 95% interval over days; None where there is none, and ``reason`` says why."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str = ""

    def as_dict(self) -> IntervalDocument:
        """The interval as JSON values."""
        return {"value": self.value, "low": self.low, "high": self.high, "reason": self.reason}


@dataclass(frozen=True)
class QualityReport:
    """The labelled days that the champion served last.

    Attributes
    ----------
    evaluated : bool
        Whether the deviations were tested; ``reason`` says why not.
    days, rows : int
        What was judged.
    loss, auc : Interval
        ``auc`` from the counts by score bin; ``auc_error`` is the most that the binning can have moved it by.
    reference_loss : float or None
        On the test rows, when the champion was evaluated. For information: it decides nothing.
    """

    evaluated: bool
    days: int
    rows: int
    loss: Interval
    auc: Interval
    auc_error: float | None
    reference_loss: float | None
    deviations: tuple[Deviation, ...] = ()
    reason: str = ""

    @property
    def fallen(self) -> tuple[Deviation, ...]:
        """The deviations that count as fallen quality."""
        return tuple(d for d in self.deviations if d.fallen)

    def as_dict(self) -> QualityDocument:
        """The report as JSON values, each deviation by its kind."""
        return {
            "evaluated": self.evaluated,
            "days": self.days,
            "rows": self.rows,
            "loss": self.loss.as_dict(),
            "auc": self.auc.as_dict(),
            "auc_error": self.auc_error,
            "reference_loss": self.reference_loss,
            "deviations": {d.kind: d.as_dict() for d in self.deviations},
            "reason": self.reason,
        }


def judge_quality(
    reference: Reference,
    windows: Sequence[Outcomes],
    *,
    trigger: QualityTrigger | None,
    window_days: int,
    minimum_rows: int,
    rarest_fault: float,
) -> QualityReport:
    """Judge the latest labelled windows of one champion.

    Parameters
    ----------
    windows : sequence of Outcomes
        Newest first: of each window the rows that this champion answered. Windows without any are left out.
    trigger : QualityTrigger or None
        What counts as fallen; None describes the quality and tests nothing.
    minimum_rows : int
        Fewer labelled rows in all are not tested.
    rarest_fault : float
        The share of rows from which on a large error of a regression must be among them; see
        :func:`everloop.evaluation.bounds.rows_needed`.
    """
    wanted = max(1, math.ceil((trigger.days if trigger else 1) / window_days))
    latest = [w for w in windows if w.rows][:wanted]
    total = reduce(add, latest, Outcomes())
    several = reference.score is not None and isinstance(reference.score.bins, CategoryBins)
    deviations: tuple[Deviation, ...] = ()
    reason = ""
    if trigger is None:
        reason = "no quality trigger is declared"
    elif len(latest) < wanted:
        reason = f"this champion has {len(latest)} of the {number_of(wanted, 'labelled window')} needed"
    elif len(latest) < 2:
        reason = "one window does not show how days differ: declare more days than a window has"
    elif total.rows < minimum_rows:
        reason = f"there are {total.rows} labelled rows, and {minimum_rows} are required"
    elif not total.binary and total.rows < (needed := rows_needed(trigger.confidence, rarest_fault)):
        # Without its rare large errors a right level looks wrong, and scores claim no size for those of a regression.
        reason = f"there are {total.rows} labelled rows, too few to judge: {needed} are needed"
    else:
        deviations = tuple(_judge(d, total, trigger) for d in (_level(latest, total), _spread(latest, total)))
    return QualityReport(
        evaluated=bool(deviations),
        days=len(latest) * window_days,
        rows=total.rows,
        loss=_loss(latest, total),
        auc=Interval(None, reason=_NO_ONE_CURVE) if several else _auc_interval(latest, total),
        auc_error=None if several else binning_error(total),
        reference_loss=None if reference.outcomes is None else reference.outcomes.mean_loss,
        deviations=deviations,
        reason=reason,
    )


def auc(outcomes: Outcomes) -> float | None:
    """The area under the ROC curve from counts by score bin, ties within a bin counting half; None for one class."""
    ones, zeros = sum(outcomes.ones), sum(outcomes.zeros)
    if not ones or not zeros:
        return None
    below, wins = 0, 0.0
    for one, zero in zip(outcomes.ones, outcomes.zeros, strict=True):
        wins += one * (below + zero / 2)
        below += zero
    return wins / (ones * zeros)


def binning_error(outcomes: Outcomes) -> float | None:
    """The most by which binning can have moved the AUC: every pair within a bin ordered the same way."""
    ones, zeros = sum(outcomes.ones), sum(outcomes.zeros)
    if not ones or not zeros:
        return None
    return sum(a * b for a, b in zip(outcomes.ones, outcomes.zeros, strict=True)) / (2 * ones * zeros)


@dataclass(frozen=True)
class _Sums:
    """A deviation before it is judged.

    Attributes
    ----------
    parts : tuple of float
        Its sum U by window.
    information : float
        I: of a classification, the variance that the scores say U has.
    least_error : float
        What the standard error of U is at least, however alike the windows are.
    count : tuple of float and float, or None
        The number of positives, and what the scores say it is, where these alone make the sum.
    """

    kind: str
    parts: tuple[float, ...]
    rows: tuple[int, ...]
    information: float
    scale: float
    one_sided: bool
    least_error: float
    count: tuple[float, float] | None = None


def _level(windows: Sequence[Outcomes], total: Outcomes) -> _Sums:
    parts = tuple(w.label - w.score for w in windows)
    rows = tuple(w.rows for w in windows)
    count, least = ((total.label, total.score), 0.0) if total.binary else (None, math.sqrt(2 * total.deviance))
    return _Sums("level", parts, rows, total.v, float(total.rows), False, least, count)


def _spread(windows: Sequence[Outcomes], total: Outcomes) -> _Sums:
    centre = total.v_z / total.v if total.v else 0.0
    parts = tuple(w.residual_z - centre * (w.label - w.score) for w in windows)
    information = total.v_zz - centre * total.v_z
    if information <= _ROUNDING * total.v_zz:
        # Scores that are all alike: what is left of the sums are rounding errors, which a test would believe.
        parts, information = tuple(0.0 for _ in windows), 0.0
    # The residuals of a regression claim no variance; they have one.
    claimed = information if total.binary else information * 2 * total.deviance / total.rows
    least = math.sqrt(max(0.0, claimed))
    return _Sums("spread", parts, tuple(w.rows for w in windows), information, information, True, least)


def _judge(sums: _Sums, total: Outcomes, trigger: QualityTrigger) -> Deviation:
    whole = math.fsum(sums.parts)
    error, freedom = _standard_error(sums.parts, sums.rows)
    error = max(error, sums.least_error)
    saved = min(whole**2 / (2 * sums.information), total.deviance) if sums.information > 0 else 0.0
    left = total.deviance - saved
    increase = saved / left if left > 0 else (math.inf if saved else 0.0)
    probability = _p_value(whole, error, freedom, sums.one_sided)
    if sums.count is not None:
        probability = max(probability, both_tails(round(sums.count[0]), sums.count[1], total.rows))
    p_value = min(1.0, TESTS * probability)
    return Deviation(
        kind=sums.kind,
        amount=whole / sums.scale if sums.scale > 0 else 0.0,
        increase=min(increase, 1e6),
        p_value=p_value,
        fallen=p_value <= 1 - trigger.confidence and increase >= trigger.minimum_increase,
    )


def _p_value(whole: float, error: float, freedom: int, one_sided: bool) -> float:
    if error == 0:
        certain = whole < 0 or (whole > 0 and not one_sided)
        return 0.0 if certain else 1.0
    if one_sided:
        return t_cdf(whole / error, freedom)
    return 2 * t_cdf(-abs(whole) / error, freedom)


def _standard_error(parts: Sequence[float], rows: Sequence[int]) -> tuple[float, int]:
    """Of the sum of the parts, robust to dependence within a part; and its degrees of freedom."""
    total = sum(rows)
    mean = math.fsum(parts) / total
    error, freedom = error_of_mean([part - mean * n for part, n in zip(parts, rows, strict=True)], rows)
    return error * total, freedom


def _too_few(total: Outcomes) -> str:
    if not total.binary:
        return ""
    ones = round(total.label)
    label, rows = min((1, ones), (0, total.rows - ones), key=lambda found: found[1])
    if rows >= FEWEST_OF_A_CLASS:
        return ""
    return f"{number_of(rows, 'outcome')} of {label} are too few: {FEWEST_OF_A_CLASS} are needed"


def _loss(windows: Sequence[Outcomes], total: Outcomes) -> Interval:
    value = total.mean_loss
    if value is None or len(windows) < 2:
        return Interval(value, reason="" if value is None else _ONE_WINDOW)
    few = _too_few(total)
    if few:
        return Interval(value, reason=few)
    error, freedom = _standard_error([w.loss for w in windows], [w.rows for w in windows])
    if total.binary and math.isclose(total.loss, total.deviance):
        # What the scores say the variance of the log loss is.
        error = max(error, math.sqrt(total.v_zz))
    half = t_quantile((1 + CONFIDENCE) / 2, freedom) * error / total.rows
    return Interval(value, value - half, value + half)


_NO_ONE_CURVE = "several classes have no one curve"
_ONE_WINDOW = "one window does not show how days differ"


def _auc_interval(windows: Sequence[Outcomes], total: Outcomes) -> Interval:
    """The AUC, its interval by the jackknife over windows; never narrower than independent rows give."""
    value = auc(total)
    if value is None:
        return Interval(value)
    few = _too_few(total)
    if few or len(windows) < 2:
        return Interval(value, reason=few or _ONE_WINDOW)
    without = [auc(reduce(add, [o for j, o in enumerate(windows) if j != i], Outcomes())) for i in range(len(windows))]
    known = [w for w in without if w is not None]
    if len(known) < len(without):
        return Interval(value, reason="all outcomes of one class are in one window")
    groups, mean = len(known), math.fsum(known) / len(known)
    error = math.sqrt((groups - 1) / groups * math.fsum((w - mean) ** 2 for w in known))
    error = max(error, least_area_error(value, sum(total.ones), sum(total.zeros)))
    return Interval(value, *area_bounds(value, error, groups - 1, (1 + CONFIDENCE) / 2))
