from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from everloop.dataset.lake_listing import LakeListing
from everloop.dataset.lake_sql import LONGEST_ARRAY
from everloop.dataset.snapshot_query import snapshot_query
from everloop.lake_tables import SUPERSEDED
from tests.helpers.declarations import binary_document, declare
from tests.helpers.rows import START
from tests.helpers.watched_lake import own_database

FEATURES = "distance DOUBLE, wind DOUBLE, line VARCHAR, operator VARCHAR"
TABLES = {
    "history": f'key VARCHAR, time TIMESTAMP, label DOUBLE, {FEATURES}, "$path" VARCHAR',
    "predictions": f"prediction_id VARCHAR, request_id VARCHAR, version INTEGER, time TIMESTAMP, key VARCHAR,"
    f" prediction DOUBLE, probability DOUBLE, latency_ms DOUBLE, raw_score DOUBLE,"
    f" calibration_sha256 VARCHAR, prediction_low DOUBLE, prediction_high DOUBLE,"
    f" capture_share DOUBLE, {FEATURES}, date VARCHAR",
    "labels": "label_id VARCHAR, prediction_id VARCHAR, key VARCHAR, label DOUBLE, time TIMESTAMP, date VARCHAR",
}
AS_OF_HOURS = 100.0
HISTORY = "s3://lake/history/model=late_train/"

TWO_DAYS = {"training_window_days": 2, "split": {"test_days": 1}}
"""A declared training window, which ends 12 hours before hour 100."""

Row = tuple[str, float, float | None, float]
"""Key, hour, label and distance."""


class Lake:
    """The tables of ``late_train``. Times are hours since the start; the label lag is 12 of them.

    Attributes
    ----------
    imports : list of str
        The history objects in the order of their import.
    """

    def __init__(self) -> None:
        self.connection = own_database()
        self.imports: list[str] = []
        for name, columns in TABLES.items():
            self.connection.execute(f"CREATE TABLE late_train_{name} ({columns})")

    def history(
        self, key: str, hour: float, label: float | None, distance: float = 1.0, imported: str = "first.parquet"
    ) -> None:
        if imported not in self.imports:
            self.imports.append(imported)
        values = {"key": key, "time": _at(hour), "label": label, "$path": HISTORY + imported}
        self._insert("history", **values, **_features(distance))

    def predicted(self, key: str, hour: float, prediction_id: str, distance: float = 1.0) -> None:
        ids = {"prediction_id": prediction_id, "request_id": "r", "version": 1}
        self._insert("predictions", key=key, time=_at(hour), date=_date(hour), **ids, **_features(distance))

    def labelled(self, value: float, hour: float, *, label_id: str = "a", **reference: str) -> None:
        self._insert("labels", label_id=label_id, label=value, time=_at(hour), date=_date(hour), **reference)

    def rows(self, serving: Any = None, **data: Any) -> list[tuple[str, float, float | None]]:
        """Key, hour and label of each row of the training set, in order of time."""
        return [(key, hour, label) for key, hour, label, _distance in self.contents(serving, **data)]

    def contents(self, serving: Any = None, **data: Any) -> list[Row]:
        """Each row of the training set, in order of time."""
        frame = self._frame(data, serving or {}).sort_values(["time", "key", "label", "distance"])
        assert list(frame.columns) == ["key", "time", "label", "distance", "wind", "line", "operator", SUPERSEDED]
        hours = (frame["time"] - pd.Timestamp(START).tz_localize(None)) / pd.Timedelta(hours=1)
        labels = [None if pd.isna(v) else float(v) for v in frame["label"]]
        return list(zip(frame["key"], hours, labels, frame["distance"], strict=True))

    def superseded(self) -> int:
        """How many rows gave way to others of their key."""
        return int(self._frame({}, {})[SUPERSEDED].sum())

    def _frame(self, data: dict[str, Any], serving: dict[str, Any]) -> pd.DataFrame:
        listing = LakeListing(date(2000, 1, 1), date(2000, 1, 1), tuple(self.imports), HISTORY)
        as_of = START + timedelta(hours=AS_OF_HOURS)
        declaration = declare(binary_document(data=data, serving=serving))
        return self.connection.execute(snapshot_query(declaration, as_of, listing)).fetchdf()

    def _insert(self, table: str, **values: Any) -> None:
        marks = ", ".join("?" for _ in values)
        names = ", ".join(f'"{name}"' for name in values)
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


