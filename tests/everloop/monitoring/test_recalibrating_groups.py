"""Groups that are recalibrated apart: from a lake's rows to the event that publishes them, or why none is served so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from everloop.documents.calibration import LearnedCalibration
from everloop.documents.recalibration import GroupDocument, GroupsDocument
from everloop.documents.window import WindowRecord
from everloop.model_file.schema import ModelDeclaration
from everloop.monitoring.exceptions import RecalibrationUnreadableError
from everloop.monitoring.profile_query import windows_at
from everloop.monitoring.recalibrating import Standing, calibration_event, learned_before, recalibrate, scale_of
from everloop.monitoring.recalibrating_groups import all_of, apart
from everloop.monitoring.reference import Reference
from everloop.monitoring.watch import CountedOnLake
from everloop.recalibration.calibration import Calibration
from everloop.recalibration.grouped_by import GroupBy
from everloop.recalibration.groups import GroupState
from everloop.typed_json import as_json, read_as
from tests.helpers.declarations import binary_document, declare, regression_document
from tests.helpers.present import present
from tests.helpers.watched_lake import WatchedLake, WatchedRows, draw, reference_of
from tests.helpers.window_records import window_record

FIRST = datetime.fromisoformat("2013-03-04T13:00:00+00:00")
LEVELS = {"north": -1.0, "south": 1.0, "o'er": 0.0}
PLACES = np.array([[0], [1]])
HALF = np.array([0.5])


def declared(document: dict[str, Any] | None = None, **recalibration: Any) -> ModelDeclaration:
    """Recalibrated by line, of which two are declared; a third is served as all others."""
    return declare({**(document or binary_document()), "recalibration": {"by": "line", **recalibration}})


def rows_of(rng: np.random.Generator, count: int, levels: Mapping[str, float], *, classification: bool) -> WatchedRows:
    """Rows of three lines whose outcomes lie apart from the scores by the levels."""
    drawn = draw(rng, count, classification=classification)
    level = np.array([levels[line] for line in drawn.features["line"]])
    if classification:
        truth = 1 / (1 + np.exp(-(np.log(drawn.scores / (1 - drawn.scores)) + level)))
        return replace(drawn, labels=(rng.random(count) < truth).astype(float))
    return replace(drawn, labels=drawn.scores + 5 * level + rng.normal(0, 1, count))


@dataclass
class Days:
    """A monitor that runs every day at one; a day's labels are there by then."""

    declaration: ModelDeclaration
    levels: Mapping[str, float] = field(default_factory=lambda: LEVELS)
    rows: int = 240
    standing: Standing = field(default_factory=Standing)
    records: list[WindowRecord] = field(default_factory=list)
    reference: Reference | None = None

    def __post_init__(self) -> None:
        self.rng, self.lake = np.random.default_rng(1), WatchedLake(self.declaration)
        classification = self.declaration.problem.type == "binary_classification"
        drawn = [draw(self.rng, 60, classification=classification) for _ in range(4)]
        self.reference = self.reference or reference_of(drawn, self.declaration)

    def run(self, version: int = 1) -> WindowRecord:
        assert self.reference is not None
        windows = windows_at(self.declaration, FIRST + timedelta(days=len(self.records)))
        classification = self.declaration.problem.type == "binary_classification"
        rows = rows_of(self.rng, self.rows, self.levels, classification=classification)
        self.lake.live(rows, windows.labelled_start, version=version)
        counts = CountedOnLake(self.declaration, windows, version, self.lake.rows)
        learned = learned_before(self.records, version=version, windows=windows)
        scale = scale_of(learned, self.reference)
        groups = apart(
            self.declaration,
            self.reference,
            lambda by: counts.group_sums(scale, by),
            lambda comparison: counts.compared(comparison, scale),
        )
        sums = counts.raw_sums(scale) if groups is None else all_of(groups.sums)
        found = recalibrate(self.declaration, windows, sums, learned, self.standing, groups)
        times = {name: getattr(windows, name) for name in ("start", "end", "labelled_start", "labelled_end")}
        record = replace(window_record(), version=version, recalibration=found, **times)
        # As it stands in the registry.
        self.records.append(WindowRecord.from_document(record.to_document()))
        return self.records[-1]

    def after(self, days: int) -> WindowRecord:
        return [self.run() for _ in range(days)][-1]


