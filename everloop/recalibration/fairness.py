"""How groups fare by the calibration in force, by the shared one that was learned, and by the one by group.

Rates are counted, not taken from bins: a calibration keeps the order of the scores of a group, so what is decided by a
threshold on served scores is decided by another one on raw scores (:func:`cut`).

Intervals take rows as independent. Rows of one day share more than that, so they are a little narrow. Whether a limit
is broken is decided by the figures themselves, on the same rows before and after.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from everloop.documents.recalibration import (
    ComparedGroupDocument,
    EstimateDocument,
    FairnessDocument,
    GapDocument,
    ServedGroupDocument,
)
from everloop.recalibration.calibration import Calibration
from everloop.recalibration.fit import MOST_ROWS, PRIOR, Posterior, learned
from everloop.recalibration.rescored import RescoredLogOdds, RescoredValues, rescored
from everloop.recalibration.sums import Sums

By = Literal["before", "shared", "after"]
BY: tuple[By, ...] = get_args(By)
"""In the order of the counts."""

Measure = Literal["selection_rate", "true_positive_rate", "false_positive_rate", "calibration"]
MEASURES: tuple[Measure, ...] = get_args(Measure)

LEAST_ROWS = 30
"""Rows (for a rate: of those it is a share of) below which a group is not compared with others."""

Z = 1.959964
"""Of a two-sided interval of 95 %."""

NOT_ONE = 2.0
"""A cut that no probability reaches."""

_WEAK = 1e-6
_HALVINGS = 1100


@dataclass(frozen=True)
class CountedRows:
    """Labelled rows of one compared group and one recalibrated group.

    Attributes
    ----------
    sums : Sums
        By the raw score.
    over : mapping of By to (int, int)
        Rows of outcome 0 and of outcome 1 that each calibration brings to the threshold or above; none of a regression.
    """

    sums: Sums
    over: Mapping[By, tuple[int, int]]


Counted = Mapping[tuple[int, int], CountedRows]
"""By the places of the compared group and of the recalibrated one."""


def cut(calibration: Calibration, place: int, threshold: float) -> float:
    """The least raw probability that is served as ``threshold`` or more to the group at ``place``."""

    def reaches(raw: float) -> bool:
        return bool(calibration.apply(np.array([raw]), np.array([place]))[0] >= threshold)

    low, high = 0.0, 1.0
    if reaches(low):
        return low
    if not reaches(high):
        return NOT_ONE
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high


def fairness(
    counted: Counted,
    calibrations: Mapping[By, Calibration],
    names: tuple[str, ...],
    *,
    by: str,
    days: int,
    limits: Mapping[Measure, float | None],
) -> FairnessDocument:
    """How the compared groups fare by each calibration.

    Parameters
    ----------
    names : tuple of str
        Of the compared groups, by their places.
    by, days
        By which feature, and over how many days.
    limits : mapping of Measure to float or None
        The largest gap that is declared for each measure.
    """
    groups = {}
    for place, name in enumerate(names):
        rows = {own: each for (compared, own), each in counted.items() if compared == place and each.sums.rows}
        if rows:
            groups[name] = _compared(rows, calibrations)
    classification = calibrations["after"].kind == "log_odds"
    measures: tuple[Measure, ...] = MEASURES if classification else ("calibration",)
    gaps: dict[str, GapDocument] = {m: _gaps(groups.values(), m, limits.get(m)) for m in measures}
    return {"by": by, "days": days, "groups": groups, "gaps": gaps}


def broken_limits(found: FairnessDocument) -> Iterator[str]:
    """Why the shared calibration has to stay, a sentence for each declared limit.

    A limit is broken where the gap is larger than it, and larger than by the shared calibration. It is taken as broken
    where it can't be measured.
    """
    for measure, gap in found["gaps"].items():
        limit, after, shared = gap["limit"], gap["after"], gap["shared"]
        if limit is None:
            continue
        what = f"the {measure.replace('_', ' ')} gap by {found['by']}"
        if after is None or shared is None:
            yield f"{what} can't be measured: fewer than two groups have {LEAST_ROWS} rows for it"
        elif after > limit and after > shared:
            yield f"{what} would be {after:.4g}, and {limit:g} is declared (by the shared calibration {shared:.4g})"


def _compared(rows: Mapping[int, CountedRows], calibrations: Mapping[By, Calibration]) -> ComparedGroupDocument:
    served = {by: _served(rows, calibrations[by], by) for by in BY}
    return {
        "rows": sum(each.sums.rows for each in rows.values()),
        "ones": sum(_outcomes(each.sums)[1] for each in rows.values()),
        "before": served["before"],
        "shared": served["shared"],
        "after": served["after"],
    }


def _served(rows: Mapping[int, CountedRows], calibration: Calibration, by: By) -> ServedGroupDocument:
    each = [rescored(found.sums, calibration, place) for place, found in rows.items()]
    values = [sums for sums in each if isinstance(sums, RescoredValues)]
    if values:
        return _of_values(values)
    probabilities = [sums for sums in each if isinstance(sums, RescoredLogOdds)]
    zeros, ones = (sum(_outcomes(found.sums)[i] for found in rows.values()) for i in (0, 1))
    over = [sum(found.over[by][i] for found in rows.values()) for i in (0, 1)]
    return {
        "calibration": _mean_shift(probabilities),
        "slope": _slope(probabilities) if zeros and ones else None,
        "selection_rate": _rate(sum(over), zeros + ones),
        "true_positive_rate": _rate(over[1], ones) if ones else None,
        "false_positive_rate": _rate(over[0], zeros) if zeros else None,
    }


def _gaps(groups: Iterable[ComparedGroupDocument], measure: Measure, limit: float | None) -> GapDocument:
    comparable = [group for group in groups if _rows_of(group, measure) >= LEAST_ROWS]

    def gap(by: By) -> float | None:
        values = [found["value"] for group in comparable if (found := group[by].get(measure)) is not None]
        return max(values) - min(values) if len(values) > 1 else None

    return {"before": gap("before"), "shared": gap("shared"), "after": gap("after"), "limit": limit}


def _rows_of(group: ComparedGroupDocument, measure: Measure) -> int:
    if measure == "true_positive_rate":
        return group["ones"]
    return group["rows"] - group["ones"] if measure == "false_positive_rate" else group["rows"]


def _outcomes(sums: Sums) -> tuple[int, int]:
    """Rows of outcome 0, and of outcome 1; of a regression, all rows and none."""
    if sums.kind == "value":
        return sums.rows, 0
    zeros, ones = sums.counts.sum(1)  # type: ignore[union-attr]  # the kind says which of the two it is
    return int(zeros), int(ones)


def _rate(count: float, rows: float) -> EstimateDocument:
    """A share of rows with Wilson's interval."""
    share, squared = count / rows, Z * Z / rows
    middle = (share + squared / 2) / (1 + squared)
    half = Z * math.sqrt(share * (1 - share) / rows + squared / (4 * rows)) / (1 + squared)
    return {"value": share, "low": max(middle - half, 0.0), "high": min(middle + half, 1.0)}