def test_captured_rows_with_masked_features_are_none_to_learn_from(lake: Lake) -> None:
    lake.history("h", 1, 1)
    lake.history("corrected", 2, 1)
    lake.predicted("masked", 10, "p1")
    lake.labelled(1, 30, prediction_id="p1")
    lake.labelled(0, 30, key="corrected")
    assert lake.rows(serving={"capture": {"mask": ["wind"]}}) == [("h", 1, 1), ("corrected", 2, 0)]
    assert len(lake.rows(serving={"capture": {"share": 0.5}})) == 3


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
    assert lake.superseded() == 0


class TestOneKeyAskedTwice:
    """``near`` and ``far`` are what was asked about the same key: a distance of 1 and one of 2."""

    def asked(self, lake: Lake, near: float, far: float) -> None:
        lake.predicted("k", near, "p1", distance=1)
        lake.predicted("k", far, "p2", distance=2)

    def test_with_one_label_by_key_the_last_question_counts(self, lake: Lake) -> None:
        self.asked(lake, 10, 20)
        lake.labelled(1, 30, key="k")
        assert lake.contents() == [("k", 20, 1, 2)]
        assert lake.superseded() == 1

    def test_with_the_same_label_for_both_the_last_question_counts(self, lake: Lake) -> None:
        self.asked(lake, 10, 20)
        lake.labelled(1, 30, prediction_id="p1")
        lake.labelled(1, 31, prediction_id="p2")
        assert lake.contents() == [("k", 20, 1, 2)]

    def test_the_one_with_a_label_counts_before_a_later_one_without(self, lake: Lake) -> None:
        self.asked(lake, 10, 20)
        lake.labelled(1, 30, prediction_id="p1")
        assert lake.contents() == [("k", 10, 1, 1)]

    @pytest.mark.parametrize("again", [30, 40])
    def test_what_was_asked_when_the_outcome_was_known_does_not_count(self, lake: Lake, again: float) -> None:
        self.asked(lake, 10, again)
        lake.labelled(1, 30, key="k")
        # a correction does not make the outcome unknown again
        lake.labelled(0, 50, key="k")
        assert lake.contents() == [("k", 10, 0, 1)]

    def test_the_label_of_one_question_tells_the_outcome_to_the_next(self, lake: Lake) -> None:
        self.asked(lake, 10, 40)
        lake.labelled(1, 30, prediction_id="p1")
        lake.labelled(1, 50, prediction_id="p2")
        assert lake.contents() == [("k", 10, 1, 1)]

    def test_of_nothing_but_late_questions_the_first_counts(self, lake: Lake) -> None:
        lake.labelled(1, 5, key="k")
        self.asked(lake, 10, 20)
        assert lake.contents() == [("k", 10, 1, 1)]

    def test_a_row_that_is_asked_again_unchanged_bears_its_first_time(self, lake: Lake) -> None:
        self.asked(lake, 10, 12)
        lake.predicted("k", 14, "p3", distance=1)
        lake.labelled(1, 30, key="k")
        assert lake.contents() == [("k", 10, 1, 1)]
        assert lake.superseded() == 1

    def test_of_two_questions_at_one_instant_it_is_always_the_same_one(self, lake: Lake) -> None:
        self.asked(lake, 10, 10)
        lake.labelled(1, 30, key="k")
        assert lake.contents() == [("k", 10, 1, 2)]

    def test_without_any_label_the_key_is_one_unlabelled_row(self, lake: Lake) -> None:
        self.asked(lake, 10, 20)
        assert lake.contents() == [("k", 20, None, 2)]

    def test_a_question_too_young_to_be_judged_counts_for_nothing(self, lake: Lake) -> None:
        self.asked(lake, 10, 90)
        lake.labelled(1, 95, key="k")
        assert lake.contents() == [("k", 10, 1, 1)]
        assert lake.superseded() == 0

    def test_contradictory_labels_stay_apart_until_a_label_by_key_settles_them(self, lake: Lake) -> None:
        self.asked(lake, 10, 20)
        lake.labelled(1, 30, prediction_id="p1")
        lake.labelled(0, 40, prediction_id="p2")
        assert lake.contents() == [("k", 10, 1, 1), ("k", 20, 0, 2)]
        lake.labelled(0, 50, key="k")
        assert lake.contents() == [("k", 20, 0, 2)]

    def test_contradictory_labels_of_the_very_same_row_stay_apart(self, lake: Lake) -> None:
        lake.predicted("k", 10, "p1")
        lake.predicted("k", 20, "p2")
        lake.labelled(1, 30, prediction_id="p1")
        lake.labelled(0, 40, prediction_id="p2")
        assert lake.rows() == [("k", 10, 1), ("k", 20, 0)]