def groups_in(record: WindowRecord) -> GroupsDocument:
    assert record.recalibration is not None
    return record.recalibration["groups"]


def labelled(group: GroupDocument) -> int:
    return GroupState.from_document(group["state"]).state.rows


def text_of(record: WindowRecord) -> Calibration:
    assert record.recalibration is not None
    assert record.recalibration["calibration"] is not None
    return Calibration.from_text(record.recalibration["calibration"])


@pytest.mark.slow
def test_groups_that_lie_apart_are_found_and_published() -> None:
    days = Days(declared(minimum_group_rows=300))
    record = days.after(14)
    made, told = text_of(record), groups_in(record)
    assert made.by == GroupBy("line", values=("north", "south"))
    served = [float(made.apply(HALF, place)[0]) for place in PLACES]
    assert served == pytest.approx([1 / (1 + np.e), 1 / (1 + 1 / np.e)], abs=0.08)
    assert made.apply(HALF)[0] == pytest.approx(0.5, abs=0.06)
    assert told["groups"] is not None
    for group in told["groups"].values():
        assert group["losses"]["own"] < group["losses"]["shared"]
        assert group["waits_for"] is None
    # AND the whole is better by what the groups are
    losses = record.recalibration["losses"]  # type: ignore[index]  # it is there
    assert losses["calibrated"] < losses["raw"]
    # AND fairness is told before and after: nothing was in force, so before is what the model said
    fairness = told["fairness"]
    assert fairness is not None
    assert (fairness["by"], fairness["days"]) == ("line", 7)
    north = fairness["groups"]["north"]
    assert north["before"]["calibration"]["low"] > 0.05
    assert abs(north["after"]["calibration"]["value"]) < 0.06
    assert north["rows"] > 6 * 240 / 4
    # AND the event says it
    event = calibration_event(record)
    assert event is not None
    assert event.groups is not None
    assert event.groups["rows"].keys() == {"north", "south"}
    assert (event.groups["waits_for"], event.groups["withheld"]) == ({}, None)
    assert event.groups["fairness"] == fairness
    # AND comes to the rollout function as it was sent
    assert read_as(LearnedCalibration, json.loads(json.dumps(as_json(event))), "an event", "") == event


@pytest.mark.slow
def test_a_group_with_too_few_rows_is_served_as_all_others_and_says_so() -> None:
    days = Days(declared(minimum_group_rows=100_000))
    record = days.after(5)
    assert text_of(record).by is None
    told = groups_in(record)
    assert told["groups"] is not None
    assert all("and it takes 100,000" in (group["waits_for"] or "") for group in told["groups"].values())
    assert told["withheld"] is None
    event = calibration_event(record)
    if event is not None:
        assert event.groups is not None
        assert event.groups["waits_for"].keys() == {"north", "south"}


@pytest.mark.slow
def test_a_publication_that_breaks_a_limit_keeps_the_shared_calibration_and_says_why() -> None:
    """South becomes more likely and north less, so the shares that are announced as late lie further apart."""
    free = Days(declared(minimum_group_rows=300)).after(12)
    gap = groups_in(free)["fairness"]["gaps"]["selection_rate"]  # type: ignore[index]  # it is there
    assert gap["after"] is not None
    assert gap["after"] > 0.1
    days = Days(declared(minimum_group_rows=300, fairness={"max_selection_rate_gap": 0.05}))
    record = days.after(12)
    told = groups_in(record)
    assert told["withheld"] is not None
    assert told["withheld"].startswith("the selection rate gap by line would be")
    assert "0.05 is declared" in told["withheld"]
    assert text_of(record).by is None
    (reason,) = record.recalibration["reasons"]  # type: ignore[index]  # it is there
    assert "no group is served apart: the selection rate gap by line" in reason["sentence"]
    # AND what the groups would have saved is not counted as saved
    shared = Days(declare(binary_document())).after(12).recalibration
    assert shared is not None
    assert record.recalibration["losses"]["calibrated"] > 0.97 * shared["losses"]["calibrated"]  # type: ignore[index]  # it is there


