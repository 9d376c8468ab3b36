from __future__ import annotations

from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from everloop.dataset.exceptions import ContractViolationError, SplitError
from everloop.dataset.snapshot import SnapshotParts, build_snapshot
from everloop.instants import parse_instant
from everloop.lake_tables import SUPERSEDED
from tests.helpers.declarations import binary_document, declare, regression_document
from tests.helpers.rows import START, lake_table


def build(table: pd.DataFrame, *, days: int = 30, query: str = "SELECT 1", **data: Any) -> SnapshotParts:
    as_of = START + timedelta(days=days)
    return build_snapshot(table, declare(binary_document(data=data)), query=query, as_of=as_of)


def test_a_snapshot_tells_rows_times_schema_split_and_profile() -> None:
    # GIVEN 10 days of hourly rows, of which the newest 7 days are the test
    parts = build(lake_table(240))
    snapshot = parts.snapshot
    assert snapshot.rows == {"train": 72, "test": 168, "unlabelled": 0, "superseded": 0}
    assert snapshot.boundary == parse_instant("2013-01-03T23:00:00Z")
    assert snapshot.time_range == (parse_instant("2013-01-01T00:00:00Z"), parse_instant("2013-01-10T23:00:00Z"))
    assert snapshot.columns[:3] == [
        {"name": "key", "type": "string"},
        {"name": "time", "type": "timestamp"},
        {"name": "label", "type": "double"},
    ]
    assert snapshot.label_mean["train"] == pytest.approx(1 / 3)
    assert snapshot.profile["wind"] == {
        "missing": 60,
        "min": 3.5,
        "max": 3.5,
        "mean": 3.5,
        "quartiles": [3.5, 3.5, 3.5],
    }
    assert snapshot.profile["line"] == {
        "missing": 0,
        "distinct": 2,
        "most_frequent": [["north", 120], ["south", 120]],
    }
    assert snapshot.source == {"query": "SELECT 1", "as_of": parse_instant("2013-01-31T00:00:00Z")}
    assert len(parts.train) == 72
    assert parts.train["time"].max() < parts.test["time"].min()


def test_the_features_of_the_test_part_carry_no_label() -> None:
    features = build(lake_table(240)).test_features
    assert list(features.columns) == ["key", "time", "distance", "wind", "line", "operator"]
    assert len(features) == 168


def test_the_same_rows_are_the_same_snapshot() -> None:
    table = lake_table(240)
    first = build(table).snapshot.snapshot_hash
    # WHEN they come in another order, with other types of pandas, from another query, on another day
    shuffled = table.sample(frac=1, random_state=3).convert_dtypes()
    shuffled["time"] = shuffled["time"].astype("datetime64[ns]")
    assert build(shuffled, days=60, query="SELECT 2").snapshot.snapshot_hash == first


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.assign(label=1 - t["label"]),
        lambda t: t.assign(distance=t["distance"] + 1),
        lambda t: t.iloc[1:],
        lambda t: t.assign(operator=t["operator"].fillna("unknown")),
    ],
)
def test_other_rows_are_another_snapshot(change: Any) -> None:
    assert build(lake_table(240)).snapshot.snapshot_hash != build(change(lake_table(240))).snapshot.snapshot_hash


def test_another_split_is_another_snapshot() -> None:
    first, second = build(lake_table(240)), build(lake_table(240), split={"test_days": 3})
    assert first.snapshot.snapshot_hash != second.snapshot.snapshot_hash


def test_rows_that_were_never_labelled_are_counted_and_left_out() -> None:
    table = lake_table(240)
    unlabelled = table.iloc[[3, 3, 9]].assign(label=None, distance=-5.0)
    parts = build(pd.concat([table, unlabelled]))
    assert parts.snapshot.rows["unlabelled"] == 3
    assert parts.snapshot.snapshot_hash == build(table).snapshot.snapshot_hash


def test_rows_that_gave_way_to_others_of_their_key_are_counted() -> None:
    table = lake_table(240)
    parts = build(table.assign(**{SUPERSEDED: [2, 1, *[0] * 238]}))
    assert parts.snapshot.rows["superseded"] == 3
    assert SUPERSEDED not in parts.train.columns
    assert parts.snapshot.snapshot_hash == build(table).snapshot.snapshot_hash


def test_a_broken_contract_and_an_impossible_split_stop_the_run() -> None:
    with pytest.raises(ContractViolationError, match="out_of_range"):
        build(lake_table(240).assign(distance=-1.0))
    with pytest.raises(SplitError):
        build(lake_table(240), split={"test_days": 11})


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_rows_to_train_on_that_are_all_of_one_class_stop_the_run(label: float) -> None:
    """GIVEN both classes in the test part alone; THEN a model would learn that only one of them happens."""
    table = lake_table(240)
    newest_days = table["time"] > table["time"].max() - pd.Timedelta(days=7)
    table["label"] = table["label"].where(newest_days, label)
    with pytest.raises(ContractViolationError, match=f"every label of the 72 rows to train on is {label:.0f}"):
        build(table)


def test_rows_to_train_on_that_all_have_one_target_stop_the_run() -> None:
    """GIVEN a regression whose target differs in the test part alone; THEN there is nothing to learn it from."""
    table = lake_table(240)
    declaration, as_of = declare(regression_document()), START + timedelta(days=30)
    newest_days = table["time"] > table["time"].max() - pd.Timedelta(days=7)
    table["label"] = table["key"].astype(str).str.len() + table["label"]
    assert build_snapshot(table, declaration, query="SELECT 1", as_of=as_of).snapshot.rows["train"] == 72
    table["label"] = table["label"].where(newest_days, 12.5)
    with pytest.raises(ContractViolationError, match=r"72 rows to train on is 12\.5,.*\[one_value\]"):
        build_snapshot(table, declaration, query="SELECT 1", as_of=as_of)
