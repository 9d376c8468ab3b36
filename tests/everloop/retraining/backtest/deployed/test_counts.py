"""What a backtest counts in memory is what the deployed monitor counts by its queries."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from everloop.model_file.schema import ModelDeclaration
from everloop.monitoring.fairness_query import Comparison
from everloop.monitoring.profile import OUTCOME_SUMS
from everloop.monitoring.profile_query import windows_at
from everloop.monitoring.watch import CountedOnLake
from everloop.recalibration.calibration import Calibration, Part, identity
from everloop.recalibration.grouped_by import OTHERS, GroupBy
from everloop.recalibration.interval import Interval
from everloop.recalibration.spread.sums import SpreadSums
from everloop.recalibration.sums import Scale
from everloop.recalibration.written import Kind
from everloop.retraining.backtest.deployed.counts import Answers, CountedInMemory
from everloop.retraining.backtest.deployed.rows import LoopRows
from tests.helpers.declarations import binary_document, declare, regression_document
from tests.helpers.watched_lake import WatchedLake, WatchedRows, draw, reference_of

BEGIN = datetime(2013, 3, 4, tzinfo=UTC)
DAYS = 4
HOURS = (0, 7, 12, 23)
INTERVAL = Interval(0.8, 2.0, 3.5)


def declarations() -> dict[str, ModelDeclaration]:
    return {
        "log_loss": declare(binary_document()),
        "brier, late labels": declare(binary_document(gate={"metric": "brier"}, data={"label_lag_hours": 30})),
        "mae": declare(regression_document()),
        "rmse": declare(regression_document(gate={"metric": "rmse"})),
    }


def lived(declaration: ModelDeclaration, rng: np.random.Generator) -> tuple[LoopRows, Answers, WatchedLake]:
    """Some days in which two versions answered, as rows in memory and as a lake."""
    classification = declaration.problem.type == "binary_classification"
    lake = WatchedLake(declaration)
    frames: list[pd.DataFrame] = []
    versions: list[int] = []
    raws: list[float] = []
    served: list[float] = []
    lag = timedelta(hours=declaration.data.label_lag_hours)
    for day in range(DAYS):
        for hour in HOURS:
            rows = draw(rng, 40, classification=classification, shift=2.0 * day, unlabelled=0.15)
            at, known = BEGIN + timedelta(days=day, hours=hour), BEGIN + timedelta(days=day + 1) + lag
            version = 2 if (day, hour) > (1, 7) and rng.random() < 0.5 else 1
            raw = rows.scores**1.5 if classification else rows.scores + 3.0
            bounds = None if classification else (rows.scores - INTERVAL.below, rows.scores + INTERVAL.above)
            lake.label(lake.capture(rows, at, version=version, raw=raw, bounds=bounds), rows.labels, known)
            frames.append(as_frame(rows, at, len(frames)))
            versions += [version] * len(rows)
            raws += raw.tolist()
            served += rows.scores.tolist()
    lived_rows = LoopRows.of(pd.concat(frames, ignore_index=True), declaration, BEGIN)
    return lived_rows, Answers(np.array(versions), np.array(raws), np.array(served)), lake


def as_frame(rows: WatchedRows, at: datetime, part: int) -> pd.DataFrame:
    times = np.datetime64(at.replace(tzinfo=None), "ms") + np.arange(len(rows)).astype("timedelta64[s]")
    frame = pd.DataFrame({"key": [f"k{part:03d}-{i:03d}" for i in range(len(rows))], "time": times})
    frame["label"] = rows.labels
    for name, values in rows.features.items():
        frame[name] = [None if value == "" else value for value in values] if isinstance(values, list) else values
    return frame


@pytest.mark.slow
@pytest.mark.parametrize("metric", declarations())
@pytest.mark.parametrize("version", [1, 2])
def test_memory_and_lake_count_the_same(metric: str, version: int) -> None:
    declaration = declarations()[metric]
    rng = np.random.default_rng(len(metric) + version)
    classification = declaration.problem.type == "binary_classification"
    reference = reference_of([draw(rng, 60, classification=classification) for _ in range(10)], declaration)
    rows, answers, lake = lived(declaration, rng)
    seen = 0
    for day in range(1, DAYS + 1):
        windows = windows_at(declaration, BEGIN + timedelta(days=day, hours=12))
        on_lake = CountedOnLake(declaration, windows, version, lake.rows)
        in_memory = CountedInMemory(declaration, rows, answers, windows, version)
        wanted, found = on_lake.window(reference), in_memory.window(reference)
        assert (found.labelled_rows, found.labels, found.beyond) == (wanted.labelled_rows, wanted.labels, wanted.beyond)
        assert (found.profile.rows, found.profile.features) == (wanted.profile.rows, wanted.profile.features)
        assert found.profile.score == wanted.profile.score
        outcomes, expected = found.profile.outcomes, wanted.profile.outcomes
        assert outcomes.rows == expected.rows
        if expected.rows:
            assert (outcomes.ones, outcomes.zeros) == (expected.ones, expected.zeros)
        for name in OUTCOME_SUMS:
            assert getattr(outcomes, name) == pytest.approx(getattr(expected, name), rel=1e-9, abs=1e-9)
        scale = Scale(1.5, 0.5)
        assert_same_sums(in_memory.raw_sums(scale).to_document(), on_lake.raw_sums(scale).to_document())
        assert_same_groups(in_memory, on_lake, scale)
        if not classification:
            spread = in_memory.intervals(INTERVAL)
            assert_same_spread(spread, on_lake.intervals(INTERVAL))
            assert spread.rows == expected.rows
        seen += expected.rows
    assert seen > 0


def assert_same_spread(found: SpreadSums, wanted: SpreadSums) -> None:
    assert found.counts.tolist() == wanted.counts.tolist()
    assert found.distances == pytest.approx(wanted.distances)
    for one, other in ((found.served, wanted.served), (found.raw, wanted.raw)):
        assert one.inside == other.inside
        assert (one.width, one.outside) == pytest.approx((other.width, other.outside))


LINES = GroupBy("line", values=("south", "o'er"))
WINDS = GroupBy("wind", edges=(8, 12.5))


def assert_same_groups(in_memory: CountedInMemory, on_lake: CountedOnLake, scale: Scale) -> None:
    for by in (LINES, WINDS):
        found, wanted = in_memory.group_sums(scale, by), on_lake.group_sums(scale, by)
        assert list(found) == list(wanted) == list(range(OTHERS, len(by)))
        for place, sums in wanted.items():
            assert_same_sums(found[place].to_document(), sums.to_document())
    kind: Kind = "log_odds" if found[0].kind == "log_odds" else "value"
    own = Calibration(kind, (Part(1, 0.3, 1.2),), 8.0, WINDS, (None, (Part(1, -0.4, 1.0),), (Part(1, 0.4, 0.8),)))
    made = {"before": identity(kind), "shared": own.shared, "after": own}
    comparison = Comparison(LINES, WINDS, made, days=2)  # type: ignore[arg-type]  # the names are those
    counted, expected = in_memory.compared(comparison, scale), on_lake.compared(comparison, scale)
    assert counted.keys() == expected.keys()
    for pair_of, rows in expected.items():
        assert_same_sums(counted[pair_of].sums.to_document(), rows.sums.to_document())
        assert {name: pair for name, pair in rows.over.items() if any(pair)} == {
            name: pair for name, pair in counted[pair_of].over.items() if kind == "log_odds" and any(pair)
        }


def assert_same_sums(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        if name == "bins":
            assert np.array(found[name]) == pytest.approx(np.array(value), rel=1e-9, abs=1e-9)
        elif isinstance(value, float):
            assert found[name] == pytest.approx(value, rel=1e-9, abs=1e-9)
        else:
            assert found[name] == value


@pytest.mark.slow
def test_what_nobody_answered_is_in_no_window() -> None:
    declaration = declarations()["log_loss"]
    rng = np.random.default_rng(0)
    rows, answers, _ = lived(declaration, rng)
    reference = reference_of([draw(rng, 60) for _ in range(10)], declaration)
    answers.version[: len(HOURS) * 40] = 0
    windows = windows_at(declaration, BEGIN + timedelta(days=1, hours=12))
    counts = CountedInMemory(declaration, rows, answers, windows, 1)
    assert counts.window(reference).profile.rows == 0
    assert counts.window(reference).labelled_rows == 0
    assert counts.raw_sums(Scale()).rows == 0
