"""How far back the monitor reads before it says how much has been labelled since the last training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from everloop.documents.window import WindowRecord
from everloop.monitoring.own_scores import DAYS
from everloop.monitoring.profile_query import windows_at
from everloop.monitoring.reference import SCORE, Reference
from everloop.monitoring.watch import Scene, reach_back, watch, windows_needed
from everloop.registry.records import Champion, Run
from tests.helpers.declarations import binary_document, declare
from tests.helpers.present import present
from tests.helpers.watched_lake import WatchedLake, draw, reference_of
from tests.helpers.window_records import window_record

TRAINED = datetime(2013, 3, 1, 9, tzinfo=UTC)
DECLARATION = declare(
    binary_document(
        retraining={
            "quality": {"days": 3, "minimum_increase": 0.05},
            "schedule_days": 30,
            "cooldown_days": 6,
            "quota": {"runs": 3, "days": 90},
        },
        monitoring={"minimum_rows": 200},
        data={"split": {"test_days": 5}},
    )
)
REFERENCE = reference_of([draw(np.random.default_rng(1), 50) for _ in range(10)], DECLARATION)


@dataclass
class Days:
    """A model that is watched every day, with the same few labelled rows, and was trained on the first.

    Attributes
    ----------
    read : list of int
        How many windows were asked for, time after time.
    """

    rows: int
    reference: Reference = REFERENCE
    records: list[WindowRecord] = field(default_factory=list)
    read: list[int] = field(default_factory=list)

    def scheduled(self, day: int) -> datetime:
        return TRAINED.replace(hour=13) + timedelta(days=day)

    def record(self, days: range) -> None:
        """Record windows as of the days, which another champion answered."""
        for day in days:
            windows = windows_at(DECLARATION, self.scheduled(day))
            ends = {"end": windows.end, "labelled_end": windows.labelled_end}
            self.records.insert(0, window_record(version=9, labelled_rows=self.rows, **ends))

    def latest(self, count: int) -> Sequence[WindowRecord]:
        self.read.append(count)
        return self.records[:count]

    def watch(self, day: int) -> WindowRecord:
        """The record of a day, whose window has the same rows."""
        windows = windows_at(DECLARATION, self.scheduled(day))
        runs = [Run("late_train", "train-1", "train", TRAINED, TRAINED, "succeeded")]
        lake = WatchedLake(DECLARATION)
        lake.live(draw(np.random.default_rng(day), self.rows), windows.start)
        scene = Scene(
            champion=Champion("late_train", 1, TRAINED, "1", "c0de", "r"),
            reference=self.reference,
            earlier=reach_back(DECLARATION, windows, runs, self.latest),
            own=reversed(self.records),
            runs=runs,
            active_run=None,
        )
        return watch(DECLARATION, windows, scene, lake.rows)


def test_a_window_in_which_the_share_of_captured_rows_changed_is_not_judged_for_drift() -> None:
    windows = windows_at(DECLARATION, TRAINED + timedelta(days=5))
    lake, found = WatchedLake(DECLARATION), {}
    for hour, share in ((3, 0.5), (4, None)):
        lake.capture(draw(np.random.default_rng(hour), 300), windows.start + timedelta(hours=hour), share=share)
        scene = Scene(Champion("late_train", 1, TRAINED, "1", "c0de", "r"), REFERENCE, (), (), (), None)
        found[hour] = watch(DECLARATION, windows, scene, lake.rows)
    even, uneven = found.values()
    assert (even.rows, even.answered_rows, even.share_changed, even.drift_evaluated) == (300, 600, False, True)
    assert (uneven.rows, uneven.answered_rows, uneven.share_changed, uneven.drift_evaluated) == (600, 900, True, False)
    assert "the share of captured rows changed in the window, from 0.5 to 1 or back" in uneven.drift_reason


def test_a_model_of_few_rows_a_day_is_trained_when_it_is_due() -> None:
    # GIVEN 100 days of 10 rows, while the windows that are judged together hold fewer than the 200 that are needed
    days = Days(rows=10)
    assert windows_needed(DECLARATION) * days.rows < DECLARATION.monitoring.minimum_rows
    days.record(range(1, 100))
    record = days.watch(100)
    assert (record.decision, record.trigger) == ("retrain", "schedule")


def test_a_model_of_hardly_any_rows_is_told_all_of_them() -> None:
    days = Days(rows=1)
    days.record(range(1, 100))
    record = days.watch(100)
    assert (record.decision, record.held_back_by) == ("held_back", "too_little_data")
    assert record.reasons[1].sentence.startswith("100 labelled rows arrived since the last training")


def test_rows_from_before_the_last_training_do_not_count() -> None:
    days = Days(rows=10)
    days.record(range(-100, 15))
    record = days.watch(15)
    assert record.held_back_by is None
    days = Days(rows=10)
    days.record(range(-100, 31))
    days.records = [replace(record, labelled_rows=3) for record in days.records]
    assert days.watch(31).held_back_by == "too_little_data"


@pytest.mark.parametrize(
    ("rows", "recorded", "read"),
    [
        (150, range(-100, 31), [14]),
        (10, range(-100, 31), [14, 28]),
        (1, range(-100, 31), [14, 28, 56]),
        (1, range(5), [14]),
    ],
    ids=["enough in the first", "enough in the second", "back to the training", "all there are"],
)
def test_no_more_is_read_than_decides(rows: int, recorded: range, read: list[int]) -> None:
    days = Days(rows=rows)
    days.record(recorded)
    days.watch(31)
    assert days.read == read


@pytest.mark.slow
def test_windows_read_for_their_rows_alone_are_not_judged() -> None:
    # GIVEN five good days of the champion, and weeks without it since
    days = Days(rows=150)
    for day in range(1, 6):
        days.records.insert(0, days.watch(day))
    days.rows = 1
    days.record(range(6, 26))
    # WHEN the five are read again, to count their rows
    record = days.watch(26)
    assert days.read[-1] == 28
    # THEN the champion is judged as if it had just come
    assert record.quality["reason"] == "this champion has 1 of the 3 labelled windows needed"


@pytest.mark.slow
def test_scores_without_a_yardstick_are_counted_and_then_judged_by_their_own_first_windows() -> None:
    # GIVEN a champion whose reference holds another model's scores, and says so
    days = Days(rows=250, reference=replace(REFERENCE, score_unjudged="they are its sibling's"))
    for day in range(1, DAYS + 1):
        days.records.insert(0, days.watch(day))
    record = days.records[0]
    # THEN its features are judged, its scores are not, and the record says why
    assert record.drift_evaluated
    assert SCORE not in record.drift
    assert set(record.drift) == set(REFERENCE.features)
    own = present(record.score_reference)
    assert (own["complete"], own["rows"], own["days"]) == (False, 250 * (DAYS - 1), DAYS - 1)
    assert record.not_watched == {SCORE: own["sentence"]}
    # AND what follows from labels goes on
    assert record.quality["rows"] == 3 * 250
    # WHEN there are days enough, THEN the windows after them are judged
    for day in range(DAYS + 1, DAYS + 4):
        days.records.insert(0, days.watch(day))
    record = days.records[0]
    own = present(record.score_reference)
    assert record.not_watched == {}
    assert (record.drift[SCORE]["days"], record.drift[SCORE]["alarm"]) == (own_span(3), False)
    assert own["complete"]
    assert own["end"] == days.records[3].end
    # AND a window looked at again gives the same record
    again = Days(rows=250, reference=days.reference, records=days.records[1:])
    looked = again.watch(DAYS + 3)
    assert (looked.drift, looked.score_reference) == (record.drift, record.score_reference)
    # AND any other champion's scores are judged at once
    record = Days(rows=250).watch(1)
    assert SCORE in record.drift
    assert record.score_reference is None


def own_span(windows: int) -> int:
    """How many of ``windows`` days are judged together, by a reference that is to hold five such spans."""
    return min(windows, DAYS // 5)


def test_a_reference_remembers_that_its_scores_are_no_yardstick() -> None:
    told = replace(REFERENCE, score_unjudged="they are its sibling's")
    assert Reference.from_json(told.to_json()) == told
    # As one from before, which had scores of its own alone
    assert Reference.from_json(REFERENCE.to_json().replace(',"score_unjudged":""', "")) == REFERENCE