class TestKeyOfHistoryAsked:
    @pytest.mark.parametrize("label", [0, 1])
    @pytest.mark.parametrize("reference", [{"key": "k"}, {"prediction_id": "p1"}])
    def test_with_a_label_what_production_was_asked_counts(
        self, lake: Lake, label: float, reference: dict[str, str]
    ) -> None:
        lake.history("k", 1, 1, distance=1)
        lake.predicted("k", 10, "p1", distance=2)
        lake.labelled(label, 30, **reference)
        assert lake.contents() == [("k", 10, label, 2)]
        assert lake.superseded() == 1

    @pytest.mark.parametrize("label", [0, 1])
    def test_the_same_features_are_the_same_row(self, lake: Lake, label: float) -> None:
        lake.history("k", 1, 1)
        lake.predicted("k", 10, "p1")
        lake.labelled(label, 30, prediction_id="p1")
        assert lake.rows() == [("k", 1, label)]
        assert lake.superseded() == 0

    def test_without_a_label_the_row_of_history_stays(self, lake: Lake) -> None:
        lake.history("k", 1, 1, distance=1)
        lake.predicted("k", 10, "p1", distance=2)
        assert lake.contents() == [("k", 1, 1, 1)]

    def test_asked_when_the_outcome_was_known_the_row_of_history_stays(self, lake: Lake) -> None:
        lake.history("k", 1, 1, distance=1)
        lake.labelled(0, 5, key="k")
        lake.predicted("k", 10, "p1", distance=2)
        assert lake.contents() == [("k", 1, 0, 1)]


class TestHistoryImportedAgain:
    @pytest.mark.parametrize(("hour", "label", "distance"), [(3, 0, 1), (3, 1, 2), (5, 1, 1), (3, None, 1)], ids=str)
    def test_the_last_import_counts(self, lake: Lake, hour: float, label: float | None, distance: float) -> None:
        lake.history("k", 3, 1, imported="z.parquet")
        lake.history("other", 4, 1, imported="z.parquet")
        lake.history("k", hour, label, distance, imported="a.parquet")
        assert sorted(lake.contents()) == [("k", hour, label, distance), ("other", 4, 1, 1)]
        assert lake.superseded() == 1

    def test_the_same_row_in_several_imports_supersedes_nothing(self, lake: Lake) -> None:
        for name in ("one.parquet", "two.parquet"):
            lake.history("k", 3, 1, imported=name)
        assert lake.contents() == [("k", 3, 1, 1)]
        assert lake.superseded() == 0

    def test_an_object_that_was_not_there_yet_when_the_lake_was_listed_is_the_last(self, lake: Lake) -> None:
        for distance, name in enumerate(("one.parquet", "two.parquet", "three.parquet"), start=1):
            lake.history("k", 3, 1, distance, imported=name)
        lake.imports.remove("three.parquet")
        assert lake.contents() == [("k", 3, 1, 3)]

    @pytest.mark.slow
    def test_imports_are_told_apart_however_many_they_are(self, lake: Lake) -> None:
        for place in range(2 * LONGEST_ARRAY + 3):
            lake.history("k", 3, 1, distance=float(place), imported=f"{(7 * place) % 403:03}.parquet")
        assert lake.contents() == [("k", 3, 1, 2 * LONGEST_ARRAY + 2)]
        assert lake.superseded() == 2 * LONGEST_ARRAY + 2

    @pytest.mark.parametrize("imports", [["one.parquet"], ["one.parquet", "it's two.parquet"]])
    def test_contradictions_within_one_import_stay_apart(self, lake: Lake, imports: list[str]) -> None:
        for name in imports:
            lake.history("features", 1, 1, distance=1, imported=name)
            lake.history("features", 1, 1, distance=2, imported=name)
            lake.history("label", 3, 1, imported=name)
            lake.history("label", 3, 0, imported=name)
        assert lake.contents() == [("features", 1, 1, 1), ("features", 1, 1, 2), ("label", 3, 0, 1), ("label", 3, 1, 1)]

    def test_a_row_moved_out_of_the_window_is_gone(self, lake: Lake) -> None:
        lake.history("k", 80, 1, imported="one.parquet")
        lake.history("k", 10, 1, imported="two.parquet")
        assert lake.rows(**TWO_DAYS) == []


