"""Judges whether the inputs, or the scores, have shifted.

A feature alarms when three things hold: the stability index of the latest days is at least the declared smallest
effect; they are further from the reference than spans of as many days naturally are, by an F test of the squared
distance over its mean between the days of the reference; and further than the sampling of rows explains, by a
likelihood ratio test. The p-value is the larger of the two tests'. Over all features Holm's procedure keeps the
declared false alarm rate, whatever their dependence.

References
----------
S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

from everloop.documents.window import DriftDocument
from everloop.monitoring.bins import CategoryBins
from everloop.monitoring.divergence import (
    distance,
    distance_of_one_row,
    sampling_p_value,
    smallest_share,
    stability_index,
)
from everloop.monitoring.profile import BinCounts, Profile
from everloop.monitoring.reference import SCORE, FeatureReference, Natural, Reference
from everloop.statistics.f_distribution import f_tail

FEWEST_OF_A_CATEGORY = 10
"""Rows of the reference with which a category is compared by itself."""

LONGEST_LABEL = 32
"""Characters of a bin that a record shows: a category may have a thousand, and a registry's record has a limit."""


@dataclass(frozen=True)
class DriftPolicy:
    """What counts as drift; see ``monitoring`` of the declaration."""

    days: int
    window_days: int
    minimum_rows: int
    false_alarm_rate: float
    minimum_effect: float


@dataclass(frozen=True)
class FeatureDrift:
    """One feature in the latest days.

    Attributes
    ----------
    days : int
        How many were judged together.
    effect : float
        The stability index.
    p_value, adjusted_p_value : float
        By itself, and with regard to all that was tested. 1 where nothing could be tested.
    moved : str
        The bin whose share changed most, e.g. ``80 to 85: 2% -> 31%``.
    """

    name: str
    days: int
    effect: float
    p_value: float
    adjusted_p_value: float
    alarm: bool
    moved: str

    def as_dict(self) -> DriftDocument:
        """All but the name, as JSON values."""
        return {
            "days": self.days,
            "effect": self.effect,
            "p_value": self.p_value,
            "adjusted_p_value": self.adjusted_p_value,
            "alarm": self.alarm,
            "moved": self.moved,
        }


@dataclass(frozen=True)
class DriftReport:
    """All features in the latest days.

    Attributes
    ----------
    evaluated : bool
        False when nothing could be judged; ``reason`` says why.
    features : tuple of FeatureDrift
        The least probable first.
    """

    evaluated: bool
    rows: int
    features: tuple[FeatureDrift, ...] = ()
    reason: str = ""

    @property
    def alarmed(self) -> tuple[FeatureDrift, ...]:
        """The features that alarm, the least probable first."""
        return tuple(f for f in self.features if f.alarm)

    def as_dict(self) -> dict[str, DriftDocument]:
        """Each feature by its name, as :meth:`FeatureDrift.as_dict`."""
        return {f.name: f.as_dict() for f in self.features}


