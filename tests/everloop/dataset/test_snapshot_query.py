from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pandas as pd
import pytest

from everloop.dataset.snapshot_query import snapshot_query
from tests.helpers.declarations import binary_document, declare
from tests.helpers.rows import START

FEATURES = "distance DOUBLE, wind DOUBLE, line VARCHAR, operator VARCHAR"
TABLES = {
    "history": f"key VARCHAR, time TIMESTAMP, label DOUBLE, {FEATURES}",
    "predictions": f"prediction_id VARCHAR, request_id VARCHAR, version INTEGER, time TIMESTAMP, key VARCHAR,"
    f" prediction DOUBLE, probability DOUBLE, latency_ms DOUBLE, {FEATURES}, date VARCHAR",
    "labels": "label_id VARCHAR, prediction_id VARCHAR, key VARCHAR, label DOUBLE, time TIMESTAMP, date VARCHAR",
}
AS_OF_HOURS = 100.0


class Lake:
    """The tables of ``late_train``. Times are hours since the start; the label lag is 12 of them."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        for name, columns in TABLES.items():
            self.connection.execute(f"CREATE TABLE late_train_{name} ({columns})")

    def history(self, key: str, hour: float, label: float | None, distance: float = 1.0) -> None:
        self._insert("history", key=key, time=_at(hour), label=label, **_features(distance))

    def predicted(self, key: str, hour: float, prediction_id: str, distance: float = 1.0) -> None:
        ids = {"prediction_id": prediction_id, "request_id": "r", "version": 1}
        self._insert("predictions", key=key, time=_at(hour), date=_date(hour), **ids, **_features(distance))

    def labelled(self, value: float, hour: float, *, label_id: str = "a", **reference: str) -> None:
        self._insert("labels", label_id=label_id, label=value, time=_at(hour), date=_date(hour), **reference)

    def rows(self, **data: Any) -> list[tuple[str, float, float | None]]:
        """Key, hour and label of each row of the training set, in order of time."""
        declaration = declare(binary_document(data=data))
        query = snapshot_query(declaration, START + timedelta(hours=AS_OF_HOURS))
        frame = self.connection.execute(query).fetchdf().sort_values(["time", "key", "label"])
        assert list(frame.columns) == ["key", "time", "label", "distance", "wind", "line", "operator"]
        hours = (frame["time"] - pd.Timestamp(START).tz_localize(None)) / pd.Timedelta(hours=1)
        labels = [None if pd.isna(v) else float(v) for v in frame["label"]]
        return list(zip(frame["key"], hours, labels, strict=True))

    def _insert(self, table: str, **values: Any) -> None:
        marks = ", ".join("?" for _ in values)
        names = ", ".join(values)
        self.connection.execute(f"INSERT INTO late_train_{table} ({names}) VALUES ({marks})", list(values.values()))


def _at(hour: float) -> datetime:
    return (START + timedelta(hours=hour)).replace(tzinfo=None)


def _date(hour: float) -> str:
    return _at(hour).date().isoformat()


def _features(distance: float) -> dict[str, Any]:
    return {"distance": distance, "wind": None, "line": "north", "operator": None}


@pytest.fixture
def lake() -> Iterator[Lake]:
    lake = Lake()
    yield lake
    lake.connection.close()


def test_history_and_labelled_predictions_come_together(lake: Lake) -> None:
    lake.history("h", 1, 1)
    lake.predicted("by id", 10, "p1")
    lake.predicted("by key", 11, "p2")
    lake.predicted("open", 12, "p3")
    lake.labelled(1, 30, prediction_id="p1")
    lake.labelled(0, 30, key="by key")
    assert lake.rows() == [("h", 1, 1), ("by id", 10, 1), ("by key", 11, 0), ("open", 12, None)]


def test_the_label_lag_is_respected(lake: Lake) -> None:
    # GIVEN rows just old enough and just too young, all with labels
    for key, hour in (("old", 88), ("young", 88.001)):
        lake.predicted(key, hour, key)
        lake.labelled(1, 90, prediction_id=key)
        lake.history(f"{key} history", hour, 0)
    assert [key for key, _, _ in lake.rows()] == ["old", "old history"]


def test_a_label_that_arrived_later_is_not_known_yet(lake: Lake) -> None:
    lake.predicted("a", 10, "p1")
    lake.labelled(1, 100, prediction_id="p1", label_id="in time")
    lake.labelled(0, 100.001, prediction_id="p1", label_id="late")
    lake.predicted("b", 11, "p2")
    lake.labelled(0, 100.001, prediction_id="p2")
    assert lake.rows() == [("a", 10, 1), ("b", 11, None)]


def test_the_label_that_arrived_last_counts(lake: Lake) -> None:
    lake.predicted("a", 10, "p1")
    lake.labelled(1, 30, prediction_id="p1")
    lake.labelled(0, 40, prediction_id="p1")
    # by key after by prediction, and the other way round
    lake.predicted("b", 11, "p2")
    lake.labelled(1, 30, prediction_id="p2")
    lake.labelled(0, 40, key="b")
    lake.predicted("c", 12, "p3")
    lake.labelled(0, 30, key="c")
    lake.labelled(1, 40, prediction_id="p3")
    # at one instant the label of the prediction counts
    lake.predicted("d", 13, "p4")
    lake.labelled(0, 30, key="d")
    lake.labelled(1, 30, prediction_id="p4")
    # and a late correction corrects history too
    lake.history("e", 14, 1)
    lake.labelled(0, 40, key="e")
    assert [label for _, _, label in lake.rows()] == [0, 0, 1, 1, 0]


def test_a_label_delivered_twice_doubles_no_row(lake: Lake) -> None:
    lake.predicted("a", 10, "p1")
    for _ in range(2):
        lake.labelled(1, 30, prediction_id="p1")
        lake.labelled(1, 30, key="a")
    assert lake.rows() == [("a", 10, 1)]


def test_labels_of_unknown_predictions_are_left_alone(lake: Lake) -> None:
    lake.predicted("a", 10, "p1")
    lake.labelled(1, 30, prediction_id="p999")
    lake.labelled(1, 30, key="z")
    assert lake.rows() == [("a", 10, None)]


def test_the_same_row_from_several_places_is_one_row(lake: Lake) -> None:
    # GIVEN a row imported twice, captured twice (a record delivered again) and asked again later
    lake.history("a", 9, 1)
    lake.history("a", 9, 1)
    lake.predicted("a", 10, "p1")
    lake.predicted("a", 10, "p1")
    lake.predicted("a", 20, "p2")
    lake.labelled(1, 30, prediction_id="p2")
    # THEN the ones without a label give way to the labelled one, at its earliest time
    assert lake.rows() == [("a", 9, 1)]


def test_one_key_with_two_contents_stays_visible(lake: Lake) -> None:
    lake.history("features", 1, 1, distance=1)
    lake.predicted("features", 10, "p1", distance=2)
    lake.labelled(1, 30, prediction_id="p1")
    lake.history("label", 3, 1)
    lake.history("label", 3, 0)
    assert lake.rows() == [("features", 1, 1), ("label", 3, 0), ("label", 3, 1), ("features", 10, 1)]


def test_the_training_window_ends_where_labels_are_known(lake: Lake) -> None:
    # GIVEN a window of 1 day, which ends 12 hours before hour 100
    for hour in (64, 64.001, 88):
        lake.history(f"h{hour}", hour, 1)
        lake.predicted(f"p{hour}", hour, f"p{hour}")
        lake.labelled(1, hour + 1, prediction_id=f"p{hour}")
    assert [key for key, _, _ in lake.rows(training_window_days=1)] == ["h64.001", "p64.001", "h88", "p88"]
    assert len(lake.rows()) == 6


def test_partitions_outside_the_window_are_not_read(lake: Lake) -> None:
    # GIVEN rows that would fit, in partitions that can't hold them
    lake.predicted("a", 80, "p1")
    lake.connection.execute("UPDATE late_train_predictions SET date = '2012-12-31'")
    assert lake.rows(training_window_days=1) == []
    lake.connection.execute("UPDATE late_train_predictions SET date = '2013-02-01'")
    assert lake.rows() == []
