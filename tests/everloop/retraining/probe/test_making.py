"""The tables of a probe made by queries are those that pandas makes of the same rows, whatever is in them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from everloop.dataset.lake import in_lake_order
from everloop.dataset.snapshot_making import check
from everloop.documents.probe import SERVED, VERSION
from everloop.retraining.probe.draw import drawn, drawn_for, near
from everloop.retraining.probe.making import count_answered, count_spans, learned_tables, scored_table
from everloop.retraining.probe.requests import ProbeWindow
from everloop.retraining.probe.rows import window_query
from everloop.retraining.probe.tables import sample, training_rows, window_rows
from tests.everloop.dataset.test_snapshot_making import PLACE, WORDS, Engine, anything
from tests.helpers.declarations import declare, regression_document
from tests.helpers.rows import lake_table

START = datetime(2013, 1, 12, tzinfo=UTC)
WINDOW = ProbeWindow(START, START + timedelta(days=7))
SPANS = [1, 3, 5, 9]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    engine.athena.connection.close()


def cells(frame: pd.DataFrame) -> list[list[Any]]:
    """Row by row in the lake's order, with None for what is missing."""
    frame = in_lake_order(frame)
    return frame.astype(object).where(frame.notna(), None).to_numpy().tolist()


def answer(engine: Engine, query: str) -> pd.DataFrame:
    frame: pd.DataFrame = engine.athena.connection.execute(query).df()
    return frame


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), rows=st.integers(120, 400), most=st.sampled_from([10, 119, 250, 1000]))
def test_what_probes_learn_from_is_what_pandas_draws(engine: Engine, data: st.DataObject, rows: int, most: int) -> None:
    declaration = anything(minimum_rows=10)
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    frame = lake_table(rows)
    frame["key"] = [f"{data.draw(WORDS) if i < 20 else ''}{i}" for i in range(rows)]
    frame["time"] = pd.to_datetime(START.replace(tzinfo=None)) - pd.to_timedelta(rng.integers(1, 10**9, rows), "ms")
    frame["label"] = np.where(rng.random(rows) < 0.1, np.nan, (rng.random(rows) < 0.2).astype(float))
    expected = training_rows(frame, declaration, WINDOW, most=most, spans=SPANS)
    engine.freeze(frame)
    counts = check(engine.queries, declaration, PLACE, START)
    labelled = count_spans(engine.queries, declaration, PLACE, counts, SPANS)
    assert labelled == expected.labelled
    tables = learned_tables(declaration, PLACE, WINDOW, counts.last, labelled, most)
    for days, table in tables.items():
        found = answer(engine, table.query)
        assert list(found.columns) == list(expected.rows[days].columns)
        assert cells(found) == cells(expected.rows[days])
        assert table.rows == len(found) == min(most, labelled[days])


def test_spans_of_numbers_need_rows_alone(engine: Engine) -> None:
    declaration = declare(regression_document(data={"minimum_rows": 10}))
    frame = lake_table(240).assign(label=[float(i) for i in range(240)])
    expected = training_rows(frame, declaration, WINDOW, most=50, spans=[4, 5])
    engine.freeze(frame)
    counts = check(engine.queries, declaration, PLACE, START)
    assert count_spans(engine.queries, declaration, PLACE, counts, [4, 5]) == expected.labelled == {None: 240, 5: 120}


ROWS, AS_OF = 1000, START + timedelta(days=9)


def answer_rows(engine: Engine, **changes: Any) -> None:
    """So many captured rows with a label each: keys that are there twice, rows of one instant, missing cells."""
    rng = np.random.default_rng(4)
    for table in ("predictions", "labels"):
        engine.athena.empty(table)
    at = pd.Timestamp(START.replace(tzinfo=None)) + pd.to_timedelta(rng.integers(-1, 7, ROWS) * 86_400_000, "ms")
    ids, scores = [f"p{i}" for i in range(ROWS)], rng.random(ROWS)
    own = {"prediction_id": ids, "key": [f"k{i % 700}" for i in range(ROWS)], "time": at, **changes}
    answered = {"version": rng.integers(1, 3, ROWS), "probability": scores, "raw_score": scores}
    dated = {"date": at.strftime("%Y-%m-%d")}
    captured = lake_table(ROWS).drop(columns="label").assign(**own, **answered, **dated)
    captured["operator"] = [None if i % 3 else "" for i in range(ROWS)]
    engine.athena.fill("predictions", captured)
    known = {"label_id": ids, "prediction_id": ids, "time": at + timedelta(days=1), "label": np.arange(ROWS) % 2.0}
    engine.athena.fill("labels", pd.DataFrame({**known, "date": (at + timedelta(days=1)).strftime("%Y-%m-%d")}))


