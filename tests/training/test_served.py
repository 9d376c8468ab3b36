"""From which state candidate and champion are recalibrated, and over which windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.model_file.schema import ModelDeclaration
from everloop.monitoring.profile_query import windows_at
from everloop.recalibration.learner import learn, start
from everloop.recalibration.state import Limits
from everloop.recalibration.sums import LogOddsSums
from everloop.registry.evidence import record_sha256
from everloop.registry.records import Window
from everloop.training.exceptions import ChampionError
from everloop.training.served import learned_before, serving, window_numbers
from tests.helpers.declarations import binary_document, declare
from tests.helpers.window_records import window_record
from tests.training.scenes import rows as drawn
from tests.training.scenes import split_of

MORNING = datetime(2013, 2, 1, 6, tzinfo=UTC)


def declared(**data: Any) -> ModelDeclaration:
    return declare(binary_document(data=data))


def recorded(morning: datetime, *, delay: int = 1, state: bool = True, length: int = 1) -> Window:
    """The window of the monitor that ran then, with labels of ``delay`` windows late."""
    end = morning.replace(hour=0)
    labelled_end = end - delay * timedelta(days=length)
    learned = learn(start("log_odds", delay, Limits(8.0)), labelled_end.toordinal() // length, LogOddsSums.none())
    recalibration: Any = {
        "sums": LogOddsSums.none().to_document(),
        "state": learned.to_document() if state else None,
        "losses": {"windows": 0, "rows": 0, "raw": 0.0, "calibrated": 0.0},
        "calibration": None,
        "in_force": None,
        "decision": "none",
        "reasons": [],
    }
    record = replace(
        window_record(),
        start=end - timedelta(days=length),
        end=end,
        labelled_start=labelled_end - timedelta(days=length),
        labelled_end=labelled_end,
        recalibration=recalibration,
    )
    return Window("late_train", end, record.to_document())


def midnight(day: str) -> datetime:
    return datetime.fromisoformat(f"{day}T00:00:00+00:00")


class TestWhatWasLearnedBefore:
    def test_it_is_the_newest_window_that_was_labelled_before_the_first_row(self) -> None:
        windows = [recorded(MORNING - timedelta(days=days)) for days in range(10)]
        found = learned_before(windows, midnight("2013-01-28"), 1, 1)
        assert found.window is not None
        assert found.window.record.labelled_end == midnight("2013-01-28")
        assert found.state is not None
        assert found.state.window == midnight("2013-01-28").toordinal()

    def test_windows_without_a_state_are_passed_over_and_no_more_are_read_than_needed(self) -> None:
        read = []

        def windows() -> Iterator[Window]:
            for days in range(100):
                read.append(days)
                yield recorded(MORNING - timedelta(days=days), state=days > 5)

        found = learned_before(windows(), midnight("2013-01-31"), 1, 1)
        assert found.window is not None
        assert found.window.record.labelled_end == midnight("2013-01-25")
        assert len(read) == 7

    def test_a_state_of_another_delay_is_taken_where_all_that_it_learned_had_been_labelled(self) -> None:
        windows = [recorded(MORNING - timedelta(days=days), delay=0) for days in range(10)]
        found = learned_before(windows, midnight("2013-01-28"), 2, 1)
        assert found.window is not None
        assert found.window.record.labelled_end == midnight("2013-01-26")

    def test_without_windows_nothing_was_learned(self) -> None:
        found = learned_before([], midnight("2013-01-28"), 1, 1)
        assert (found.state, found.window) == (None, None)

    def test_a_state_that_was_changed_stops_the_evaluation(self) -> None:
        window = recorded(MORNING)
        window.document["recalibration"]["state"]["delay"] = 99  # type: ignore[index]  # as something else wrote it
        with pytest.raises(ChampionError, match=r"no readable state.*audit verify late_train"):
            learned_before([window], midnight("2013-02-02"), 1, 1)


@given(
    length=st.integers(1, 6),
    phase=st.integers(0, 5),
    day=st.integers(0, 400),
    late=st.integers(0, 5),
    hour=st.integers(0, 23),
)
def test_rows_fall_into_the_windows_that_the_monitor_counts(
    length: int, phase: int, day: int, late: int, hour: int
) -> None:
    """GIVEN a monitor that runs once for each window, THEN a day's number is that of the window that has it."""
    every = "rate(1 day)" if length == 1 else f"rate({length} days)"
    monitoring = {"window_hours": 24 * length, "drift_days": length, "schedule": every}
    declaration = declare(binary_document(monitoring=monitoring, data={"label_lag_hours": 24.0 * late}))
    first = datetime(2013, 1, 1, hour, tzinfo=UTC) + timedelta(days=phase)
    runs = [windows_at(declaration, first + timedelta(days=length * n)) for n in range(-14, 420 // length + 8)]
    before = recorded(first, length=length)
    shifted = replace(before.record, labelled_end=runs[2].labelled_end)
    window = Window("late_train", before.end, shifted.to_document())
    asked = np.datetime64("2013-01-01") + np.timedelta64(day, "D")
    own = next(w for w in runs if w.labelled_start.date() <= asked.astype(object) < w.labelled_end.date())
    (number,) = window_numbers(np.array([asked]), length, window)
    assert number == own.labelled_end.toordinal() // length


class TestServing:
    def test_a_model_that_is_never_recalibrated_is_judged_raw(self) -> None:
        document = binary_document()
        rows = split_of(drawn(declare(document), 300, 31, 1))
        assert serving(declare({**document, "recalibration": "none"}), rows, list) is None

    def test_labels_that_come_later_than_a_state_waits_are_judged_raw(self) -> None:
        declaration = declared(label_lag_hours=32 * 24)
        assert serving(declaration, split_of(drawn(declaration, 300, 31, 1)), list) is None

    def test_a_lag_of_part_of_a_window_counts_as_a_whole_one(self) -> None:
        declaration = declared(label_lag_hours=30)
        found = serving(declaration, split_of(drawn(declaration, 300, 31, 1)), list)
        assert found is not None
        assert found.facts.windows_late == 2

    def test_the_facts_name_the_window_that_was_gone_on_from(self) -> None:
        declaration, window = declared(label_lag_hours=24), recorded(MORNING)
        found = serving(declaration, split_of(drawn(declaration, 300, 31, 1)), lambda: [window])
        assert found is not None
        assert found.facts.windows == 3
        assert found.facts.window_end == midnight("2013-02-01")
        assert found.facts.learned_until == midnight("2013-01-31")
        assert found.facts.window_sha256 == record_sha256(window)

    def test_rows_are_served_by_group_where_that_is_declared(self) -> None:
        declaration = declare(binary_document(recalibration={"by": "line", "minimum_group_rows": 1}))
        rows = split_of(drawn(declaration, 300, 31, 1))
        found = serving(declaration, rows, list)
        assert found is not None
        assert found.apart is not None
        assert set(found.apart.places.tolist()) == {0, 1}
        raw, lines = np.full(len(rows), 0.5), rows.features["line"].to_numpy()
        late = (lines == "north") == (np.arange(len(rows)) % 6 > 0)
        served = found.scores(raw, late.astype(float))
        last = found.windows == found.windows.max()
        assert served[last & (lines == "north")].min() > served[last & (lines == "south")].max()

    def test_groups_that_were_withheld_are_served_as_all_others(self) -> None:
        declaration = declare(binary_document(recalibration={"by": "line"}))
        window = recorded(MORNING)
        document: dict[str, Any] = window.record.to_document()
        told = {"by": {"feature": "line", "values": ["north", "south"]}, "groups": {}, "fairness": None}
        document["recalibration"]["groups"] = {**told, "withheld": "a gap would be larger than declared"}
        withheld = Window("late_train", window.end, document)
        rows = split_of(drawn(declaration, 300, 31, 1))
        for history, apart in ([window], True), ([withheld], False):
            found = serving(declaration, rows, partial(list, history))
            assert found is not None
            assert (found.apart is not None) == apart