@pytest.mark.slow
def test_what_is_in_force_is_what_stands_before() -> None:
    days = Days(declared(minimum_group_rows=300))
    published = text_of(days.after(12))
    days.standing = Standing(in_force=published.to_text())
    told = groups_in(days.run())["fairness"]
    assert told is not None
    for group in told["groups"].values():
        assert group["before"]["calibration"]["value"] == pytest.approx(
            group["after"]["calibration"]["value"], abs=0.05
        )
        assert group["shared"] != group["before"]


@pytest.mark.slow
def test_a_regressions_groups_are_moved_apart() -> None:
    days = Days(declared(regression_document(), minimum_group_rows=300))
    record = days.after(12)
    made = text_of(record)
    served = [float(made.apply(np.array([0.0]), place)[0]) for place in PLACES]
    assert served == pytest.approx([-5, 5], abs=1.0)
    told = groups_in(record)
    assert told["fairness"] is not None
    assert list(told["fairness"]["gaps"]) == ["calibration"]
    gap = told["fairness"]["gaps"]["calibration"]
    assert gap["after"] < 1 < 8 < gap["before"]  # type: ignore[operator]  # both are numbers


@pytest.mark.slow
def test_a_champion_that_does_not_know_the_feature_is_served_as_before() -> None:
    known = Days(declared()).reference
    assert known is not None
    without = replace(known, features={name: f for name, f in known.features.items() if name != "line"})
    record = Days(declared(minimum_group_rows=1), reference=without).after(4)
    assert groups_in(record)["withheld"] == (
        "the champion does not use 'line', so it can't tell the groups apart: train a new version"
    )
    assert text_of(record).by is None
    other = replace(known, features={**known.features, "line": known.features["wind"]})
    record = Days(declared(minimum_group_rows=1), reference=other).run()
    assert "'line' is a number to the champion" in (groups_in(record)["withheld"] or "")


@pytest.mark.slow
def test_a_promoted_version_goes_on_with_what_was_learned_and_counts_losses_of_its_own() -> None:
    days = Days(declared(minimum_group_rows=300))
    before = groups_in(days.after(8))["groups"]
    after = groups_in(days.run(version=2))["groups"]
    assert before is not None
    assert after is not None
    for name, group in after.items():
        assert group["losses"]["rows"] < before[name]["losses"]["rows"]
        assert labelled(group) > labelled(before[name])


@pytest.mark.slow
def test_groups_of_another_feature_begin_anew_and_spans_of_a_number_are_groups_too() -> None:
    days = Days(declared(minimum_group_rows=1))
    days.after(3)
    days.declaration = declare(binary_document(recalibration={"by": "wind", "edges": [10], "minimum_group_rows": 1}))
    told = groups_in(days.run())["groups"]
    assert told is not None
    assert list(told) == ["below 10", "10 and above"]
    assert all(group["losses"]["rows"] == labelled(group) for group in told.values())


@pytest.mark.slow
def test_where_no_group_is_declared_nothing_is_said_of_any() -> None:
    record = Days(declare(binary_document())).after(3)
    assert record.recalibration is not None
    assert "groups" not in record.recalibration
    days = Days(declare({**binary_document(), "recalibration": "none"}))
    assert "groups" not in days.run().recalibration  # type: ignore[operator]  # it is there


@pytest.mark.slow
def test_what_can_not_be_read_is_refused_by_name() -> None:
    days = Days(declared())
    record = days.run()
    told: Any = {**groups_in(record), "by": {"feature": "line"}}
    days.records = [replace(record, recalibration={**present(record.recalibration), "groups": told})]
    with pytest.raises(RecalibrationUnreadableError, match="everloop audit verify"):
        days.run()
