"""Fairness: how groups of people fare by a candidate, and how far apart they are.

Definitions are fairlearn's (``fairlearn.metrics``), and the tests hold the figures against it. What it does not have is
how sure a gap is. It is the largest of all differences between two groups, so it is bounded by all of them together
(Bonferroni): where each pair's difference lies in its interval, so does the largest one.

References
----------
S. Barocas, M. Hardt, A. Narayanan, "Fairness and Machine Learning" (2023), chapter 3.
H. Weerts et al., "Fairlearn: assessing and improving fairness of AI systems", JMLR 24 (2023).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from everloop.evaluation.dimensions import Dimension
from everloop.evaluation.fairness_report import (
    MEASURES,
    Fairness,
    FairnessBy,
    Gap,
    GroupFacts,
    Measure,
    Rate,
    ReliabilityBin,
)
from everloop.evaluation.group_rates import GroupRates, difference_bounds, group_rates, mean_bounds
from everloop.numbers_of import number_of

CONFIDENCE = 0.95
BINS = 5
LEAST_FOR_BINS = 50

_RATE_OF: dict[Measure, tuple[str, ...]] = {
    "selection_rate_gap": ("selection",),
    "selection_rate_ratio": ("selection",),
    "true_positive_rate_gap": ("true_positive",),
    "false_positive_rate_gap": ("false_positive",),
    "equalized_odds_gap": ("true_positive", "false_positive"),
    "calibration_gap": ("calibration",),
}


@dataclass(frozen=True)
class Terms:
    """How groups are compared.

    Attributes
    ----------
    threshold : float or None
        None of a regression, and of several classes.
    minimum_rows : int
    confidence : float
        Of the gate.
    limits : int
        Declared limits, over all features and classes, among which a broken one may be found by chance.
    classes : tuple of str
        The names of several classes: each is held against all others, and a row is selected where it is the likeliest.
    """

    threshold: float | None
    minimum_rows: int
    confidence: float
    limits: int
    classes: tuple[str, ...] = ()


def fairness_of(
    dimensions: Sequence[Dimension], labels: np.ndarray, scores: np.ndarray, days: np.ndarray, terms: Terms
) -> Fairness:
    """How the groups of each dimension fare.

    Parameters
    ----------
    labels, scores : ndarray, shape (rows,)
        Of several classes the places of those that came, and probabilities [rows, classes].
    days : ndarray, shape (rows,)
    """
    every, day = np.unique(days, return_inverse=True)
    by = tuple(found for one in dimensions for found in _of_dimension(one, labels, scores, day, terms))
    return Fairness(terms.threshold, terms.minimum_rows, terms.confidence, len(every), by)


def _of_dimension(
    one: Dimension, labels: np.ndarray, scores: np.ndarray, day: np.ndarray, terms: Terms
) -> Iterator[FairnessBy]:
    if not terms.classes:
        acts = None if terms.threshold is None else scores >= terms.threshold
        yield _by(one, labels, scores, acts, day, terms)
        return
    answers = scores.argmax(axis=1)
    for place, name in enumerate(terms.classes):
        came = (labels == place).astype(np.float64)
        yield replace(_by(one, came, scores[:, place], answers == place, day, terms), of_class=name)


def _by(
    one: Dimension,
    labels: np.ndarray,
    scores: np.ndarray,
    acts: np.ndarray | None,
    day: np.ndarray,
    terms: Terms,
) -> FairnessBy:
    """``acts`` are the rows that are selected, bool [rows]; None of a regression."""
    rates = _rates(one, labels, scores, acts, day)
    groups = tuple(
        _group(one, place, rates, labels, scores, day, classes=acts is not None) for place in range(len(one.names))
    )
    measures = MEASURES if acts is not None else MEASURES[-1:]
    gaps = tuple(_gap(measure, one.names, [rates[of] for of in _RATE_OF[measure]], terms) for measure in measures)
    return FairnessBy(one.feature, groups, gaps, one.left_out)


def _rates(
    one: Dimension, labels: np.ndarray, scores: np.ndarray, acts: np.ndarray | None, day: np.ndarray
) -> dict[str, GroupRates]:
    count = len(one.names)
    outcomes = None if acts is None else labels
    found = {"calibration": group_rates(scores - labels, one.places, count, day, outcomes)}
    if acts is None:
        return found
    selected = acts.astype(np.float64)
    for name, rows in (("selection", labels >= 0), ("true_positive", labels == 1), ("false_positive", labels == 0)):
        places = np.where(rows, one.places, -1)
        found[name] = group_rates(selected, places, count, day, selected)
    return found


def _group(
    one: Dimension,
    place: int,
    rates: dict[str, GroupRates],
    labels: np.ndarray,
    scores: np.ndarray,
    day: np.ndarray,
    *,
    classes: bool,
) -> GroupFacts:
    rows = one.places == place
    told = {name: _rate(found, place) for name, found in rates.items()}
    return GroupFacts(
        name=one.names[place],
        rows=int(rows.sum()),
        days=len(np.unique(day[rows])),
        selection_rate=told.get("selection"),
        true_positive_rate=told.get("true_positive"),
        false_positive_rate=told.get("false_positive"),
        calibration=told["calibration"],
        reliability=reliability(labels[rows], scores[rows]) if classes else (),
    )


def _rate(found: GroupRates, place: int) -> Rate:
    rows = int(found.rows[place])
    if not rows:
        return Rate(0, None, None, None)
    bounds = mean_bounds(found, place, (1 + CONFIDENCE) / 2)
    low, high = bounds or (None, None)
    return Rate(rows, float(found.means[place]), low, high)


def reliability(labels: np.ndarray, scores: np.ndarray, bins: int = BINS) -> tuple[ReliabilityBin, ...]:
    """The mean score and the share of ones in bins of about as many rows each; none of fewer than 50 rows."""
    if len(scores) < LEAST_FOR_BINS:
        return ()
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, bins + 1)[1:-1]))
    place = np.searchsorted(edges, scores, side="right")
    rows = np.bincount(place)
    kept = rows > 0
    score, share = np.bincount(place, weights=scores)[kept], np.bincount(place, weights=labels)[kept]
    return tuple(
        ReliabilityBin(int(n), float(s / n), float(o / n)) for n, s, o in zip(rows[kept], score, share, strict=True)
    )


def _gap(measure: Measure, names: Sequence[str], rates: Sequence[GroupRates], terms: Terms) -> Gap:
    found = [_one_gap(measure, names, each, terms, len(rates)) for each in rates]
    first, *others = found
    if not others:
        return first
    left_out = tuple(dict.fromkeys(told for gap in found for told in gap.left_out))
    known = [gap for gap in found if gap.value is not None]
    if len(known) < len(found):
        return Gap(measure, None, "", "", None, None, None, None, left_out)
    worst = max(known, key=lambda gap: gap.value or 0.0)
    return Gap(
        measure,
        worst.value,
        worst.lowest,
        worst.highest,
        _largest([gap.low for gap in known]),
        _largest([gap.high for gap in known]),
        _largest([gap.at_least for gap in known]),
        _largest([gap.at_most for gap in known]),
        left_out,
    )


def _largest(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known) if len(known) == len(values) else None


def _one_gap(measure: Measure, names: Sequence[str], rates: GroupRates, terms: Terms, together: int) -> Gap:
    """The gap in one rate; ``together`` is how many of them make the measure."""
    large = [place for place in range(len(names)) if rates.rows[place] >= max(1, terms.minimum_rows)]
    small = [place for place in range(len(names)) if place not in large]
    left_out = tuple(f"{names[place]} ({number_of(int(rates.rows[place]), 'row')})" for place in small)
    if len(large) < 2:
        return Gap(measure, None, "", "", None, None, None, None, left_out)
    lowest, highest = min(large, key=lambda g: rates.means[g]), max(large, key=lambda g: rates.means[g])
    ratio = measure == "selection_rate_ratio"
    bounds = _ratio_bounds if ratio else _difference_bounds
    value = _ratio(rates, lowest, highest) if ratio else float(rates.means[highest] - rates.means[lowest])
    pairs = len(large) * (len(large) - 1) // 2
    # Both orders of a pair, and each rate of the measure.
    tests = 2 * pairs * together
    two_sided = bounds(rates, large, 1 - (1 - CONFIDENCE) / (2 * tests), 1 - (1 - CONFIDENCE) / (2 * tests))
    error = 1 - terms.confidence
    each = bounds(rates, large, 1 - error / (tests * max(1, terms.limits)), terms.confidence)
    if ratio:
        # Of a ratio the upper bound shows it to be low, and so accounts for the number of tests.
        each = bounds(rates, large, terms.confidence, 1 - error / (tests * max(1, terms.limits)))
    low, high = two_sided or (None, None)
    least, most = each or (None, None)
    return Gap(measure, value, names[lowest], names[highest], low, high, least, most, left_out)


def _ratio(rates: GroupRates, lowest: int, highest: int) -> float | None:
    """The lowest rate over the highest; 1 where none is selected in any group, as nobody is treated apart then."""
    top = float(rates.means[highest])
    return float(rates.means[lowest]) / top if top > 0 else 1.0


def _difference_bounds(
    rates: GroupRates, groups: Sequence[int], lower: float, upper: float
) -> tuple[float, float] | None:
    low, high = 0.0, 0.0
    for one, other in combinations(groups, 2):
        at_lower, at_upper = difference_bounds(rates, one, other, lower), difference_bounds(rates, one, other, upper)
        if at_lower is None or at_upper is None:
            return None
        low, high = max(low, at_lower[0], -at_lower[1]), max(high, at_upper[1], -at_upper[0])
    return low, high


def _ratio_bounds(rates: GroupRates, groups: Sequence[int], lower: float, upper: float) -> tuple[float, float] | None:
    """Of the smallest ratio between two groups, by bounds of each group's rate."""
    ends = {}
    for one in groups:
        # Two rates make a ratio: each has half of the error.
        at_lower = mean_bounds(rates, one, 1 - (1 - lower) / 2)
        at_upper = mean_bounds(rates, one, 1 - (1 - upper) / 2)
        if at_lower is None or at_upper is None:
            return None
        ends[one] = (max(0.0, at_lower[0]), at_lower[1], max(0.0, at_upper[0]), at_upper[1])
    low, high = 1.0, 1.0
    for one in groups:
        for other in groups:
            if one != other:
                low = min(low, _over(ends[one][0], ends[other][1]))
                high = min(high, _over(ends[one][3], ends[other][2]))
    return low, high


def _over(part: float, whole: float) -> float:
    return part / whole if whole > 0 else math.inf
