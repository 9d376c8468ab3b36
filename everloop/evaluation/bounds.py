"""How bad a mean over rows can be, with a declared confidence: pure Python, since the gate runs where numpy does not.

Four bounds are made and the worst one counts, because each holds where another fails:

- *over days*: Student's t with an error that is robust to any dependence within a day. It sees whatever makes days
  differ, but only what has happened: where no positive fell into the test part it finds no error at all.
- *by chance*: whatever the labels, the scores are known, and so is what each row costs more when its label is the one
  that they take for less likely. The estimate is a constant and a weighted count of such surprises, and the
  uncertainty of a weighted count is known even where there are few, or none (Fay and Feuer: a gamma distribution, with
  one more row added for what might have come. They give it the greatest weight of any row, which a single extreme
  score would make useless; here it has the mean over all rows, each by its weight; of a regression, where no scores
  say what a row may weigh, it has the greatest weight). For a difference of two counts
  the bounds are joined as Donner and Zou do.
- *of uneven days*: where days have more surprises by a factor, good days outnumber bad ones, and a mean over few of
  them is mostly too low. The part of the error that follows the count is taken as gamma distributed, whose
  uncertainty grows with its mean.

``benchmarks/gate_rates.py``, ``benchmarks/few_rows_rates.py`` and ``benchmarks/rare_faults_rates.py`` show the rates.
What no bound can see is what did not happen: rows on which a model is badly wrong, none of which fell into the test
part. No test of a mean without limits keeps its rate whatever the rows are like (Bahadur and Savage). So the promise is
for faults that at least a declared share of the rows has, and there is a least number of rows and of days: see
:func:`rows_needed`, :func:`rarest_seen` and :func:`days_needed`.

References
----------
M. P. Fay, E. J. Feuer, "Confidence intervals for directly standardized rates: a method based on the gamma
distribution", Statistics in Medicine 16 (1997).
A. Donner, G. Y. Zou, "Closed-form confidence intervals for functions of the normal mean and standard deviation",
Statistical Methods in Medical Research 21 (2012).
R. R. Bahadur, L. J. Savage, "The nonexistence of certain statistical procedures in nonparametric problems", Annals of
Mathematical Statistics 27 (1956).
P. Embrechts, C. Kluppelberg, T. Mikosch, "Modelling Extremal Events" (1997), section 6.2.6: the largest share of a sum
of powers goes to zero where, and only where, the rows' moment of that order is finite.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from everloop.evaluation.report import Parts
from everloop.statistics.chi_square import chi_square_tail
from everloop.statistics.gamma import gamma_quantile
from everloop.statistics.sign_change import negative_from
from everloop.statistics.student_t import t_quantile

FEWEST_OF_A_CLASS = 10
"""With fewer rows of a class nothing is judged. The bounds hold below it too; but they then hardly ever let a better
model pass (``benchmarks/gate_rates.py``), and "too few" says what is the matter where "not shown" would not."""
_UNMOVED = 1e-4
_UNLIKELY = 1e-9
_CLOSE = 1e-10

NEXT_OF_REGRESSION = 1.5
"""How much larger than the largest row the one is that is added. Of a Pareto tail with the index 3, what is missing
beyond the largest row comes on average to that; of heavier ones to more, which is then mostly seen to be so."""

NEXT_OF_HEAVY = 10
"""The same where one row has too much of the squares. A Pareto tail with the index 1.1 comes to about that."""


def rows_needed(confidence: float, rarest_fault: float) -> int:
    """The fewest rows that anything is judged on.

    With so many, a kind of row that makes up the share ``rarest_fault`` of all is missing with at most half of the
    probability ``1 - confidence``. The other half is left to what a bound must be wrong in where one such row was
    seen, or two.
    """
    return math.ceil(math.log((1 - confidence) / 2) / math.log1p(-rarest_fault))


def rarest_seen(confidence: float, rows: int) -> float:
    """The share of the rows from which on a kind of row is not missing among ``rows``; see :func:`rows_needed`."""
    return -math.expm1(math.log((1 - confidence) / 2) / rows)


def most_of_squares(rows: int) -> float:
    """The share of the sum of squares up to which the largest of ``rows`` is one row among others.

    With a finite variance that share falls towards zero as rows grow in number, with an infinite one it does not.
    ``benchmarks/rare_faults_rates.py`` shows what is found on either side.
    """
    return float(min(0.2, rows**-0.25))


def largest_of_squares(parts: Parts) -> float:
    """The largest row's share of the sum of squares among the rows that raise the mean; 0 where none does."""
    rows = parts.by_row or parts
    return rows.up_largest**2 / rows.up_squares if rows.up_squares > 0 else 0.0


def days_needed(confidence: float) -> int:
    """The fewest days that anything is judged on, never below two.

    Fewer lie on the same side of their median by chance more often than ``1 - confidence``, whatever they are like.
    """
    return max(2, math.ceil(-math.log2(1 - confidence) - 1e-9))