def judge_drift(
    reference: Reference, windows: Sequence[Profile], policy: DriftPolicy, *, score_windows: int | None = None
) -> DriftReport:
    """Compare the latest windows with the reference.

    Parameters
    ----------
    windows : sequence of Profile
        Newest first, without gaps, all over the reference's bins. One without rows is no day, here as in the
        reference: a day judged with what two naturally differ by would alarm too soon.
    score_windows : int, optional
        In how many of them the scores are judged, where the others are the scores' reference themselves; in all
        where nothing is given.
    """
    latest = windows[: policy.days // policy.window_days]
    rows = latest[0].rows if latest else 0
    scored = [window for window in latest[:score_windows] if window.rows]
    latest = [window for window in latest if window.rows]
    if rows < policy.minimum_rows:
        why = f"the window has {rows} rows and needs {policy.minimum_rows}"
        return DriftReport(False, rows, reason=why)
    found = []
    for name, feature in _named(reference):
        profiles = scored if name == SCORE else latest
        judged = _judge(name, feature, [_counts(p, name) for p in profiles], policy)
        if judged is not None:
            found.append(judged)
    if not found:
        why = f"the reference has {reference.days} days, too few to know how far days naturally differ"
        return DriftReport(False, rows, reason=why)
    return DriftReport(True, rows, _adjusted(found, policy))


def _named(reference: Reference) -> list[tuple[str, FeatureReference]]:
    score = [] if reference.score is None or reference.score_unjudged else [(SCORE, reference.score)]
    return [*reference.features.items(), *score]


def _counts(profile: Profile, name: str) -> BinCounts:
    return profile.score if name == SCORE else profile.features[name]


def _judge(
    name: str, feature: FeatureReference, windows: Sequence[BinCounts], policy: DriftPolicy
) -> FeatureDrift | None:
    natural = feature.natural_of(len(windows) * policy.window_days)
    if natural is None or natural.days < policy.window_days:
        return None
    taken = natural.days // policy.window_days
    days = taken * policy.window_days
    exact = feature.natural_of(days)
    counts = reduce(add, windows[:taken])
    if exact is None or counts.rows < policy.minimum_rows:
        return None
    effect = stability_index(feature.counts.cells, counts.cells)
    floor = smallest_share(round(exact.days * exact.spans))
    apart = distance(feature.counts.cells, counts.cells, floor)
    # Days of fewer rows than the reference's are further from it by what fewer rows leave to chance.
    fewer = max(0.0, 1 / counts.rows - exact.spans / feature.counts.rows)
    usual = exact.distance + fewer * distance_of_one_row(feature.counts.cells, floor)
    p_value = max(_natural_p_value(apart, usual, exact), sampling_p_value(*comparable(feature, counts)))
    return FeatureDrift(name, days, effect, p_value, p_value, False, _moved(feature, counts))


def comparable(feature: FeatureReference, counts: BinCounts) -> tuple[Sequence[int], Sequence[int]]:
    """The cells of the reference and of the rows judged, rare categories counted with "other".

    Which categories have a bin was read off the reference: those that chance favoured there. So a reference of few rows
    has too many of them and too few of the others, and new rows would look like drift.
    """
    before, after = feature.counts.cells, counts.cells
    if not isinstance(feature.bins, CategoryBins):
        return before, after
    other = feature.bins.size - 1
    kept = {i for i in range(len(before)) if i > other or (i < other and before[i] >= FEWEST_OF_A_CATEGORY)}

    def pooled(cells: Sequence[int]) -> list[int]:
        return [*(cells[i] for i in sorted(kept)), sum(n for i, n in enumerate(cells) if i not in kept)]

    return pooled(before), pooled(after)


def _natural_p_value(found: float, usual: float, natural: Natural) -> float:
    """The probability of a distance this large where days like those of the reference have the mean ``usual``."""
    if usual <= 0:
        return 0.0 if found > 0 else 1.0
    return f_tail(found / usual, natural.freedom, natural.freedom * (natural.spans - 1))


def _adjusted(found: Sequence[FeatureDrift], policy: DriftPolicy) -> tuple[FeatureDrift, ...]:
    """Holm: the i-th smallest of m p-values counts m - i times, and never less than the one before."""
    ordered = sorted(found, key=lambda f: (f.p_value, f.name))
    result, previous = [], 0.0
    for place, feature in enumerate(ordered):
        previous = max(previous, min(1.0, feature.p_value * (len(ordered) - place)))
        alarm = previous <= policy.false_alarm_rate and feature.effect >= policy.minimum_effect
        result.append(
            FeatureDrift(feature.name, feature.days, feature.effect, feature.p_value, previous, alarm, feature.moved)
        )
    return tuple(result)


def _moved(feature: FeatureReference, counts: BinCounts) -> str:
    before, after = feature.counts.cells, counts.cells
    shares = [(a / max(1, sum(before)), b / max(1, sum(after))) for a, b in zip(before, after, strict=True)]
    index = max(range(len(shares)), key=lambda i: abs(shares[i][1] - shares[i][0]))
    label = feature.bins.label(index if index < feature.bins.size else -1)
    label = label if len(label) <= LONGEST_LABEL else f"{label[:LONGEST_LABEL]}…"
    return f"{label}: {100 * shares[index][0]:.3g}% -> {100 * shares[index][1]:.3g}%"
