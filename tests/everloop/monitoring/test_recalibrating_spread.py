"""Intervals are counted as answered, recalibrated with the scores, and told of: from the lake to the event."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from everloop.documents.window import WindowRecord
from everloop.instants import parse_instant
from everloop.model_file.schema import ModelDeclaration
from everloop.monitoring.exceptions import RecalibrationUnreadableError
from everloop.monitoring.interval_query import interval_query, read_spread
from everloop.monitoring.profile_query import windows_at
from everloop.monitoring.raw_scores_query import raw_scores_query, read_sums
from everloop.monitoring.recalibrating import Standing, calibration_event, learned_before, recalibrate, scale_of
from everloop.monitoring.recalibrating_spread import Spread
from everloop.recalibration.calibration import Calibration
from everloop.recalibration.interval import Interval
from everloop.serving.scores import Scores
from tests.helpers.declarations import declare, regression_document
from tests.helpers.present import present
from tests.helpers.watched_lake import WatchedLake, WatchedRows, draw, reference_of
from tests.helpers.window_records import window_record

DECLARATION = declare(regression_document())
FROZEN = declare({**regression_document(), "recalibration": "none"})
FIRST = parse_instant("2013-03-04T06:00:00Z")
INTERVAL = Interval(0.8, 1.2816, 1.2816)
"""Of a model whose errors are normal with a standard deviation of 1."""


@dataclass
class Days:
    """A lake that fills, and a monitor that runs every morning and publishes what it decides to."""

    declaration: ModelDeclaration = DECLARATION
    interval: Interval | None = INTERVAL
    version: int = 1
    in_force: str = ""
    records: list[WindowRecord] = field(default_factory=list)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(8))

    def __post_init__(self) -> None:
        self.lake = WatchedLake(self.declaration)
        self.reference = reference_of([draw(self.rng, 40, classification=False) for _ in range(8)], self.declaration)

    def live(self, *, scale: float = 1.0, level: float = 0.0, rows: int = 300, bounds: bool = True) -> WindowRecord:
        """A day that is answered, labelled by the next morning, and watched then."""
        windows = windows_at(self.declaration, FIRST + timedelta(days=len(self.records)))
        drawn = draw(self.rng, rows, classification=False)
        outcomes = drawn.scores + level + self.rng.normal(0, scale, rows)
        made = Calibration.from_text(self.in_force) if self.in_force else None
        scores = Scores.of(drawn.scores, made, interval=self.interval)
        answered = WatchedRows(drawn.features, scores.served, outcomes)
        between = (scores.bounds.low, scores.bounds.high) if bounds and scores.bounds else None
        noon = windows.labelled_start + timedelta(hours=12)
        ids = self.lake.capture(answered, noon, version=self.version, raw=scores.raw, bounds=between)
        self.lake.label(ids, outcomes, noon + timedelta(hours=2))
        return self.watch()

    def watch(self) -> WindowRecord:
        windows = windows_at(self.declaration, FIRST + timedelta(days=len(self.records)))
        learned = learned_before(self.records, version=self.version, windows=windows)
        scale = scale_of(learned, self.reference)
        query = raw_scores_query(self.declaration, windows, version=self.version, scale=scale)
        sums = read_sums(self.declaration, self.lake.rows(query), scale=scale)
        spread = None
        if self.interval is not None:
            text = interval_query(self.declaration, windows, self.interval, version=self.version)
            spread = Spread(self.interval, read_spread(self.lake.rows(text), self.interval))
        found = recalibrate(self.declaration, windows, sums, learned, Standing(self.in_force), None, spread)
        times = {name: getattr(windows, name) for name in ("start", "end", "labelled_start", "labelled_end")}
        record = replace(window_record(), version=self.version, recalibration=found, **times)
        self.records.append(WindowRecord.from_document(record.to_document()))
        event = calibration_event(self.records[-1])
        self.in_force = event.calibration if event else self.in_force
        return self.records[-1]


@pytest.mark.slow
def test_noise_that_doubles_makes_intervals_twice_as_wide() -> None:
    days = Days()
    for _ in range(25):
        record = days.live(scale=2.0)
    spread = present(record.recalibration)["spread"]
    assert spread["factors"] == pytest.approx([2.0, 2.0], rel=0.12)
    assert Calibration.from_text(days.in_force).spread == pytest.approx((2.0, 2.0), rel=0.12)
    # AND the window tells how intervals did that were answered, beside those of the birth
    served, raw = present(spread["served"]), present(spread["raw"])
    assert (served["rows"], served["windows"]) == (7500, 25)
    assert raw["coverage"] == pytest.approx(0.48, abs=0.03)
    assert present(raw["coverage"]) < present(served["low"]) < present(served["coverage"]) < present(served["high"])
    assert served["coverage"] == pytest.approx(0.8, abs=0.05)
    assert served["score"] < raw["score"]
    assert raw["mean_width"] == pytest.approx(INTERVAL.below + INTERVAL.above)
    assert f"held {served['coverage']:.3f}" in present(record.recalibration)["reasons"][0]["sentence"]
    # AND so does the event of its calibration
    event = present(calibration_event(record))
    assert present(event.interval)["factors"] == spread["factors"]
    assert present(event.interval)["served"] == served


@pytest.mark.slow
def test_intervals_that_are_right_are_left_nearly_alone() -> None:
    days = Days()
    for _ in range(25):
        record = days.live()
    assert present(record.recalibration)["spread"]["factors"] == pytest.approx([1.0, 1.0], abs=0.06)
    served = present(present(record.recalibration)["spread"]["served"])
    assert present(served["low"]) <= 0.8 <= present(served["high"])


@pytest.mark.slow
def test_a_level_that_rises_is_no_spread() -> None:
    """Distances are from what was answered: once level and slope follow, intervals are as wide as they were."""
    days = Days()
    for _ in range(40):
        record = days.live(level=3.0)
    spread = present(record.recalibration)["spread"]
    assert present(spread["raw"])["coverage"] < 0.1
    assert spread["factors"] == pytest.approx([1.0, 1.0], abs=0.2)
    assert present(spread["served"])["coverage"] > 0.7


@pytest.mark.slow
def test_with_none_declared_nothing_moves_and_the_window_says_what_it_costs() -> None:
    days = Days(FROZEN)
    for _ in range(10):
        record = days.live(scale=3.0)
    found = present(record.recalibration)
    assert (found["decision"], days.in_force) == ("none", "")
    assert present(found["spread"]["served"])["coverage"] == present(found["spread"]["raw"])["coverage"] < 0.5
    assert found["spread"]["factors"][0] > 2
    assert "as they were at birth" in found["reasons"][0]["sentence"]


def test_rows_that_were_answered_without_bounds_teach_nothing() -> None:
    """GIVEN rows of a release that had none, in one lake with rows that have them."""
    days = Days()
    days.live(scale=3.0, bounds=False)
    spread = present(days.records[-1].recalibration)["spread"]
    assert (spread["served"], spread["factors"]) == (None, [1.0, 1.0])
    assert (
        "no labelled row was answered with an interval"
        in present(days.records[-1].recalibration)["reasons"][0]["sentence"]
    )
    assert present(present(days.live(scale=3.0, rows=120).recalibration)["spread"]["served"])["rows"] == 120


@pytest.mark.slow
def test_another_version_starts_with_its_own_interval_and_tells_of_itself() -> None:
    days = Days()
    for _ in range(15):
        before = days.live(scale=3.0)
    days.version, days.interval, days.in_force = 2, Interval(0.8, 3 * 1.2816, 3 * 1.2816), ""
    record = days.live(scale=3.0, rows=200)
    spread = present(record.recalibration)["spread"]
    assert present(before.recalibration)["spread"]["factors"][0] > 2.5
    assert spread["factors"] == pytest.approx([1.0, 1.0], abs=0.35)
    assert spread["told"]["served"]["rows"] == 200
    assert spread["state"]["weights"] == present(before.recalibration)["spread"]["state"]["weights"]


def test_a_version_without_an_interval_has_no_spread() -> None:
    days = Days(interval=None)
    record = days.live()
    assert "spread" not in present(record.recalibration)
    event = calibration_event(record)
    assert event is None or event.interval is None


def test_a_window_watched_again_teaches_nothing_twice() -> None:
    days = Days()
    days.live(scale=2.0)
    first = present(days.records[-1].recalibration)["spread"]
    late = replace(days.records[-1], end=days.records[-1].end - timedelta(hours=1))
    days.records = [late]
    windows = windows_at(days.declaration, FIRST)
    learned = learned_before([late], version=1, windows=windows)
    text = interval_query(days.declaration, windows, INTERVAL, version=1)
    spread = Spread(INTERVAL, read_spread(days.lake.rows(text), INTERVAL))
    number = windows.labelled_end.toordinal()
    again = spread.learned(learned.spread, number, int(str(first["state"]["delay"])), 1)
    assert again["told"] == first["told"]
    assert again["state"] == first["state"]


def test_a_state_that_was_changed_is_refused_by_name() -> None:
    days = Days()
    days.live()
    found = present(days.records[-1].recalibration)
    state: Any = found["spread"]["state"]
    state["weights"] = [1.0]
    with pytest.raises(RecalibrationUnreadableError, match="audit verify"):
        days.live()
