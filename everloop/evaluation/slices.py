"""Slices: how a candidate does on parts of the test rows, each by itself.

A mean over all rows hides a part on which a model is bad. So the gate's metric, and its difference to baseline and
champion, are measured on each declared slice, on pairs of them, and on slices that a shallow tree finds among the
errors (:mod:`everloop.evaluation.found_slices`). Errors take days as clusters, as everywhere.

Of many slices some look bad by chance. What is said of all of them together accounts for their number: the worst one is
named by simultaneous bounds (Bonferroni), and :mod:`everloop.evaluation.slice_gate` decides by Holm's procedure.

References
----------
Y. Chung, T. Kraska, N. Polyzotis, K. H. Tae, S. E. Whang, "Slice Finder: automated data slicing for model validation",
IEEE 35th International Conference on Data Engineering (2019).
S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from everloop.evaluation.dimensions import Dimension
from everloop.evaluation.measured import MetricValue, PairedDifference
from everloop.evaluation.metrics import estimate
from everloop.evaluation.significance import metric_value, paired_difference
from everloop.evaluation.slice_bounds import of_metric
from everloop.evaluation.slice_report import SliceFacts, SliceKind, Slices
from everloop.numbers_of import number_of

MOST_SLICES = 200
"""Of one evaluation. The ones with the most rows are kept, and the others are said to be left out."""

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Measured:
    """The rows that slices are parts of.

    Attributes
    ----------
    metric : str
        The gate's.
    labels, candidate, baseline : ndarray, shape (rows,)
    days : ndarray, shape (rows,)
    champion : tuple of (ndarray of bool, ndarray, ndarray) or None
        The rows that it has not learned from, and there the candidate's and its scores.
    """

    metric: str
    labels: np.ndarray
    candidate: np.ndarray
    baseline: np.ndarray
    days: np.ndarray
    champion: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None


@dataclass(frozen=True)
class Part:
    """A slice: its name, and the rows it has, bool [rows]."""

    name: str
    kind: SliceKind
    rows: np.ndarray


def parts_of(dimensions: Sequence[Dimension], *, pairs: bool) -> Iterator[Part]:
    """The groups of each dimension, and with ``pairs`` those of every two of them that have rows."""
    for one in dimensions:
        for place, name in enumerate(one.conditions()):
            yield Part(name, "declared", one.places == place)
    for one, two in combinations(dimensions, 2) if pairs else ():
        both = one.with_other(two)
        for place in np.unique(both.places[both.places >= 0]).tolist():
            yield Part(both.names[place], "pair", both.places == place)


def slices_of(
    rows: Measured, parts: Sequence[Part], minimum_rows: int, *, left_out: Sequence[str] = (), search: str = ""
) -> Slices:
    """Measure every part.

    Parameters
    ----------
    parts : sequence of Part
    minimum_rows : int
        Smaller parts are named and not judged.
    left_out, search : sequence of str, str
        For the report.
    """
    kept, said = list(parts), list(left_out)
    if len(kept) > MOST_SLICES:
        kept.sort(key=lambda part: -int(part.rows.sum()))
        gone = len(kept) - MOST_SLICES
        said.append(
            f"{number_of(gone, 'slice')} with the fewest rows of {len(kept):,}: a report has {MOST_SLICES} at most;"
            " declare fewer dimensions, or no pairs"
        )
        kept = kept[:MOST_SLICES]
    found = tuple(_measured(rows, part, minimum_rows) for part in kept)
    worst, bound = _worst(found)
    return Slices(rows.metric, minimum_rows, found, worst, bound, tuple(said), search)


def _measured(rows: Measured, part: Part, minimum_rows: int) -> SliceFacts:
    count, days = int(part.rows.sum()), len(np.unique(rows.days[part.rows]))
    facts = SliceFacts(part.name, part.kind, count, days, "")
    if count < minimum_rows:
        why = f"{number_of(count, 'row')}, and gate.slices.minimum_rows asks for {minimum_rows:,}"
        return SliceFacts(part.name, part.kind, count, days, why)
    ours = estimate(rows.metric, rows.labels[part.rows], rows.candidate[part.rows])
    rule = estimate(rows.metric, rows.labels[part.rows], rows.baseline[part.rows])
    here = rows.days[part.rows]
    beside, why = _beside_champion(rows, part, minimum_rows)
    return SliceFacts(
        name=facts.name,
        kind=facts.kind,
        rows=count,
        days=days,
        reason="",
        candidate=metric_value(ours, here),
        baseline=metric_value(rule, here),
        paired_baseline=_finite(paired_difference(ours, rule, here)),
        paired_champion=beside,
        champion_reason=why,
    )


def _beside_champion(rows: Measured, part: Part, minimum_rows: int) -> tuple[PairedDifference | None, str]:
    if rows.champion is None:
        return None, ""
    unlearned, ours, theirs = rows.champion
    inside = part.rows[unlearned]
    count = int(inside.sum())
    if count < minimum_rows:
        return None, f"{number_of(count, 'row')} that the champion has not learned from"
    labels, days = rows.labels[unlearned][inside], rows.days[unlearned][inside]
    one, two = estimate(rows.metric, labels, ours[inside]), estimate(rows.metric, labels, theirs[inside])
    return _finite(paired_difference(one, two, days)), ""


def _finite(paired: PairedDifference) -> PairedDifference | None:
    return paired if math.isfinite(paired.difference) else None


def _worst(found: Sequence[SliceFacts]) -> tuple[str | None, float | None]:
    """The slice with the highest lower bound, of bounds that hold for all together."""
    judged: list[tuple[SliceFacts, MetricValue]] = [(one, one.candidate) for one in found if one.candidate is not None]
    each = 1 - (1 - CONFIDENCE) / max(1, len(judged))
    bounds = [(of_metric(value).at_least(each), one.name) for one, value in judged]
    known = [(bound, name) for bound, name in bounds if bound is not None]
    if not known:
        return None, None
    bound, name = max(known)
    return name, bound
