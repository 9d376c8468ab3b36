"""A training set's exploration: counted by queries, shown on one page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.dataset.exploration_page import MOST_POINTS, below, grouped, largest_move, mean_of, page
from everloop.dataset.exploration_query import explore
from everloop.documents.exploration import ExplorationDocument
from everloop.documents.snapshot import SnapshotDocument
from everloop.typed_json import read_as
from tests.everloop.dataset.test_leakage import declaration, frame, signs
from tests.everloop.dataset.test_snapshot_making import PLACE, Engine

SNAPSHOT: SnapshotDocument = {
    "boundary": datetime(2013, 5, 1, tzinfo=UTC),
    "rows": {"train": 3000, "test": 1000, "unlabelled": 2, "superseded": 1},
    "time_range": [datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 6, 1, tzinfo=UTC)],
    "leakage": [],
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    engine.athena.connection.close()


def explored(engine: Engine, rows: pd.DataFrame) -> ExplorationDocument:
    counted = signs(engine, rows)
    found = explore(engine.queries, declaration(), PLACE, counted)
    return read_as(ExplorationDocument, json.loads(json.dumps(found, allow_nan=False)), "it", "")


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [value or "" for name, value in attributes if name in ("src", "href", "onload")]


@pytest.mark.slow
def test_it_is_what_pandas_counts(engine: Engine) -> None:
    rows = frame()
    found = explored(engine, rows)
    features = {feature["name"]: feature for feature in found["features"]}
    # Bins have about as many rows each, and all of them together every row that has the value
    wind = sorted(features["wind"]["cells"], key=lambda cell: cell["least"])
    assert sum(cell["rows"] for cell in wind) == rows["wind"].notna().sum()
    assert {cell["rows"] for cell in wind} == {180, 181} or len({cell["rows"] for cell in wind}) <= 2
    for cell in wind:
        inside = rows["wind"].between(cell["least"], cell["greatest"])
        assert (cell["rows"], cell["sum"]) == (inside.sum(), rows["label"][inside].sum())
    assert {cell["value"]: cell["rows"] for cell in features["line"]["cells"]} == rows["line"].value_counts().to_dict()
    assert len(features["operator"]["cells"]) == 15
    # AND days, correlations
    by_day = rows.groupby(rows["time"].dt.floor("D"))["label"].agg(["size", "sum"])
    assert [(day["rows"], day["sum"]) for day in found["days"]] == [tuple(row) for row in by_day.to_numpy()]
    expected = rows[["distance", "wind"]].corr().iloc[0, 1]
    assert found["correlations"][0][1] == found["correlations"][1][0] == pytest.approx(expected)


@pytest.mark.slow
def test_rows_with_the_features_of_another_are_counted(engine: Engine) -> None:
    rows = frame()
    columns = ["distance", "wind", "line", "operator"]
    rows.loc[1:3, columns] = rows.loc[0, columns].to_numpy()
    assert explored(engine, rows)["repeated"] == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    "column",
    [{}, {"distance": np.nan}, {"distance": 5.0}, {"line": None}, {"line": "<script>&é札"}, {"distance": 1e300}],
    ids=["as it is", "nothing", "one value", "no word", "markup", "huge"],
)
def test_the_page_shows_it_and_fetches_nothing(engine: Engine, column: dict[str, Any]) -> None:
    found = explored(engine, frame().assign(**column))
    text = page("0a" * 32, SNAPSHOT, found, None)
    reader = Reader()
    reader.feed(text)
    assert reader.fetched == []
    assert "script" not in reader.tags
    assert len(text.encode()) < 2_000_000
    assert "4,000 labelled rows" in text
    assert all(f"<h3>{name}</h3>" in text for name in ("distance", "wind", "line", "operator"))
    assert "None. Four signs were looked for" in text


@pytest.mark.slow
def test_the_page_marks_suspects_and_says_what_moved(engine: Engine) -> None:
    rows = frame()
    old = explored(engine, rows)
    new = explored(engine, rows.assign(line="south", distance=rows["distance"] + 3))
    suspect = {"feature": "wind", "code": "copies_time", "sentence": "it goes with <time>"}
    text = page("0b" * 32, {**SNAPSHOT, "leakage": [suspect]}, new, ("0a" * 32, SNAPSHOT, old))  # type: ignore[list-item]  # as stored
    assert text.count('class="card suspect"') == 1
    assert "it goes with &lt;time&gt;" in text
    of = [{feature["name"]: feature for feature in each["features"]} for each in (old, new)]
    assert largest_move(of[1]["line"], of[0]["line"]).endswith("to 100.0%")
    assert largest_move(of[1]["distance"], of[0]["distance"]).startswith("-8")


@pytest.mark.slow
def test_a_share_below_a_value_is_that_of_the_rows(engine: Engine) -> None:
    rows = frame()
    (distance,) = [f for f in explored(engine, rows)["features"] if f["name"] == "distance"]
    for value in (-9.0, -1.0, 0.0, 0.7, 9.0):
        assert below(distance, value) == pytest.approx((rows["distance"] <= value).mean(), abs=0.02)


@given(st.integers(1, 500), st.integers(0, 500))
def test_bounds_hold_the_mean(rows: int, ones: int) -> None:
    ones = min(ones, rows)
    low, mean, high = mean_of(rows, ones, ones, classification=True)
    assert 0 <= low <= mean + 1e-12
    assert mean - 1e-12 <= high <= 1
    low, mean, high = mean_of(rows, ones, ones, classification=False)
    assert low <= mean <= high


@pytest.mark.parametrize("days", [0, 1, MOST_POINTS, MOST_POINTS + 1, 5000])
def test_days_go_together_until_a_picture_holds_them(days: int) -> None:
    points = list(grouped([{"day": 15000 + day, "rows": 2, "sum": 1.0, "squares": 1.0} for day in range(days)]))
    assert len(points) <= MOST_POINTS
    assert sum(point[1] for point in points) == 2 * days