@pytest.mark.parametrize("name", ["place", "seen", "judged", "history", "rank", "label_id", "imported"])
def test_a_feature_may_be_called_like_something_in_the_query(name: str) -> None:
    # GIVEN two imports of five rows, whose first feature has that name and another value in each
    document = binary_document()
    document["data"]["features"][0]["name"] = name
    with own_database() as connection:
        for table, columns in TABLES.items():
            connection.execute(f"CREATE TABLE late_train_{table} ({columns.replace('distance', name)})")
        for place in range(10):
            row = [f"k{place % 5}", _at(place % 5), 1.0, float(place), f"{HISTORY}{place // 5}.parquet"]
            columns = f'"key", "time", "label", "{name}", "$path"'
            connection.execute(f"INSERT INTO late_train_history ({columns}) VALUES (?, ?, ?, ?, ?)", row)
        for imports in (("0.parquet",), ("0.parquet", "1.parquet")):
            listing = LakeListing(date(2000, 1, 1), date(2000, 1, 1), imports, HISTORY)
            query = snapshot_query(declare(document), START + timedelta(hours=AS_OF_HOURS), listing)
            found = connection.execute(query).fetchdf()
            # WHEN it is asked for, THEN a row a key is there: with two imports, that of the last
            if len(imports) == 2:
                assert sorted(found[name]) == [5.0, 6.0, 7.0, 8.0, 9.0]
            else:
                assert sorted(set(found["key"])) == ["k0", "k1", "k2", "k3", "k4"]


class TestAnyLake:
    """Random lakes of few keys against the rules, told once more in plain Python."""

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", range(60))
    def test_the_answer_follows_the_rules(self, lake: Lake, seed: int) -> None:
        rng = random.Random(seed)
        keys = ["a", "b", "c"]
        history = [
            (k, rng.randrange(4), rng.choice([0.0, 1.0, None]), rng.randrange(2)) for k in keys if rng.random() < 0.5
        ]
        asked = [(rng.choice(keys), rng.randrange(5, 40), f"p{i}", rng.randrange(3)) for i in range(rng.randrange(8))]
        names = [*(("prediction_id", p) for _, _, p, _ in asked), *(("key", k) for k in keys)]
        # Mostly one outcome, or there would hardly be a lake without contradictions.
        arrived = [(rng.choice(names), float(rng.random() < 0.15), 5 + i * 7 + 0.5) for i in range(rng.randrange(6))]
        inserts: list[tuple[Callable[..., None], tuple[Any, ...], dict[str, str]]] = [
            *((lake.history, (k, hour, label, distance), {}) for k, hour, label, distance in history),
            *((lake.predicted, row, {}) for row in asked),
            *((lake.labelled, (label, hour), dict([name])) for name, label, hour in arrived),
        ]
        rng.shuffle(inserts)
        for insert, values, named in inserts:
            insert(*values, **named)
        found = {key: [(h, v, d) for k, h, v, d in lake.contents() if k == key] for key in keys}
        for key in keys:
            rows: list[tuple[float, str | None, float | None, float]]
            rows = [(h, None, v, d) for k, h, v, d in history if k == key]
            rows += [(h, p, None, d) for k, h, p, d in asked if k == key]
            assert found[key] == _one_key(key, rows, arrived), key


def _one_key(
    key: str, rows: Sequence[tuple[float, str | None, float | None, float]], arrived: Sequence[Any]
) -> list[tuple[float, float | None, float]]:
    """The rows of one key: hour, label and distance. ``rows`` are hour, prediction, label in history, distance."""
    predictions = {("prediction_id", p) for _, p, _, _ in rows if p}
    named = sorted((hour, label, name) for name, label, hour in arrived if name == ("key", key) or name in predictions)
    known_at = named[0][0] if named else float("inf")
    told = []
    for hour, prediction, own, distance in rows:
        mine = [label for _, label, name in named if name in (("key", key), ("prediction_id", prediction))]
        told.append((hour, prediction, mine[-1] if mine else own, distance, bool(mine)))
    labels = {label for _, _, label, _, by_label in told if by_label}
    if len(labels) > 1:
        return sorted(
            {
                (min(h for h, _, other, d, _ in told if (other, d) == (label, distance)), label, distance)
                for _, _, label, distance, _ in told
                if label is not None
            }
        )
    groups = {}
    for distance in {row[3] for row in told}:
        group = [row for row in told if row[3] == distance]
        given = sorted((not by_label, label) for _, _, label, _, by_label in group if label is not None)
        in_time = max(((h, p) for h, p, *_ in group if p and h < known_at), default=None)
        late = min((h for h, p, *_ in group if p), default=0.0)
        last = max((p for _, p, *_ in group if p), default="")
        standing = 2 if in_time else 1 if any(p is None for _, p, *_ in group) else 0
        rank = (bool(given), standing, in_time[0] if in_time else -late, last)
        groups[rank] = (min(h for h, *_ in group), given[0][1] if given else None, distance)
    return [groups[max(groups)]] if groups else []


