"""Labelled windows teach how scores should be served: from the lake's rows to the event that publishes it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from everloop.documents.window import WindowRecord
from everloop.instants import parse_instant
from everloop.model_file.schema import ModelDeclaration
from everloop.monitoring.exceptions import RecalibrationUnreadableError
from everloop.monitoring.profile_query import windows_at
from everloop.monitoring.raw_scores_query import raw_scores_query, read_sums
from everloop.monitoring.recalibrating import (
    Learned,
    Standing,
    calibration_event,
    learned_before,
    recalibrate,
)
from everloop.recalibration.calibration import Calibration, Part
from everloop.recalibration.sums import LogOddsSums, Scale, Sums, ValueSums
from everloop.recalibration.worth import largest_move, losses
from tests.helpers.declarations import binary_document, declare, regression_document
from tests.helpers.present import present
from tests.helpers.watched_lake import WatchedLake, draw
from tests.helpers.window_records import window_record

FIRST = datetime.fromisoformat("2013-03-04T06:00:00+00:00")
BINARY = declare(binary_document())
REGRESSION = declare(regression_document())


def sigmoid(z: np.ndarray) -> np.ndarray:
    found: np.ndarray = 1 / (1 + np.exp(-z))
    return found


def shifted(rng: np.random.Generator, rows: int, level: float) -> Sums:
    """Rows of a model whose log odds are ``level`` too low."""
    z = rng.normal(0, 1.2, rows)
    return LogOddsSums.of_rows(sigmoid(z), (rng.random(rows) < sigmoid(z + level)).astype(float))


@dataclass
class Days:
    """A monitor that runs every morning."""

    declaration: ModelDeclaration = BINARY
    records: list[WindowRecord] = field(default_factory=list)

    def run(self, sums: Sums, standing: Standing = Standing(), *, version: int = 1) -> WindowRecord:  # noqa: B008
        windows = windows_at(self.declaration, FIRST + timedelta(days=len(self.records)))
        learned = learned_before(self.records, version=version, windows=windows)
        found = recalibrate(self.declaration, windows, sums, learned, standing)
        times = {name: getattr(windows, name) for name in ("start", "end", "labelled_start", "labelled_end")}
        record = replace(window_record(), version=version, recalibration=found, **times)
        # As it stands in the registry.
        self.records.append(WindowRecord.from_document(record.to_document()))
        return self.records[-1]


class TestLearning:
    def test_a_level_that_is_off_is_found_and_published(self) -> None:
        days, rng = Days(), np.random.default_rng(1)
        for _ in range(20):
            record = days.run(shifted(rng, 300, 1.0))
        found = present(record.recalibration)
        assert found["decision"] == "publish"
        served = Calibration.from_text(present(found["calibration"])).apply(np.array([0.5]))
        assert served == pytest.approx(sigmoid(np.array([1.0])), abs=0.05)
        told = found["losses"]
        assert told["windows"] == 20
        assert told["rows"] == 6000
        assert told["calibrated"] < told["raw"]
        # AND the event says it, with what it was learned from
        event = present(calibration_event(record))
        assert event.calibration == found["calibration"]
        assert (event.version, event.rows) == (1, 6000)
        assert present(event.loss_recalibrated) < present(event.loss_raw)

    def test_good_scores_are_left_nearly_alone(self) -> None:
        days, rng = Days(), np.random.default_rng(2)
        for _ in range(20):
            record = days.run(shifted(rng, 300, 0.0))
        raw = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
        assert Calibration.from_text(present(present(record.recalibration)["calibration"])).apply(raw) == pytest.approx(
            raw, abs=0.03
        )

    def test_without_labels_nothing_is_said(self) -> None:
        record = Days().run(LogOddsSums.none())
        assert present(record.recalibration)["decision"] == "none"
        assert present(record.recalibration)["reasons"][0]["code"] == "nothing_new"
        assert calibration_event(record) is None

    def test_a_window_of_too_few_rows_teaches_nothing(self) -> None:
        strict = declare(binary_document(recalibration={"minimum_rows": 50}))
        days, rng = Days(strict), np.random.default_rng(3)
        for _ in range(5):
            record = days.run(shifted(rng, 49, 3.0))
        assert present(record.recalibration)["losses"]["rows"] == 0
        assert present(days.run(shifted(rng, 50, 3.0)).recalibration)["losses"]["rows"] == 50

    def test_the_limit_is_the_declared_one(self) -> None:
        tight = declare(binary_document(recalibration={"max_shift": 0.25}))
        days, rng = Days(tight), np.random.default_rng(4)
        for _ in range(8):
            record = days.run(shifted(rng, 300, 2.0))
        served = Calibration.from_text(present(present(record.recalibration)["calibration"])).apply(np.array([0.5]))
        assert 0.55 < served[0] <= sigmoid(np.array([0.25]))[0]

    def test_a_promoted_version_goes_on_with_what_was_learned_and_counts_losses_of_its_own(self) -> None:
        days, rng = Days(), np.random.default_rng(5)
        for _ in range(8):
            before = days.run(shifted(rng, 300, 1.0))
        record = days.run(LogOddsSums.none(), version=2)
        assert present(record.recalibration)["losses"]["rows"] == 0
        assert present(record.recalibration)["calibration"] == present(before.recalibration)["calibration"]

    def test_a_regression_is_moved_within_its_own_spread(self) -> None:
        days, rng = Days(REGRESSION), np.random.default_rng(6)
        for _ in range(8):
            scores = rng.normal(50, 10, 300)
            record = days.run(ValueSums.of_rows(scores, scores + 7 + rng.normal(0, 1, 300), 50.0))
        served = Calibration.from_text(present(present(record.recalibration)["calibration"]))
        assert 56 < served.apply(np.array([50.0]))[0] < 57.2
        assert served.max_shift == pytest.approx(8 * 10, rel=0.1)
        assert present(record.recalibration)["losses"]["calibrated"] < present(record.recalibration)["losses"]["raw"]

    def test_what_can_not_be_read_is_refused_by_name(self) -> None:
        days, rng = Days(), np.random.default_rng(7)
        record = days.run(shifted(rng, 300, 1.0))
        days.records = [replace(record, recalibration={**present(record.recalibration), "state": {"format": 1}})]
        with pytest.raises(RecalibrationUnreadableError, match="everloop audit verify"):
            days.run(shifted(rng, 300, 1.0))


class TestDeciding:
    @pytest.fixture
    def taught(self) -> Days:
        days, rng = Days(), np.random.default_rng(8)
        for _ in range(4):
            days.run(shifted(rng, 300, 1.0))
        return days

    def test_what_is_in_force_is_not_published_again(self, taught: Days) -> None:
        text = present(present(taught.records[-1].recalibration)["calibration"])
        found = present(taught.run(LogOddsSums.none(), Standing(text)).recalibration)
        moved = np.abs(
            Calibration.from_text(present(found["calibration"])).apply(np.array([0.5]))
            - Calibration.from_text(text).apply(np.array([0.5]))
        )
        assert (found["decision"] == "none") is bool(moved[0] <= 0.001)
        assert found["in_force"] == Calibration.from_text(text).sha256[:12]

    def test_while_it_is_held_the_reason_is_kept(self, taught: Days) -> None:
        record = taught.run(shifted(np.random.default_rng(9), 300, 1.0), Standing(held_by="a person wants it so"))
        assert present(record.recalibration)["decision"] == "held_back"
        assert present(record.recalibration)["reasons"][0]["sentence"].startswith(
            "a person wants it so; over 5 labelled windows"
        )
        assert calibration_event(record) is None

    def test_where_none_is_declared_the_report_says_what_it_costs(self, taught: Days) -> None:
        taught.declaration = declare(binary_document(recalibration="none"))
        record = taught.run(shifted(np.random.default_rng(10), 300, 1.0))
        assert present(record.recalibration)["decision"] == "none"
        sentence = present(record.recalibration)["reasons"][0]["sentence"]
        assert sentence.startswith("recalibration: none is declared; over 5 labelled windows")
        assert "recalibrated" in sentence
        assert calibration_event(record) is None

    def test_labels_that_come_too_late_are_named(self) -> None:
        windows = windows_at(BINARY, FIRST)
        late = replace(windows, labelled_end=windows.labelled_end - timedelta(days=40))
        found = recalibrate(BINARY, late, LogOddsSums.none(), Learned(None, _none()), Standing())
        assert found["reasons"][0]["code"] == "labels_too_late"


def _none() -> Any:
    return {"windows": 0, "rows": 0, "raw": 0.0, "calibrated": 0.0}


@pytest.mark.parametrize("document", [binary_document(), regression_document()], ids=["binary", "regression"])
def test_the_query_counts_what_the_rows_say(document: dict[str, Any]) -> None:
    declaration = declare(document)
    lake, rng = WatchedLake(declaration), np.random.default_rng(0)
    windows = windows_at(declaration, parse_instant("2013-03-06T06:00:00Z"))
    day, scale = windows.labelled_start, Scale(0.25, 0.5)
    kind = declaration.problem.type == "binary_classification"
    own, others = draw(rng, 200, classification=kind, unlabelled=0.2), draw(rng, 50, classification=kind)
    lake.live(own, day)
    lake.live(others, day, version=2)
    lake.live(draw(rng, 50, classification=kind), day - timedelta(days=1))
    lake.repeat_delivery()
    answer = lake.rows(raw_scores_query(declaration, windows, version=1, scale=scale))
    found = read_sums(declaration, answer, scale=scale)
    known = ~np.isnan(own.labels)
    scores, labels = own.scores[known], own.labels[known]
    if kind:
        assert isinstance(found, LogOddsSums)
        expected = LogOddsSums.of_rows(scores, labels)
        assert found.counts.tolist() == expected.counts.tolist()
        assert found.log_odds == pytest.approx(expected.log_odds)
        return
    assert isinstance(found, ValueSums)
    wanted = ValueSums.of_rows(scores, labels, scale.center, scale.width)
    assert found.moments[0].tolist() == wanted.moments[0].tolist()
    assert np.count_nonzero(wanted.moments[0]) > 1
    assert found.moments == pytest.approx(wanted.moments)


def test_the_score_that_counts_is_what_the_model_said() -> None:
    """Also where what was served is another; and rows of before there were two have one."""
    lake, rng = WatchedLake(BINARY), np.random.default_rng(1)
    windows = windows_at(BINARY, parse_instant("2013-03-06T06:00:00Z"))
    rows = draw(rng, 100)
    lake.live(rows, windows.labelled_start)
    table = '"late_train_predictions"'

    def counted() -> list[list[float]]:
        answer = lake.rows(raw_scores_query(BINARY, windows, version=1))
        sums = read_sums(BINARY, answer)
        assert isinstance(sums, LogOddsSums)
        found: list[list[float]] = sums.counts.tolist()
        return found

    before = counted()
    lake.connection.execute(f"UPDATE {table} SET raw_score = NULL")
    assert counted() == before
    lake.connection.execute(f"UPDATE {table} SET raw_score = probability, probability = 0.5")
    assert counted() == before


def test_a_calibration_of_one_part_is_judged_as_its_rows_are() -> None:
    rng = np.random.default_rng(3)
    scores = rng.normal(5, 2, 500)
    outcomes = scores * 1.5 - 2 + rng.normal(0, 1, 500)
    line = Calibration("value", (Part(0.5, -1.0, 1.2), Part(0.5, -2.0, 1.6)), 100.0)
    raw, moved = losses(line, ValueSums.of_rows(scores, outcomes, 4.0))
    assert raw == pytest.approx(((outcomes - scores) ** 2).sum())
    assert moved == pytest.approx(((outcomes - line.apply(scores)) ** 2).sum())
    z = rng.normal(0, 1, 4000)
    happened = (rng.random(4000) < sigmoid(z + 1)).astype(float)
    up = Calibration("log_odds", (Part(1.0, 1.0, 1.0),), 5.0)
    raw, moved = losses(up, LogOddsSums.of_rows(sigmoid(z), happened))
    served = up.apply(sigmoid(z))
    exact = -np.log(np.where(happened == 1, served, 1 - served)).sum()
    assert moved == pytest.approx(exact, rel=0.002)
    assert moved < raw
    assert largest_move(up, up) == 0.0
