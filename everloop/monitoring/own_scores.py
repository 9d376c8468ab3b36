"""The score reference of a version that serves without one: its first windows.

A refit's evaluated model answered rows that it had not learned from, and the refit has none left. What another model
answered is no yardstick for how its scores are spread. So the refit's own first windows are: those that it answered
whole, the oldest first, until they are days and rows enough. Nothing is kept for it beside the recorded windows, which
never change: every run of the monitor reads the same reference off them again.

A window in which another version answered rows as well (the day of a promotion, a canary) is left out: it is no whole
day. One within the bake counts, as the version answers everything there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import reduce
from operator import add

from everloop.documents.window import ScoreReferenceDocument, WindowRecord
from everloop.instants import format_instant
from everloop.monitoring.drift import DriftPolicy
from everloop.monitoring.natural import FEWEST_SPANS, natural_variation
from everloop.monitoring.profile import BinCounts, Profile
from everloop.monitoring.reference import FeatureReference, Reference
from everloop.numbers_of import number_of

DAYS = 21
"""Of a score reference at least: each day of the week three times. With 14, days that differ much alarmed one and a
half times as often, and a shift was seen in 37 windows of 100 instead of 55 (``benchmarks/drift_rates.py``)."""

ROWS = 500
"""Of a score reference at least, or ``monitoring.minimum_rows`` where that is more: ten for each bin of the score."""


@dataclass(frozen=True)
class OwnScores:
    """What has been collected.

    Attributes
    ----------
    days, rows : int
    needed_days, needed_rows : int
    begin, end : datetime or None
        From the first window's begin to the last one's end; None before the first.
    score : FeatureReference or None
        The reference; None while it is being collected.
    """

    days: int
    rows: int
    needed_days: int
    needed_rows: int
    begin: datetime | None = None
    end: datetime | None = None
    score: FeatureReference | None = None

    @property
    def sentence(self) -> str:
        """For people."""
        if self.score is None or self.end is None:
            return (
                f"collecting its own score reference, {self.rows:,} of {number_of(self.needed_rows, 'row')} and"
                f" {self.days} of {number_of(self.needed_days, 'day')} that it alone answered"
            )
        return f"its own first {self.days} whole days, until {format_instant(self.end)}: {number_of(self.rows, 'row')}"

    def judging(self, reference: Reference) -> Reference:
        """The reference by which windows are judged: with these scores, or with the reason why there are none yet."""
        if self.score is None:
            return replace(reference, score_unjudged=self.sentence)
        return replace(reference, score=self.score, score_unjudged="")

    def windows_after(self, ends: Iterable[datetime]) -> int:
        """How many of these windows, newest first, are later than the reference: only they are judged by it."""
        return sum(self.end is None or end > self.end for end in ends)

    def as_dict(self) -> ScoreReferenceDocument:
        """How far the collection has come, as JSON values: a window's document holds them."""
        return {
            "complete": self.score is not None,
            "days": self.days,
            "rows": self.rows,
            "begin": self.begin,
            "end": self.end,
            "sentence": self.sentence,
        }


def own_scores(
    records: Iterable[WindowRecord], reference: Reference, policy: DriftPolicy, *, version: int, before: datetime
) -> OwnScores:
    """The score reference of ``version``, or how much of it there is.

    Parameters
    ----------
    records : iterable of WindowRecord
        Recorded windows, oldest first; no more of them are read than are needed.
    reference : Reference
        The version's.
    before : datetime
        The end of the window at hand, which is judged and therefore no part of it.
    """
    needed_days = max(DAYS, FEWEST_SPANS * policy.window_days)
    needed_days += -needed_days % policy.window_days
    needed_rows = max(ROWS, policy.minimum_rows)
    length = timedelta(days=policy.window_days)
    taken: list[tuple[WindowRecord, BinCounts]] = []
    days = rows = 0
    for record in records:
        if record.version != version or record.end >= before or record.end - record.start != length:
            continue
        profile = Profile.from_dict(record.profile)
        if record.share_changed:  # one part of the window counts more than another
            continue
        if not profile.rows or profile.score.rows != profile.rows:
            continue
        taken.append((record, profile.score))
        days, rows = days + policy.window_days, rows + profile.rows
        if days >= needed_days and rows >= needed_rows:
            break
    if not taken:
        return OwnScores(0, 0, needed_days, needed_rows)
    found = OwnScores(days, rows, needed_days, needed_rows, taken[0][0].start, taken[-1][0].end)
    if days < needed_days or rows < needed_rows or reference.score is None:
        return found
    windows = [counts for _, counts in taken]
    natural = natural_variation(windows, policy.days, days_each=policy.window_days)
    return replace(found, score=FeatureReference(reference.score.bins, reduce(add, windows), natural))