def test_the_training_window_ends_where_labels_are_known(lake: Lake) -> None:
    for hour in (40, 40.001, 88):
        lake.history(f"h{hour}", hour, 1)
        lake.predicted(f"p{hour}", hour, f"p{hour}")
        lake.labelled(1, hour + 1, prediction_id=f"p{hour}")
    assert [key for key, _, _ in lake.rows(**TWO_DAYS)] == ["h40.001", "p40.001", "h88", "p88"]
    assert len(lake.rows()) == 6


def test_a_row_lies_in_the_partition_of_the_oldest_record_delivered_with_it(lake: Lake) -> None:
    # GIVEN a window that begins at midnight, and what came just after it with records from just before
    for kind in ("prediction_id", "key"):
        lake.predicted(kind, 48 + 5 / 60, kind)
        lake.labelled(1, 48.1, **{kind: kind})
    for table in ("predictions", "labels"):
        lake.connection.execute(f"UPDATE late_train_{table} SET date = '{_date(47)}'")
    assert [label for _, _, label in lake.rows(**TWO_DAYS, label_lag_hours=4)] == [1, 1]


def test_a_row_lies_in_a_partition_after_its_time_when_it_was_captured_at_midnight(lake: Lake) -> None:
    # GIVEN a set whose newest row may be from just before midnight
    lake.predicted("a", 71.9999, "p1")
    lake.connection.execute(f"UPDATE late_train_predictions SET date = '{_date(72)}'")
    ((key, hour, label),) = lake.rows(label_lag_hours=28.00005)
    assert (key, label) == ("a", None)
    assert hour == pytest.approx(71.9999)


@pytest.mark.slow
def test_partitions_that_can_not_hold_rows_of_the_window_are_not_read(lake: Lake) -> None:
    # GIVEN a row that would fit, and a window from hour 50 to 98: from the third day to the fifth
    lake.predicted("a", 80, "p1")
    found = []
    for day in range(-2, 12):
        lake.connection.execute(f"UPDATE late_train_predictions SET date = '{_date(24 * day)}'")
        within = lake.rows(**TWO_DAYS, label_lag_hours=2)
        found.append((day, bool(within), bool(lake.rows(label_lag_hours=2))))
    # THEN the partitions of its days count, and the one before; without a window, all up to its end
    assert [day for day, within, _ in found if within] == [1, 2, 3, 4]
    assert [day for day, _, without in found if without] == [-2, -1, 0, 1, 2, 3, 4]


def test_partitions_before_the_first_one_are_not_asked_for() -> None:
    as_of = START + timedelta(hours=AS_OF_HOURS)

    def ranges(listing: LakeListing, **data: Any) -> list[str]:
        query = snapshot_query(declare(binary_document(data=data)), as_of, listing)
        return [line.strip() for line in query.splitlines() if '"date"' in line]

    # GIVEN tables that begin on different days THEN each is read from its own on
    predictions, labels = ranges(LakeListing(date(2012, 11, 5), date(2012, 11, 7)))
    assert "\"date\" BETWEEN '2012-11-05' AND '2013-01-04'" in predictions
    assert "\"date\" BETWEEN '2012-11-07' AND '2013-01-05'" in labels
    # unless the window begins later
    predictions, labels = ranges(LakeListing(date(2012, 11, 5), date(2013, 1, 4)), **TWO_DAYS)
    assert "'2013-01-01' AND '2013-01-04'" in predictions
    assert "'2013-01-04' AND '2013-01-05'" in labels
    # and an empty lake is looked into for a day
    for line in ranges(LakeListing(None, None)):
        begin, end = line.split("'")[1:4:2]
        assert date.fromisoformat(end) - date.fromisoformat(begin) <= timedelta(days=1)
