"""The rows of a probe's window, by the query as DuckDB answers it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from everloop.dataset.lake import lake_columns
from everloop.documents.probe import SERVED, VERSION
from everloop.retraining.probe.requests import ProbeWindow
from everloop.retraining.probe.rows import learns_from, window_query
from everloop.retraining.probe.tables import training_rows, window_rows
from tests.helpers.declarations import binary_document, declare
from tests.helpers.rows import lake_table
from tests.helpers.watched_lake import WatchedLake, draw

DECLARATION = declare(binary_document(data={"minimum_rows": 10}))
START = datetime(2013, 3, 1, tzinfo=UTC)
WINDOW = ProbeWindow(START, START + timedelta(days=4))
AS_OF = START + timedelta(days=5, hours=6)


def asked(lake: WatchedLake) -> pd.DataFrame:
    frame: pd.DataFrame = lake.connection.execute(window_query(DECLARATION, WINDOW, AS_OF)).df()
    return frame


@pytest.fixture
def lake() -> WatchedLake:
    lake, rng = WatchedLake(DECLARATION), np.random.default_rng(3)
    for day in range(-4, 6):
        lake.live(draw(rng, 20, unlabelled=0.25), START + timedelta(days=day), version=1 if day < 2 else 2)
    return lake


def test_each_labelled_answer_of_the_window_and_of_the_days_it_learns_from(lake: WatchedLake) -> None:
    frame = asked(lake)
    assert list(frame.columns) == [*lake_columns(DECLARATION), SERVED, VERSION, "prediction_id"]
    days = pd.to_datetime(frame["time"]).dt.floor("D")
    # Labels come a day later, so two days before the window are needed on its first day.
    assert (
        days.min() == pd.Timestamp(learns_from(DECLARATION, WINDOW).replace(tzinfo=None)) == pd.Timestamp("2013-02-27")
    )
    assert days.max() == pd.Timestamp("2013-03-04")
    assert frame["label"].notna().all()
    assert dict(zip(days, frame[VERSION], strict=True))[pd.Timestamp("2013-03-03")] == 2
    known = dict(lake.connection.execute('SELECT "key", "probability" FROM late_train_predictions').fetchall())
    assert frame.set_index("key")[SERVED].to_dict() == {key: known[key] for key in frame["key"]}


@pytest.mark.slow
def test_what_can_not_be_summed_is_left_out(lake: WatchedLake) -> None:
    before = asked(lake)
    for cell in ("'NaN'::DOUBLE", "'Infinity'::DOUBLE", "1e300", "NULL"):
        lake.connection.execute(f'UPDATE late_train_predictions SET "probability" = {cell} WHERE "key" = \'k85\'')
        assert set(before["key"]) - set(asked(lake)["key"]) == {"k85"}


def test_what_was_delivered_twice_counts_once(lake: WatchedLake) -> None:
    before = asked(lake)
    lake.repeat_delivery()
    assert len(asked(lake)) == len(before)


def test_the_tables_are_typed_and_count_what_lies_inside(lake: WatchedLake) -> None:
    frame = asked(lake)
    found = window_rows(frame, DECLARATION, WINDOW, most=10_000)
    assert found.inside == int((pd.to_datetime(frame["time"]) >= pd.Timestamp("2013-03-01")).sum())
    assert {name: found.rows[name].dtype.kind for name in ("time", "label", "wind", "line", SERVED)} == {
        "time": "M",
        "label": "f",
        "wind": "f",
        "line": "O",
        SERVED: "f",
    }
    assert found.rows["time"].is_monotonic_increasing
    assert len(window_rows(frame, DECLARATION, WINDOW, most=15).rows) == 15
    assert window_rows(frame, DECLARATION, WINDOW, most=15).inside == found.inside


def test_the_rows_to_learn_from_keep_the_contract() -> None:
    rows = lake_table(200).assign(s=0)
    rows.loc[:9, "label"] = np.nan
    found = training_rows(rows, DECLARATION, WINDOW, most=100)
    assert (found.labelled, len(found.rows[None])) == ({None: 190}, 100)
    assert "s" not in found.rows[None].columns


def test_other_probes_learn_from_the_newest_days_alone() -> None:
    rows = lake_table(240).assign(s=0)
    found = training_rows(rows, DECLARATION, WINDOW, most=110, spans=[5, 7])
    assert found.labelled == {None: 240, 5: 120, 7: 168}
    assert {days: len(of) for days, of in found.rows.items()} == {None: 110, 5: 110, 7: 110}
    assert found.rows[5]["time"].min() > rows["time"].max() - pd.Timedelta(days=5)


def test_a_span_with_too_few_rows_or_with_all_is_left_out() -> None:
    rows = lake_table(240).assign(s=0)
    assert set(training_rows(rows, DECLARATION, WINDOW, most=110, spans=[4, 3650]).labelled) == {None}
    # Nine ones among the rows of five days: too few of a class to learn from.
    newest = rows["time"] > rows["time"].max() - pd.Timedelta(days=5)
    rows["label"] = np.where(newest, (newest.cumsum() <= 9).astype(float), rows["label"])
    assert set(training_rows(rows, DECLARATION, WINDOW, most=110, spans=[5]).labelled) == {None}