@pytest.mark.parametrize("most", [1, 30, 200, 999, 1000, 5000])
def test_what_probes_are_scored_on_is_what_pandas_draws(engine: Engine, most: int) -> None:
    declaration = anything()
    answer_rows(engine)
    expected = window_rows(answer(engine, window_query(declaration, WINDOW, AS_OF)), declaration, WINDOW, most=most)
    answered = count_answered(engine.queries, declaration, WINDOW, AS_OF)
    assert (answered.rows, answered.inside) == (ROWS, expected.inside)
    table = scored_table(declaration, WINDOW, AS_OF, answered, most)
    found = answer(engine, table.query)
    found[VERSION] = found[VERSION].astype(float)
    assert list(found.columns) == list(expected.rows.columns)
    assert sorted(map(repr, cells(found))) == sorted(map(repr, cells(expected.rows)))
    assert table.rows == len(found) == min(most, ROWS)


def test_rows_without_a_key_are_told_apart_by_their_predictions(engine: Engine) -> None:
    """A request of many rows without keys: all of one instant, of which a sample is a sample all the same."""
    declaration = anything()
    answer_rows(engine, key=pd.Series([None] * ROWS, dtype=object), time=START.replace(tzinfo=None))
    engine.athena.connection.execute(f"UPDATE late_train_predictions SET date = '{START.date()}'")
    answered = count_answered(engine.queries, declaration, WINDOW, AS_OF)
    table = scored_table(declaration, WINDOW, AS_OF, answered, 100)
    first, again = (sorted(answer(engine, table.query)[SERVED]) for _ in range(2))
    assert len(set(first)) == answered.rows / 10 == 100
    assert first == again


@pytest.mark.slow
def test_few_rows_are_sorted_for_a_sample(engine: Engine) -> None:
    """Among those that a hash lets pass are all that are drawn, and about twice as many."""
    declaration = anything()
    salt = drawn_for(declaration, WINDOW)
    for rows in (20_000, 100_000):
        engine.freeze(lake_table(rows))
        passed = answer(engine, f"SELECT key FROM {PLACE.rows()} WHERE {near(500, of=rows, salt=salt)}")
        assert 900 < len(passed) < 1300
        assert set(sample(lake_table(rows), 500, salt=salt)["key"]) <= set(passed["key"])
    assert near(500, of=1000, salt=salt) == ""


def test_a_sample_is_the_same_whenever_the_same_rows_are_asked_for() -> None:
    declaration, rows = anything(), lake_table(200)
    salt = drawn_for(declaration, WINDOW)
    chosen = sample(rows, 50, salt=salt)
    assert chosen["key"].is_unique
    assert chosen["time"].is_monotonic_increasing
    # WHEN the rows stand in another order, others left, or more came
    again = sample(rows.sample(frac=1, random_state=1), 50, salt=salt)
    assert sorted(again["key"]) == sorted(chosen["key"])
    left = sample(rows[rows["key"] != chosen["key"].iloc[0]], 49, salt=salt)
    assert left["key"].tolist() == chosen["key"].tolist()[1:]
    # AND another window, or another seed, gives other rows
    later = drawn_for(declaration, ProbeWindow(WINDOW.end, WINDOW.end + timedelta(days=4)))
    assert sample(rows, 50, salt=later)["key"].tolist() != chosen["key"].tolist()
    assert sample(rows, 50, salt=salt.replace("/", "1/", 1))["key"].tolist() != chosen["key"].tolist()
    assert sample(rows, 200, salt=salt) is rows


@pytest.mark.slow
def test_every_row_is_drawn_as_often_as_another() -> None:
    """Over many windows: 100 draws of a quarter of 400 rows; each row's count is binomial."""
    rows, drawn_times = lake_table(400), np.zeros(400)
    for week in range(100):
        start = START + timedelta(days=7 * week)
        salt = drawn_for(anything(), ProbeWindow(start, start + timedelta(days=7)))
        chosen = set(sample(rows, 100, salt=salt)["key"])
        drawn_times += rows["key"].isin(chosen).to_numpy()
    assert drawn_times.mean() == 25
    # The variance of a binomial count, 100 * 1/4 * 3/4; its own standard error is 7 % of it.
    assert 0.7 < drawn_times.var() / 18.75 < 1.3
    assert drawn_times.min() > 8
    assert drawn_times.max() < 45


def test_where_all_rows_are_wanted_nothing_is_hashed() -> None:
    assert drawn("t", ["key"], 10, of=10, salt="1/") == 'SELECT "key" FROM t'
