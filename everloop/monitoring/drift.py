"""Judges whether the inputs, or the scores, have shifted.

The declared detector judges each feature by itself (:mod:`everloop.monitoring.detectors`). A feature alarms when the
detector's effect is at least the declared smallest one, and its p-value is small enough with regard to all that was
judged: over all features Holm's procedure keeps the declared false alarm rate, whatever their dependence.

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
from everloop.monitoring.detectors import DETECTORS
from everloop.monitoring.profile import BinCounts, Profile
from everloop.monitoring.reference import SCORE, FeatureReference, Reference
from everloop.numbers_of import number_of

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
    detector: str = "stability"


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
        Newest first, without gaps, all over the reference's bins. One without rows is not a day, here as in the
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
        why = f"the window has {number_of(rows, 'row')} and needs {policy.minimum_rows} (monitoring.minimum_rows)"
        return DriftReport(False, rows, reason=why)
    found = []
    for name, feature in _named(reference):
        profiles = scored if name == SCORE else latest
        judged = _judge(name, feature, [_counts(p, name) for p in profiles], policy)
        if judged is not None:
            found.append(judged)
    if not found:
        why = f"the reference has {number_of(reference.days, 'day')}, too few to know how much days usually differ"
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
    found = DETECTORS.load(policy.detector).judge(
        feature, windows, window_days=policy.window_days, minimum_rows=policy.minimum_rows
    )
    if found is None:
        return None
    moved = _moved(feature, reduce(add, windows[: found.windows]))
    days = found.windows * policy.window_days
    return FeatureDrift(name, days, found.effect, found.p_value, found.p_value, False, moved)


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
