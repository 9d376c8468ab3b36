"""A training set made by queries is the one that pandas makes of the same rows, whatever is in them."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from everloop.dataset import snapshot_profile
from everloop.dataset.athena import AthenaQueries
from everloop.dataset.content_hash import SUMS
from everloop.dataset.exceptions import ContractViolationError, DatasetError, SplitError
from everloop.dataset.frame_contract import check_snapshot
from everloop.dataset.frame_hash import frame_sums
from everloop.dataset.frozen import Place
from everloop.dataset.snapshot import build_snapshot
from everloop.dataset.snapshot_facts import Snapshot
from everloop.dataset.snapshot_making import check, content_query, describe
from everloop.lake_tables import SUPERSEDED
from tests.fakes.athena import FakeAthena
from tests.helpers.declarations import binary_document, declare
from tests.helpers.rows import each_row, lake_table

AS_OF = datetime(2013, 2, 1, tzinfo=UTC)
PLACE = Place("lake", "late_train", "train-1-one")
NUMBERS = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.1, 1e-300, 5e-324, 1e200, 2.0**53, -(2.0**53) - 2])
WORDS = st.sampled_from(
    ["a", "A", "é", "e\u0301", "Zürich", "札幌", "🤦🏼\u200d♂️", "1:a", ",", "-", "3:abc,", " ", "a" * 40]
)
MILLISECONDS = st.sampled_from([0, 1, 999, 1000, 86_399_999, 86_400_000, 14 * 86_400_000 - 1])
START = datetime(2013, 1, 1)


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """Labelled rows whose cells are what engines are known to differ on."""
    count = draw(st.integers(8, 40))

    def column(values: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(values, min_size=count, max_size=count))

    frame = pd.DataFrame(
        {
            "key": [f"{i}{draw(WORDS)}" for i in range(count)],
            "time": [START + timedelta(milliseconds=n) for n in column(MILLISECONDS)],
            "label": column(st.sampled_from([0.0, 1.0])),
            "distance": np.array(column(NUMBERS | st.floats(-1e200, 1e200)), dtype=float),
            "wind": np.array(column(st.none() | NUMBERS), dtype=float),
            "line": pd.Series(column(WORDS | st.text(max_size=5)), dtype=object),
            "operator": pd.Series(column(st.none() | st.just("") | WORDS), dtype=object),
        }
    )
    frame["time"] = frame["time"].astype("datetime64[ms]")
    return frame


def anything(**data: Any) -> Any:
    """A declaration that refuses next to nothing."""
    features = [
        {"name": "distance", "type": "number", "missing": "allow"},
        {"name": "wind", "type": "number", "missing": "allow"},
        {"name": "line", "type": "category", "missing": "allow", "max_length": 64},
        {"name": "operator", "type": "category", "missing": "allow", "max_length": 64},
    ]
    rules = {"minimum_rows": 10, "positive_rate": [0, 1], "split": {"test_days": 1}, "features": features}
    return declare(binary_document(data={**rules, **data}))


def strict() -> Any:
    """A declaration that every rule is in."""
    features = [
        {"name": "distance", "type": "number", "min": 0, "max": 5000},
        {"name": "wind", "type": "number", "missing": "allow", "max_missing_rate": 0.5},
        {"name": "line", "type": "category", "values": ["north", "south"], "unseen": "refuse"},
        {"name": "operator", "type": "category", "missing": "allow", "max_length": 64},
    ]
    return declare(binary_document(data={"positive_rate": [0.05, 0.6], "features": features}))


class Engine:
    """Frozen rows on DuckDB."""

    def __init__(self) -> None:
        self.athena = FakeAthena(s3=None)
        self.queries = AthenaQueries(self.athena, lambda _: None, "everloop", "everloop", "s3://lake/athena-results/")

    def freeze(self, frame: pd.DataFrame) -> None:
        """Freeze what a snapshot query gives."""
        self.athena.empty("frozen")
        rows = frame if SUPERSEDED in frame else frame.assign(**{SUPERSEDED: 0})
        texts = {name: rows[name].astype(object) for name in ("key", "line", "operator")}
        self.athena.connection.register("answer", rows.assign(**texts).sample(frac=1, random_state=1))
        self.athena.connection.execute(
            f"INSERT INTO late_train_frozen BY NAME SELECT *, '{PLACE.attempt}' AS u FROM answer"
        )


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    engine.athena.connection.close()


def by_queries(engine: Engine, frame: pd.DataFrame, declaration: Any) -> Snapshot:
    engine.freeze(frame)
    return describe(engine.queries, declaration, PLACE, query="SELECT 1", as_of=AS_OF)


def by_pandas(frame: pd.DataFrame, declaration: Any) -> Snapshot:
    return build_snapshot(frame, declaration, query="SELECT 1", as_of=AS_OF).snapshot


def refused(make: Callable[[], object]) -> Exception | None:
    try:
        make()
    except DatasetError as error:
        return error
    return None


def same(found: Snapshot, expected: Snapshot) -> None:
    for name in ("model", "columns", "boundary", "rows", "time_range", "source"):
        assert getattr(found, name) == getattr(expected, name), name
    assert found.label_mean == pytest.approx(expected.label_mean)
    assert found.profile.keys() == expected.profile.keys()
    for name, told in expected.profile.items():
        means = [profile[name].pop("mean", None) for profile in (found.profile, expected.profile)]
        assert found.profile[name] == told, name
        if means[1] is None:
            assert means[0] is None
            continue
        # Sums in another order differ in their last digits, of the largest value's size.
        largest = max(abs(float(str(told[edge]))) for edge in ("min", "max"))
        assert means[0] == pytest.approx(means[1], rel=1e-12, abs=1e-12 * largest), name


def test_counts_ranges_split_and_profile_are_those_of_pandas(engine: Engine) -> None:
    declaration = declare(binary_document())
    labels = [None if i % 7 == 0 else float(i % 3 == 0) for i in range(240)]
    frame = lake_table(240, label=labels).assign(**{SUPERSEDED: 1})
    same(by_queries(engine, frame, declaration), by_pandas(frame, declaration))


@pytest.mark.slow
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frame=frames())
def test_whatever_the_cells_hold(engine: Engine, frame: pd.DataFrame) -> None:
    declaration = anything()
    error = refused(lambda: by_pandas(frame, declaration))
    if error is None:
        same(by_queries(engine, frame, declaration), by_pandas(frame, declaration))
    else:
        found = refused(lambda: by_queries(engine, frame, declaration))
        assert type(found) is type(error)
        assert without_examples(found) == without_examples(error)


def without_examples(error: Exception | None) -> object:
    """What an error says, without the rows it shows: a query has no places of rows."""
    if isinstance(error, ContractViolationError):
        return [(v.code, v.column, v.count, v.sentence) for v in error.violations]
    return str(error)


def content_of(frame: pd.DataFrame) -> list[int]:
    """The sums of the rows' hashes, as they are described, without a query."""
    sums = [0] * 4
    for row in each_row(frame):
        cells = [as_text(row.key), str(int(pd.Timestamp(row.time).value // 10**6)), as_number(row.label)]
        cells += [as_number(row.distance), as_number(row.wind), as_text(row.line), as_text(row.operator)]
        digest = hashlib.sha256(",".join(cells).encode()).digest()
        for i in range(4):
            sums[i] += int.from_bytes(digest[8 * i : 8 * i + 8], "big", signed=True)
    return sums


def as_number(value: float) -> str:
    return "-" if math.isnan(value) else struct.pack(">d", value + 0.0).hex().upper()


def as_text(value: str | None) -> str:
    return f"{len(value)}:{value}" if value else "-"


@pytest.mark.slow
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frame=frames())
def test_the_content_is_the_described_sum_whatever_the_order(engine: Engine, frame: pd.DataFrame) -> None:
    declaration = anything()
    engine.freeze(frame)
    (row,) = engine.queries.rows(content_query(declaration, PLACE, AS_OF))
    assert [int(row[name] or 0) for name in SUMS] == content_of(frame)


@pytest.mark.slow
@given(frame=frames())
def test_a_table_in_memory_has_the_same_content(frame: pd.DataFrame) -> None:
    names = ["key", "time", "label", *(feature.name for feature in anything().data.features)]
    assert frame_sums(frame[names].replace({"": None})) == content_of(frame)


def hash_of(engine: Engine, frame: pd.DataFrame) -> str:
    return by_queries(engine, frame, anything()).snapshot_hash


@pytest.mark.slow
def test_any_other_cell_is_another_snapshot(engine: Engine) -> None:
    frame = lake_table(48)
    first = hash_of(engine, frame)
    others = [
        frame.iloc[1:],
        frame.assign(distance=[*frame["distance"][:-1], 3.0]),
        frame.assign(wind=[9.0, *frame["wind"][1:]]),
        frame.assign(line=["south ", *frame["line"][1:]]),
        frame.assign(operator=["a", *frame["operator"][1:]]),
        frame.assign(label=1 - frame["label"]),
        frame.assign(time=frame["time"] + pd.Timedelta(milliseconds=1)),
        frame.assign(key=frame["key"].iloc[::-1].tolist()),
        # The same cells in other columns.
        frame.assign(line=frame["operator"], operator=frame["line"]),
    ]
    hashes = [hash_of(engine, other) for other in others]
    assert len({first, *hashes}) == len(others) + 1
    # WHILE what is the same is the same: one zero, one way to be missing, no order
    zeros = frame.assign(distance=frame["distance"] * -0.0)
    assert hash_of(engine, zeros) == hash_of(engine, frame.assign(distance=0.0))
    assert hash_of(engine, frame.assign(operator=frame["operator"].fillna(""))) == first
    assert hash_of(engine, frame.iloc[::-1]) == first


BROKEN: dict[str, dict[str, Any]] = {
    "a key twice": {"key": ["t0", "t0", "t0", *(f"t{i}" for i in range(3, 240))]},
    "a key that is missing": {"key": [None, "", *(f"t{i}" for i in range(2, 240))]},
    "labels of two other values": {"label": [2.0, 3.0] * 120},
    "labels of three other values": {"label": [2.0, 3.0, 4.0] * 80},
    "an infinite label": {"label": [math.inf, *[0.0, 1.0] * 119, 1.0]},
    "labels of one class": {"label": [1.0] * 240},
    "hardly a positive": {"label": [1.0, *[0.0] * 239]},
    "a number out of range": {"distance": [-1.0, 1e9, *[5.0] * 238]},
    "a number that is missing": {"distance": [None, math.nan, *[5.0] * 238]},
    "an infinite number": {"wind": [math.inf, -math.inf, *[5.0] * 238]},
    "a category that is not allowed": {"line": ["west", *["north"] * 239]},
    "a category that is missing": {"line": ["", None, *["north"] * 238]},
    "a text too long": {"operator": ["x" * 300, "é" * 65, *["a"] * 238]},
    "control characters": {"operator": ["a\x00", "\x1f", "b\x7f", "\x85", "\x9f", "\xa0", "\n", *["a"] * 233]},
    "texts of which nothing is seen": {
        "operator": ["\u200b", " \u200d\u3000", "\ufeff\t", "\u200ba", "\u3000", "\U000e0100", *["a"] * 234]
    },
    "much missing": {"wind": [None] * 240},
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_what_breaks_the_contract_is_told_in_the_same_words(engine: Engine, broken: dict[str, Any]) -> None:
    declaration = strict()
    frame = lake_table(240, **broken)
    expected = refused(lambda: check_snapshot(frame, declaration, AS_OF))
    engine.freeze(frame)
    found = refused(lambda: check(engine.queries, declaration, PLACE, AS_OF))
    assert expected is not None
    assert without_examples(found) == without_examples(expected)


def test_examples_are_keys_and_values_the_oldest_first(engine: Engine) -> None:
    declaration = declare(binary_document())
    engine.freeze(lake_table(240, distance=[*[5.0] * 230, *[-1.0 - i for i in range(10)]]))
    with pytest.raises(ContractViolationError) as error:
        check(engine.queries, declaration, PLACE, AS_OF)
    (violation,) = error.value.violations
    assert violation.examples == tuple(f"key 't{230 + i}', has {-1.0 - i}" for i in range(5))


def test_rows_that_are_all_test_are_no_split(engine: Engine) -> None:
    frame = lake_table(240)
    with pytest.raises(SplitError, match=r"240 labelled rows, 2013-01-01T00:00:00.000 to 2013-01-10T23:00:00.000"):
        by_queries(engine, frame, anything(split={"test_days": 12}))


def test_no_row_at_all_breaks_the_contract(engine: Engine) -> None:
    with pytest.raises(ContractViolationError, match="0 labelled rows; at least"):
        by_queries(engine, lake_table(240, label=[None] * 240), declare(binary_document()))


def test_old_rows_are_told(engine: Engine) -> None:
    declaration = declare(binary_document(data={"max_age_hours": 24}))
    expected = refused(lambda: check_snapshot(lake_table(240), declaration, AS_OF))
    engine.freeze(lake_table(240))
    found = refused(lambda: check(engine.queries, declaration, PLACE, AS_OF))
    assert without_examples(found) == without_examples(expected)


def test_training_rows_of_one_class_teach_nothing(engine: Engine) -> None:
    frame = lake_table(240, label=[*[0.0] * 150, *[1.0] * 90])
    declaration = anything(split={"test_days": 5})
    expected = refused(lambda: by_pandas(frame, declaration))
    assert expected is not None
    assert str(refused(lambda: by_queries(engine, frame, declaration))) == str(expected)


@pytest.mark.slow
def test_numbers_beyond_what_sums_hold_have_a_profile_that_can_be_written(engine: Engine) -> None:
    largest = 1.7976931348623157e308
    found = by_queries(engine, lake_table(48, wind=[largest, -largest, *[largest] * 46]), anything())
    assert found.profile["wind"] == {"missing": 0, "min": -largest, "max": largest, "quartiles": [largest] * 3}
    json.dumps(found.to_document(), allow_nan=False)
    found = by_queries(engine, lake_table(48, wind=[largest, -largest] * 24), anything())
    quartiles = found.profile["wind"]["quartiles"]
    assert quartiles == [-largest, 0.0, largest]


@pytest.mark.slow
def test_quartiles_of_many_rows_are_those_of_some_that_their_keys_choose(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, declaration = lake_table(240), anything()
    whole = by_queries(engine, frame, declaration)
    monkeypatch.setattr(snapshot_profile, "RANKED_ROWS", 60)
    some = by_queries(engine, frame, declaration)
    assert some.snapshot_hash == whole.snapshot_hash
    told = some.profile["distance"]
    chosen = frame[[hashlib.sha256(key.encode()).hexdigest() < "40000000" for key in frame["key"]]]
    assert told["quartiles"] == np.quantile(chosen["distance"], [0.25, 0.5, 0.75]).tolist()
    assert told["quartiles"] != whole.profile["distance"]["quartiles"]
    assert {**told, **whole.profile["distance"]} == whole.profile["distance"]
