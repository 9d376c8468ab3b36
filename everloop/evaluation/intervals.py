"""How wide a prediction interval is at its birth, and what such an interval covers.

It is learned from the residuals of test rows, which the artefact did not learn from: split conformal prediction. Were
coming rows exchangeable with them, an outcome would lie inside with at least the declared probability, whatever the
model and the noise are. Rows of other days never quite are: so it is measured on newer days than it is learned on, and
later on the spread is recalibrated daily (:mod:`everloop.recalibration.spread`).

References
----------
V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World" (2005).
J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani, L. Wasserman, "Distribution-free predictive inference for regression",
Journal of the American Statistical Association 113 (2018).
T. Gneiting, A. E. Raftery, "Strictly proper scoring rules, prediction, and estimation", the same journal, 102 (2007).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from everloop.evaluation.interval_report import IntervalFacts, MeasuredInterval
from everloop.numbers_of import number_of
from everloop.recalibration.interval import Interval, rows_needed
from everloop.statistics.day_shares import DayShares

LEAST_SIDE = 0.05
"""The least part of an interval's width that is on one side of the answer. Where a model is off to one side, its
residuals say nothing of the other one, and a side of no width could not be made wider later on."""


def learned_interval(coverage: float, residuals: np.ndarray) -> Interval | None:
    """The interval by the residuals (outcome less score, float array (rows,)) of rows not learned from.

    Each side has a quantile of its own, since errors are seldom symmetric. None where there are too few rows, or their
    residuals are larger than widths may be.
    """
    rows = len(residuals)
    if rows < rows_needed(coverage):
        return None
    ordered = np.sort(np.asarray(residuals, dtype=np.float64))
    # Of rows + 1 exchangeable residuals, each is the newest one with equal chance.
    outside = max(1, math.floor((rows + 1) * (1 - coverage) / 2 + 1e-9))
    low, high = float(ordered[outside - 1]), float(ordered[rows - outside])
    least = max(LEAST_SIDE * (high - low), 1e-9 * float(np.abs(ordered).max()), 1e-12)
    return Interval(coverage, max(-low, least), max(high, least))


def interval_facts(coverage: float, residuals: np.ndarray, days: np.ndarray) -> tuple[Interval | None, IntervalFacts]:
    """The interval of a candidate, and what the report says of it.

    Parameters
    ----------
    residuals : float array (rows,)
        Outcome less raw score of the test rows.
    days : array (rows,)
        The day of each.
    """
    found = learned_interval(coverage, residuals)
    every, needed = np.unique(days), rows_needed(coverage)
    facts = IntervalFacts(coverage, len(residuals), len(every), None, None)
    if found is None:
        reason = (
            f"an interval of coverage {coverage:g} needs at least {number_of(needed, 'test row')}, and there are"
            f" {len(residuals)}: declare more data.split.test_days, or a lower problem.interval.coverage"
        )
        return None, replace(facts, reason=reason)
    facts = replace(facts, below=found.below, above=found.above)
    if len(every) < 2:
        why = "all test rows are of one day, and an interval is measured on other days than it is learned on"
        return found, replace(facts, unmeasured=why)
    older = days < every[len(every) // 2]
    learned = learned_interval(coverage, residuals[older])
    if learned is None:
        why = f"the older half of the test days has {number_of(int(older.sum()), 'row')}, and {needed} are needed"
        return found, replace(facts, unmeasured=why)
    return found, replace(facts, measured=_measured(learned, residuals, days, older))


def _measured(interval: Interval, residuals: np.ndarray, days: np.ndarray, older: np.ndarray) -> MeasuredInterval:
    newer, of_day = residuals[~older], days[~older]
    below, above = newer < -interval.below, newer > interval.above
    shares = DayShares()
    for day in np.unique(of_day):
        rows = of_day == day
        shares = shares.plus(int((~(below | above))[rows].sum()), int(rows.sum()))
    bounds = shares.bounds()
    width = interval.below + interval.above
    outside = np.maximum(-interval.below - newer, 0) + np.maximum(newer - interval.above, 0)
    return MeasuredInterval(
        learned_rows=int(older.sum()),
        learned_days=len(np.unique(days[older])),
        rows=len(newer),
        days=len(np.unique(of_day)),
        share=shares.inside / shares.rows,
        low=bounds[0] if bounds else None,
        high=bounds[1] if bounds else None,
        below=float(below.mean()),
        above=float(above.mean()),
        mean_width=width,
        score=width + float(outside.mean()) / interval.tail,
    )
