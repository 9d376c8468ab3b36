"""Classes by name in a file, by place in the lake; too few rows of one, or a label outside them, stop by name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from everloop.dataset.changes import RecordedColumn, against_champion, against_lake
from everloop.dataset.class_places import class_places
from everloop.dataset.exceptions import ContractViolationError
from everloop.dataset.frame_contract import check_history
from everloop.dataset.history_file import read_history_file
from everloop.dataset.lake import history_bytes, to_lake_frame
from everloop.dataset.parquet_footer import read_footer
from everloop.dataset.snapshot import build_snapshot
from everloop.dataset.snapshot_making import check, describe, look_for_leakage
from everloop.lake_tables import CLASSES_OF_ROWS
from everloop.model_file.schema import ModelDeclaration
from tests.everloop.dataset.test_snapshot_making import AS_OF, PLACE, Engine
from tests.helpers.artifacts import small_contract
from tests.helpers.declarations import CLASSES, declare, multiclass_document

NOW = datetime(2013, 3, 1, tzinfo=UTC)
START = datetime(2013, 1, 1)
COLUMNS = ["train_id", "departure", "distance", "wind", "line", "operator"]


def declaration(**changes: Any) -> ModelDeclaration:
    return declare(multiclass_document(**changes))


def written(path: Path, labels: list[object]) -> Path:
    times = [f"2013-01-{1 + i:02d}T10:00:00Z" for i in range(len(labels))]
    frame = pd.DataFrame([[f"t{i}", t, 1, 2, "north", "a"] for i, t in enumerate(times)], columns=COLUMNS)
    frame.assign(late=pd.Series(labels, dtype=object)).to_csv(path, index=False)
    return path


def test_a_file_names_classes_and_the_lake_has_their_places(tmp_path: Path) -> None:
    file = written(tmp_path / "a.csv", ["late", "on_time", None, "cancelled"])
    found = check_history(read_history_file(file, declaration()), declaration(), NOW)
    assert found.accepted["late"].tolist()[:2] == [1.0, 0.0]
    assert (np.isnan(found.accepted["late"][2]), found.accepted["late"][3], found.unlabelled) == (True, 2.0, 1)
    assert found.violations == ()
    content = history_bytes(to_lake_frame(found.accepted, declaration()), declaration())
    assert read_footer(lambda count: content[-count:]).metadata[CLASSES_OF_ROWS] == '["on_time", "late", "cancelled"]'


def test_whole_numbers_are_classes_by_their_value_not_their_place(tmp_path: Path) -> None:
    numbered = declaration(problem={"classes": [3, 1, 2]})
    file = written(tmp_path / "a.csv", [3, 1, 2, 1])
    found = check_history(read_history_file(file, numbered), numbered, NOW)
    assert found.accepted["late"].tolist() == [0.0, 1.0, 2.0, 1.0]
    # 0 would be a place, and is no class.
    file = written(tmp_path / "b.csv", [3, 0, 2, 1])
    (violation,) = check_history(read_history_file(file, numbered), numbered, NOW).violations
    assert (violation.code, violation.count) == ("label_no_class", 1)
    assert "'0'" in violation.examples[0]


@pytest.mark.parametrize("odd", ["Late", "1", "late ", "diverted", "ラテ"])
def test_a_label_outside_the_classes_is_refused_by_name(tmp_path: Path, odd: str) -> None:
    file = written(tmp_path / "a.csv", ["late", odd, "on_time"])
    (violation,) = check_history(read_history_file(file, declaration()), declaration(), NOW).violations
    assert violation.code == "label_no_class"
    assert "not one of problem.classes: on_time, late, cancelled" in violation.sentence
    assert odd.strip() in violation.examples[0]


def test_places_of_odd_cells() -> None:
    cells = pd.Series([1.0, 1, "1", np.int64(1), None, True, 1.5], dtype=object)
    assert class_places(cells, [3, 1, 2]).tolist()[:4] == [1.0] * 4
    assert class_places(cells, [3, 1, 2]).tolist()[5:] == ["True", "1.5"]
    assert class_places(pd.Series([], dtype=object), ["a", "b", "c"]).tolist() == []


def rows(labels: np.ndarray) -> pd.DataFrame:
    count, rng = len(labels), np.random.default_rng(1)
    return pd.DataFrame(
        {
            "key": [f"t{i:04d}" for i in range(count)],
            "time": pd.Series([START + timedelta(hours=i) for i in range(count)]).astype("datetime64[ms]"),
            "label": labels.astype(float),
            "distance": rng.integers(1, 900, count).astype(float),
            "wind": np.where(rng.random(count) < 0.1, np.nan, 5.0),
            "line": pd.Series(rng.choice(["north", "south"], count), dtype=object),
            "operator": pd.Series(rng.choice(["a", "b"], count), dtype=object),
        }
    )


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    made.athena.connection.close()


@pytest.mark.slow
def test_queries_and_pandas_count_the_same_rows_of_each_class(engine: Engine) -> None:
    labels = np.random.default_rng(2).choice(3, 500, p=[0.6, 0.3, 0.1])
    frame = rows(labels)
    engine.freeze(frame)
    ours = describe(engine.queries, declaration(), PLACE, query="q", as_of=AS_OF)
    theirs = build_snapshot(frame, declaration(), query="q", as_of=AS_OF).snapshot
    assert ours.class_rows == theirs.class_rows
    assert sum(ours.class_rows["train"].values()) == ours.rows["train"]
    assert ours.snapshot_hash == theirs.snapshot_hash
    assert ours.rarest_class == 2
    assert ours.to_document()["class_rows"] == ours.class_rows


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (np.arange(500) % 2, "0 rows of the 500 labelled rows are of class cancelled"),
        (np.where(np.arange(500) < 9, 2, np.arange(500) % 2), "9 rows of the 500 labelled rows are of class cancelled"),
        (np.where(np.arange(500) < 50, 3, np.arange(500) % 3), "not one of problem.classes"),
        (np.where(np.arange(500) < 50, 0.5, np.arange(500) % 3), "not one of problem.classes"),
        # The class comes in the test part alone: there is nothing to learn of it.
        (np.where(np.arange(500) > 400, 2, np.arange(500) % 2), "rows to train on are of class cancelled"),
    ],
)
def test_a_class_with_too_few_rows_stops_the_run_by_name(engine: Engine, labels: np.ndarray, told: str) -> None:
    frame = rows(labels)
    engine.freeze(frame)
    with pytest.raises(ContractViolationError, match=told):
        describe(engine.queries, declaration(), PLACE, query="q", as_of=AS_OF)
    with pytest.raises(ContractViolationError, match=told):
        build_snapshot(frame, declaration(), query="q", as_of=AS_OF)


def test_a_share_that_was_not_declared_stops_the_run(engine: Engine) -> None:
    asked = declaration(data={"class_shares": {"late": [0.5, 0.9]}})
    frame = rows(np.arange(500) % 3)
    engine.freeze(frame)
    with pytest.raises(ContractViolationError, match=r"33.40% of the labelled rows are of class late; declared is 50"):
        check(engine.queries, asked, PLACE, AS_OF)


@pytest.mark.slow
def test_a_leak_of_one_class_is_found_among_several(engine: Engine) -> None:
    labels = np.random.default_rng(3).choice(3, 2000)
    frame = rows(labels)
    frame["distance"] = np.where(labels == 2, 800.0, frame["distance"] / 3)
    engine.freeze(frame)
    counts = check(engine.queries, declaration(), PLACE, AS_OF)
    boundary = datetime(2013, 3, 1, tzinfo=UTC)
    _, suspects = look_for_leakage(engine.queries, declaration(), PLACE, counts, boundary)
    (suspect,) = [one for one in suspects if one["code"] == "decides_alone"]
    assert suspect["feature"] == "distance"
    assert suspect["sentence"].startswith("class cancelled against all others: alone it orders")


def test_other_classes_than_those_of_the_lake_and_the_champion_are_refused() -> None:
    recorded = {CLASSES_OF_ROWS: [RecordedColumn('["late", "on_time", "cancelled"]', "s3://lake/history/a")]}
    (change,) = against_lake(declaration(), recorded)
    assert (change.code, "Declare these again, in this order" in change.sentence) == ("classes", True)
    assert (
        against_lake(declaration(), {CLASSES_OF_ROWS: [RecordedColumn('["on_time", "late", "cancelled"]', "a")]}) == []
    )
    facts = {"problem_type": "multiclass_classification", "categories": ()}
    champion = small_contract(**facts, numbers=(), classes=(*CLASSES, "diverted"))
    assert [c.code for c in against_champion(declaration(), champion, 3)] == ["classes"]
