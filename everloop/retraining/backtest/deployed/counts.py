"""Counts what a run of the monitor looks at, of rows in memory: what the deployed one counts by a query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from everloop.limits import LARGEST_VALUE
from everloop.monitoring.bins import Bins, CategoryBins
from everloop.monitoring.counting import bin_indices, count_outcomes, count_profile, counted
from everloop.monitoring.fairness_query import Comparison
from everloop.monitoring.profile import Profile
from everloop.monitoring.profile_answer import Counted as CountedWindow
from everloop.monitoring.profile_answer import LabelCounts
from everloop.monitoring.profile_query import Windows
from everloop.monitoring.reference import Reference
from everloop.recalibration.fairness import Counted, CountedRows
from everloop.recalibration.grouped_by import OTHERS, GroupBy
from everloop.recalibration.interval import Interval
from everloop.recalibration.spread.sums import SpreadSums
from everloop.recalibration.sums import LogOddsSums, Scale, Sums, ValueSums
from everloop.retraining.backtest.deployed.rows import LoopRows, instant

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration


@dataclass(frozen=True)
class Answers:
    """What was answered: of each row the version, what its model said, and what was served.

    Attributes
    ----------
    version : int array, shape (rows,)
        0 where nothing has answered yet.
    raw, served : float64 array, shape (rows,)
    """

    version: np.ndarray
    raw: np.ndarray
    served: np.ndarray

    @classmethod
    def none(cls, rows: int) -> Answers:
        """Nothing is answered yet."""
        return cls(np.zeros(rows, dtype=int), np.full(rows, np.nan), np.full(rows, np.nan))


@dataclass(frozen=True)
class CountedInMemory:
    """The windows of a run of the monitor.

    Attributes
    ----------
    version : int
        The champion.
    """

    declaration: ModelDeclaration
    rows: LoopRows
    answers: Answers
    windows: Windows
    version: int

    def window(self, reference: Reference) -> CountedWindow:
        """The profile of the windows over the reference's bins."""
        inside = self._answered(self.rows.between(self.windows.start, self.windows.end))
        classification = self.declaration.problem.type == "binary_classification"
        asked = self.rows.frame.iloc[inside]
        features = {name: _values(asked[name], feature.bins) for name, feature in reference.features.items()}
        profile = count_profile(
            reference,
            features,
            self.answers.raw[inside],
            np.full(len(inside), np.nan),
            metric=self.declaration.gate.metric,
            classification=classification,
        )
        own = inside[self.answers.version[inside] == self.version]
        bins = reference.score_bins
        if bins is not None:
            profile = replace(profile, score=counted(bins, bin_indices(bins, self.answers.raw[own])))
        labelled = self._labelled()
        return CountedWindow(
            self._with_outcomes(profile, reference, labelled, classification),
            labelled_rows=len(labelled),
            labels=LabelCounts(arrived=self._arrived()),
            beyond=0 if classification else self._beyond(labelled),
        )

    def raw_sums(self, scale: Scale) -> Sums:
        """Of the labelled window's rows that the champion answered: outcomes by what its model said."""
        return self._sums(self._own(self._labelled()), scale)

    def group_sums(self, scale: Scale, by: GroupBy) -> Mapping[int, Sums]:
        """The same of each group by its place, and of the rows in none."""
        rows = self._own(self._labelled())
        places = self.rows.places(by, rows)
        return {place: self._sums(rows[places == place], scale) for place in range(OTHERS, len(by))}

    def compared(self, comparison: Comparison, scale: Scale) -> Counted:
        """Of the days on which fairness is measured."""
        days = replace(self, windows=comparison.windows(self.windows))
        rows = days._own(days._labelled())
        threshold = self.declaration.serving.threshold
        compared, own = self.rows.places(comparison.compared, rows), self.rows.places(comparison.by, rows)
        raw, label = self.answers.raw[rows], self.rows.label[rows]
        over = {by: made.apply(raw, own) >= threshold for by, made in comparison.calibrations.items()}
        found = {}
        for place in range(len(comparison.compared)):
            for apart in range(OTHERS, len(comparison.by)):
                chosen = (compared == place) & (own == apart)
                counts = {by: _by_outcome(label[chosen & reached]) for by, reached in over.items()}
                if chosen.any():
                    found[place, apart] = CountedRows(self._sums(rows[chosen], scale), counts)
        return found

    def intervals(self, interval: Interval) -> SpreadSums:
        """Of the labelled window's rows that the champion answered, by the interval of its birth: no spread is
        recalibrated here.
        """
        rows = self._own(self._labelled())
        raw, served, label = self.answers.raw[rows], self.answers.served[rows], self.rows.label[rows]
        return SpreadSums.of_rows(interval, label, served, raw, served - interval.below, served + interval.above)

    def _sums(self, rows: np.ndarray, scale: Scale) -> Sums:
        raw, label = self.answers.raw[rows], self.rows.label[rows]
        if self.declaration.problem.type == "binary_classification":
            return LogOddsSums.of_rows(raw, label) if len(rows) else LogOddsSums.none()
        countable = (np.abs(label) <= LARGEST_VALUE) & (np.abs(raw) <= LARGEST_VALUE)
        return ValueSums.of_rows(raw[countable], label[countable], scale.center, scale.width)

    def _with_outcomes(
        self, profile: Profile, reference: Reference, labelled: np.ndarray, classification: bool
    ) -> Profile:
        own = self._own(labelled)
        label, metric = self.rows.label[own], self.declaration.gate.metric
        outcomes = count_outcomes(
            None,
            self.answers.served[own],
            label,
            metric=metric,
            classification=classification,
            threshold=self.declaration.serving.threshold,
        )
        bins = reference.score_bins
        if classification and bins is not None:
            # By what the model said, as the bins are; the sums are of what was served.
            raw = self.answers.raw[own]
            ones, zeros = (counted(bins, bin_indices(bins, raw[label == one])).counts for one in (1, 0))
            outcomes = replace(outcomes, ones=ones, zeros=zeros)
        return replace(profile, outcomes=outcomes)

    def _answered(self, rows: slice) -> np.ndarray:
        places = np.arange(rows.start, rows.stop)
        answered: np.ndarray = places[self.answers.version[rows] > 0]
        return answered

    def _labelled(self) -> np.ndarray:
        """Answered rows of the labelled window whose labels have arrived."""
        rows = self._answered(self.rows.between(self.windows.labelled_start, self.windows.labelled_end))
        labelled: np.ndarray = rows[self.rows.known_at[rows] <= instant(self.windows.as_of)]
        return labelled

    def _own(self, rows: np.ndarray) -> np.ndarray:
        own: np.ndarray = rows[self.answers.version[rows] == self.version]
        return own

    def _arrived(self) -> int:
        known, until = self.rows.known_at[self.answers.version > 0], instant(self.windows.as_of)
        length = np.timedelta64(self.windows.end - self.windows.start)
        return int(((known > until - length) & (known <= until)).sum())

    def _beyond(self, labelled: np.ndarray) -> int:
        own = self._own(labelled)
        large = (np.abs(self.rows.label[own]) > LARGEST_VALUE) | (np.abs(self.answers.served[own]) > LARGEST_VALUE)
        return int(large.sum())


def _values(column: pd.Series, bins: Bins) -> np.ndarray:
    """As counting takes them: numbers with NaN, texts with the empty one where they are missing."""
    if isinstance(bins, CategoryBins):
        return column.fillna("").to_numpy(object)
    return column.to_numpy(np.float64)


def _by_outcome(labels: np.ndarray) -> tuple[int, int]:
    """Rows of outcome 0, and of outcome 1."""
    return int((labels == 0).sum()), int((labels == 1).sum())
