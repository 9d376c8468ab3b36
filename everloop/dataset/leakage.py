"""Leakage suspects: features that may hold what nobody could have known when the prediction was asked for.

Four signs are looked for, in every feature:

``decides_alone``
    Learned on one half of the rows, the feature alone orders (or explains) the outcomes of the other half nearly
    without fault. The halves are drawn by the rows' keys, so a value that occurs once helps nobody.
``filled_with_outcome``
    That the feature is there, or is missing, nearly decides a class: it is filled once the outcome is known.
``filled_later``
    The newest rows lack it far more often than the older ones: it is filled some time after the event.
``copies_time``
    It goes with the rows' time nearly without fault: a model learns dates, which do not come back.

A suspect is one where the bound lies beyond the limit, not the estimate alone. All looks at a training set share a
false alarm rate of 5% (Bonferroni), so a set with many features has no more of them; few rows make no suspect.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from everloop.documents.snapshot import SuspectDocument
from everloop.statistics.binomial import exact_lower_bound

FALSE_ALARM_RATE = 0.05
"""Of a training set, all of its features and signs together."""

DECIDES = 0.95
"""The area under the ROC curve, or the share of the outcomes' variance, that a feature alone may not exceed."""

OTHER_CLASS = 0.02
LESS_OFTEN = 10
"""Rows with, or without, a feature nearly have one class: at most this share of the other, and so many times less of it
than all rows have."""

FILLED_LATER = 0.5
"""By how much the newest rows lack a feature more often, as a share of rows."""

GOES_WITH_TIME = 0.99
"""The correlation with the rows' time."""

SIGNS = 4


@dataclass(frozen=True)
class FeatureSigns:
    """What was counted of one feature.

    Attributes
    ----------
    rows, positives : int
        Of the half that was not learned from.
    pairs : float
        Pairs of a positive and a negative row of it that the feature alone orders rightly; ties count half.
    unexplained, spread : float
        Squared differences of its outcomes from what the feature alone says, and from their own mean.
    present, present_positives, missing, missing_positives : int
        Labelled rows that have the feature and that lack it, and those of them with label 1.
    late_missing, late_rows : int
        Of the test part.
    time_correlation : float or None
        With the rows' time; None of a category, and where nothing varies.
    """

    name: str
    rows: int
    positives: int
    pairs: float
    unexplained: float
    spread: float
    present: int
    present_positives: int
    missing: int
    missing_positives: int
    late_missing: int
    late_rows: int
    time_correlation: float | None

    def alone(self, *, classification: bool) -> float | None:
        """How well it tells the outcome alone: area under the ROC curve, or share of variance; None if none can say."""
        if classification:
            pairs = self.positives * (self.rows - self.positives)
            return self.pairs / pairs if pairs else None
        return max(0.0, 1 - self.unexplained / self.spread) if self.spread > 0 else None


def find_suspects(signs: Sequence[FeatureSigns], *, classification: bool, sets: int = 1) -> list[SuspectDocument]:
    """Every suspect, in the order of the features; ``sets`` says among how many such looks the rate is shared."""
    looks = SIGNS * max(1, len(signs)) * sets
    return [found for each in signs for found in _of_feature(each, FALSE_ALARM_RATE / looks, classification)]


def unaccepted(suspects: Sequence[SuspectDocument], accepted: Mapping[str, str]) -> list[SuspectDocument]:
    """Those that nobody has given a reason for."""
    return [suspect for suspect in suspects if suspect["feature"] not in accepted]


def _of_feature(signs: FeatureSigns, rate: float, classification: bool) -> Iterator[SuspectDocument]:
    value = signs.alone(classification=classification)
    if value is not None:
        low = _auc_bound(signs, value, rate) if classification else _variance_bound(signs.rows, value, rate)
        if low >= DECIDES:
            told = "orders the outcomes" if classification else "explains the outcomes"
            measure = "area under the ROC curve" if classification else "share of the variance"
            yield {
                "feature": signs.name,
                "code": "decides_alone",
                "sentence": f"alone it {told} of rows it was not learned from: {measure} {value:.4f}, at least "
                f"{low:.4f}",
            }
    if classification:
        yield from _filled_with_outcome(signs, rate)
    yield from _filled_later(signs, rate)
    if signs.time_correlation is not None and signs.present > 3:
        found = signs.time_correlation
        low = _correlation_bound(abs(found), signs.present, rate)
        if low >= GOES_WITH_TIME:
            yield {
                "feature": signs.name,
                "code": "copies_time",
                "sentence": f"it goes with the rows' time: correlation {found:.4f}, at least {low:.4f} in size",
            }


def _auc_bound(signs: FeatureSigns, value: float, rate: float) -> float:
    """Below the area under the curve: that of as many trials as the rarer class has rows."""
    trials = min(signs.positives, signs.rows - signs.positives)
    return exact_lower_bound(math.floor(value * trials + 1e-9), trials, 1 - rate)


def _variance_bound(rows: int, value: float, rate: float) -> float:
    return _correlation_bound(math.sqrt(value), rows, rate) ** 2


def _correlation_bound(value: float, rows: int, rate: float) -> float:
    """Below a correlation, by Fisher's transformation; 0 where so few rows say nothing."""
    if rows <= 3:
        return 0.0
    return max(0.0, math.tanh(math.atanh(min(value, 1 - 1e-12)) - NormalDist().inv_cdf(1 - rate) / math.sqrt(rows - 3)))


def _filled_with_outcome(signs: FeatureSigns, rate: float) -> Iterator[SuspectDocument]:
    rows = signs.present + signs.missing
    positives = signs.present_positives + signs.missing_positives
    if not signs.present or not signs.missing or not 0 < positives < rows:
        return
    groups = {"have": (signs.present, signs.present_positives), "lack": (signs.missing, signs.missing_positives)}
    for does, (count, ones) in groups.items():
        for label, of_class in ((1, ones), (0, count - ones)):
            others = (rows - positives if label else positives) / rows
            most = 1 - exact_lower_bound(of_class, count, 1 - rate / 4)
            if most <= min(OTHER_CLASS, others / LESS_OFTEN):
                yield {
                    "feature": signs.name,
                    "code": "filled_with_outcome",
                    "sentence": f"{of_class:,} of the {count:,} rows that {does} it have label {label}, and "
                    f"{1 - others:.1%} of all rows: it may be filled once the outcome is known",
                }


def _filled_later(signs: FeatureSigns, rate: float) -> Iterator[SuspectDocument]:
    early_rows = signs.present + signs.missing - signs.late_rows
    early_missing = signs.missing - signs.late_missing
    if not early_rows or not signs.late_rows:
        return
    late = exact_lower_bound(signs.late_missing, signs.late_rows, 1 - rate / 2)
    early = 1 - exact_lower_bound(early_rows - early_missing, early_rows, 1 - rate / 2)
    if late - early >= FILLED_LATER:
        yield {
            "feature": signs.name,
            "code": "filled_later",
            "sentence": f"{signs.late_missing / signs.late_rows:.0%} of the newest rows lack it, and "
            f"{early_missing / early_rows:.0%} of those before: it may be filled some time after the event",
        }