def upper_bound(value: float, error: float, freedom: int, parts: Parts, confidence: float, *, seen: int = 0) -> float:
    """What the truth lies at or below with ``confidence``.

    Parameters
    ----------
    value, error : float
        The estimate, and its standard error over days.
    freedom : int
        Days less one, at least 1.
    parts : Parts
        What the estimate is made of.
    confidence : float
        One-sided, from 0.5 to below 1.
    seen : int
        The rows of the rarer class without which nobody would ask. A decision keeps its rate over all runs, those
        that are refused for too few among them; an interval that is reported must hold among those that are. So
        many rows of a class where few were to be expected came by luck, and the bound must allow for it.
    """
    # Days are skewed, and the mean of few is the further off; one degree of freedom less makes up for it.
    t = t_quantile(confidence, max(1, freedom - 1))
    by_row = 0.0 if parts.by_row is None else _by_chance(parts.by_row, confidence, 0)
    by_chance = _by_chance(parts, confidence, seen)
    return value + max(t * error, by_chance, by_row, _of_uneven_days(error, t, parts, confidence))


def lower_bound(value: float, error: float, freedom: int, parts: Parts, confidence: float, *, seen: int = 0) -> float:
    """What the truth lies at or above with ``confidence``; see :func:`upper_bound`."""
    return -upper_bound(-value, error, freedom, parts.mirrored(), confidence, seen=seen)


def area_bounds(value: float, error: float, freedom: int, confidence: float) -> tuple[float, float]:
    """What an area under the ROC curve lies at or above, and at or below, each with ``confidence``.

    On the log odds of the area, so that both stay between 0 and 1.
    """
    inside = min(max(value, error / 2), 1 - error / 2)
    if not 0 < inside < 1:
        return value, value
    centre = math.log(inside / (1 - inside))
    half = t_quantile(confidence, freedom) * error / (inside * (1 - inside))
    low, high = (1 / (1 + math.exp(-min(max(z, -700.0), 700.0))) for z in (centre - half, centre + half))
    return low, high


def least_area_error(value: float, ones: float, zeros: float) -> float:
    """The standard error that an area under the ROC curve has at least: that of independent rows.

    Where every positive lies above every negative, rows and days agree perfectly, which is no certainty. It is Hanley
    and McNeil's, in the form that does best with few rows of a class: with the mean of both numbers in place of each
    (R. G. Newcombe, Statistics in Medicine 25 (2006), method 5).
    """
    # Half a pair on either side keeps the area off 0 and 1.
    area = (value * ones * zeros + 0.5) / (ones * zeros + 1)
    pairs = (ones + zeros) / 2 - 1
    return math.sqrt(area * (1 - area) * (1 + pairs * ((1 - area) / (2 - area) + area / (1 + area))) / (ones * zeros))


def _by_chance(parts: Parts, confidence: float, seen: int) -> float:
    common = 1 - parts.share
    above = _count_above(parts.up, common * parts.up_squares, parts.up_next, confidence) - parts.up
    below = parts.down - _count_below(
        parts.down, common * parts.down_squares, confidence, min(1.0, seen / max(1, parts.counted))
    )
    return math.hypot(above, below) / parts.rows


def _count_above(count: float, squares: float, following: float, confidence: float) -> float:
    """The upper bound of a weighted count's mean: as if one more row of that weight had come."""
    if following <= 0:
        return 0.0
    mean, variance = count + following, squares + following**2
    return gamma_quantile(confidence, mean**2 / variance) * variance / mean


def _count_below(count: float, squares: float, confidence: float, seen: float) -> float:
    """The lower bound of a weighted count's mean, given that it came to the share ``seen`` of itself at least."""
    if count <= 0 or squares <= 0:
        return count
    number, unit = count**2 / squares, squares / count
    high = gamma_quantile(1 - confidence, number)
    if not seen or _reached(number * seen, high) > 1 - _UNMOVED:
        return high * unit

    def surprise(mean: float) -> float:
        """Below 0 where the mean is not too small. Then the count is not too unlikely, given that it came so far."""
        reached, whole = _reached(number * seen, mean), _reached(number, mean)
        # The smaller the mean, the less likely the count, until the probabilities have no digits left.
        return math.log((1 - confidence) * reached / whole) if reached >= _UNLIKELY and whole > 0 else math.inf

    low = negative_from(surprise, 0.0, high, within=_CLOSE * high)
    return low * unit if _reached(number * seen, low) >= 2 * _UNLIKELY else 0.0


def _reached(number: float, mean: float) -> float:
    """The probability that a count of that mean comes to ``number`` at least."""
    return 1 - chi_square_tail(2 * mean, 2 * number)


def _of_uneven_days(error: float, t: float, parts: Parts, confidence: float) -> float:
    """The part of the error that follows the count of the rarer class as a gamma variable, and the rest as before."""
    slope = (parts.up - parts.down) / parts.rows
    following = min(error, slope * parts.share_error)
    if following <= 0:
        return 0.0
    # Near one half, more of one class is as much less of the other, and days are even.
    evenness = max(1 - 2 * parts.share, 1e-9)
    z = NormalDist().inv_cdf(confidence)
    # Squared, as the share's own error is learned from the same few days, and too small on quiet ones.
    widened = (t / z) ** 2 if z > 1e-6 else 1.0
    shape = 1 / (parts.share_error * evenness * widened) ** 2
    # Beyond that many of its own errors nothing passes anyway, and the quantile would be no number.
    quantile = gamma_quantile(1 - confidence, shape) if shape > 1e-2 else 0.0
    excess = following / (parts.share_error * evenness) * (shape / quantile - 1) if quantile > 0 else math.inf
    rest = math.sqrt(max(0.0, error**2 - following**2))
    return math.hypot(excess, t * rest)