def _mean_shift(each: Iterable[RescoredLogOdds]) -> EstimateDocument:
    """Served less outcome, on average; its error is that of outcomes which come as they were served."""
    rows = shift = variance = 0.0
    for sums in each:
        z, outcome, count = sums.cells()
        served = 1 / (1 + np.exp(-z))
        rows += float(count.sum())
        shift += float(((served - outcome) * count).sum())
        variance += float((served * (1 - served) * count).sum())
    return _estimate(shift / rows, math.sqrt(variance) / rows)


def _slope(each: Iterable[RescoredLogOdds]) -> EstimateDocument:
    """Of the outcomes' log odds over the served ones, fitted together with a level."""
    whole = None
    for sums in each:
        whole = sums if whole is None else whole + sums  # type: ignore[assignment]  # what is fitted are counts and log odds
    assert whole is not None
    weak = Posterior(PRIOR[None, :].copy(), np.eye(2)[None] * _WEAK)
    found = learned(weak, whole, 1.0, max(1.0, whole.rows / MOST_ROWS))
    return _estimate(float(found.mean[0, 1]), math.sqrt(float(np.linalg.inv(found.precision[0])[1, 1])))


def _of_values(each: Iterable[RescoredValues]) -> ServedGroupDocument:
    n, x, xx, e, ee, xe = sum((sums.moments.sum(1) for sums in each), np.zeros(6))
    variance = max(ee / n - (e / n) ** 2, 0.0)
    spread, both = xx / n - (x / n) ** 2, xe / n - x * e / n**2
    slope = None
    if spread > 1e-12 * (xx / n):
        left = max(variance - both**2 / spread, 0.0)
        slope = _estimate(1 + both / spread, math.sqrt(left / (n * spread)))
    return {"calibration": _estimate(-e / n, math.sqrt(variance / n)), "slope": slope}


def _estimate(value: float, error: float) -> EstimateDocument:
    return {"value": float(value), "low": float(value - Z * error), "high": float(value + Z * error)}
