from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
from moto import mock_aws
from moto.s3.models import s3_backends

from everloop.dataset.changes import RecordedColumn
from everloop.dataset.lake import history_bytes, parquet_bytes, to_lake_frame
from everloop.dataset.lake_listing import list_lake
from everloop.dataset.parquet_footer import TAIL_BYTES
from everloop.dataset.recorded_columns import MOST_CAPTURED, MOST_ENDS, MOST_OBJECTS, recorded_columns
from everloop.lake_tables import KEY_OF_ROWS, TARGET_OF_ROWS
from tests.fakes.aws import ACCOUNT, aws_client
from tests.helpers.declarations import binary_document, declare
from tests.helpers.rows import history_table

DECLARATION = declare(binary_document())
HISTORY = "history/model=late_train/"
CAPTURED = "predictions/model=late_train/date="


class Reads:
    """S3, which counts the bytes that are read."""

    def __init__(self, client: Any) -> None:
        self.client, self.bytes = client, 0
        self.keys: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def get_object(self, **arguments: Any) -> Any:
        body = self.client.get_object(**arguments)["Body"].read()
        self.bytes += len(body)
        self.keys.append(arguments["Key"])
        return {"Body": io.BytesIO(body)}


@pytest.fixture
def s3() -> Iterator[Reads]:
    with mock_aws():
        client = aws_client("s3")
        client.create_bucket(Bucket="lake")
        yield Reads(client)


def put(s3: Reads, key: str, **columns: list[Any]) -> None:
    types: dict[type, Any] = {str: object, float: "float64"}
    frame = pd.DataFrame({n: pd.Series(v, dtype=types[type(v[0])]) for n, v in columns.items()})
    s3.client.put_object(Bucket="lake", Key=key, Body=parquet_bytes(frame))


def put_many(keys: Iterable[str]) -> None:
    """Objects that are no Parquet, past the client: most of a call is what it takes to ask."""
    for key in keys:
        s3_backends[ACCOUNT]["aws"].put_object("lake", key, b"x")


def found(s3: Reads) -> dict[str, list[RecordedColumn]]:
    return recorded_columns(s3, "lake", "late_train", list_lake(s3, "lake", "late_train"))


def test_every_type_of_a_column_is_found_once_with_an_object_that_has_it(s3: Reads) -> None:
    put(s3, f"{HISTORY}a.parquet", wind=[1.0], line=["x"])
    put(s3, f"{HISTORY}b.parquet", wind=["calm"], line=["x"])
    put(s3, f"{HISTORY}c.parquet", wind=["calm"])
    assert found(s3) == {
        "wind": [
            RecordedColumn("number", f"s3://lake/{HISTORY}a.parquet"),
            RecordedColumn("category", f"s3://lake/{HISTORY}b.parquet", (f"s3://lake/{HISTORY}c.parquet",)),
        ],
        "line": [RecordedColumn("category", f"s3://lake/{HISTORY}a.parquet", (f"s3://lake/{HISTORY}b.parquet",))],
    }


def test_what_imports_took_key_and_target_from_is_read_off_their_footers(s3: Reads) -> None:
    rows = to_lake_frame(history_table(3), DECLARATION)
    s3.client.put_object(Bucket="lake", Key=f"{HISTORY}a.parquet", Body=history_bytes(rows, DECLARATION))
    put(s3, f"{HISTORY}b.parquet", wind=[1.0])
    columns = found(s3)
    assert columns[KEY_OF_ROWS] == [RecordedColumn("train_id", f"s3://lake/{HISTORY}a.parquet")]
    assert columns[TARGET_OF_ROWS] == [RecordedColumn("late", f"s3://lake/{HISTORY}a.parquet")]


def test_what_was_captured_counts_too_the_oldest_first(s3: Reads) -> None:
    put(s3, f"{CAPTURED}2013-01-02/b", wind=["calm"])
    put(s3, f"{CAPTURED}2013-01-01/a", wind=[1.0])
    assert found(s3)["wind"] == [
        RecordedColumn("number", f"s3://lake/{CAPTURED}2013-01-01/a"),
        RecordedColumn("category", f"s3://lake/{CAPTURED}2013-01-02/b"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("changed", [["2013-01-02/a"], ["2013-01-02/b"], ["2013-01-02/c", "2013-01-03/a"]])
def test_a_type_that_was_deployed_and_put_back_is_found_in_between(s3: Reads, changed: list[str]) -> None:
    for name in [f"2013-01-0{day}/{key}" for day in (1, 2, 3, 4) for key in "abc"]:
        put(s3, f"{CAPTURED}{name}", wind=["calm"] if name in changed else [1.0])
    number, category = found(s3)["wind"]
    assert (number.kind, category.kind) == ("number", "category")
    assert [category.place, *category.more] == [f"s3://lake/{CAPTURED}{name}" for name in changed]


@pytest.mark.slow
def test_of_very_many_captured_objects_the_ends_of_dates_and_the_newest_are_read(s3: Reads) -> None:
    dates = [f"2013-{month:02}-{day:02}" for month in range(1, 8) for day in range(1, 29)]
    put_many(f"{CAPTURED}{date}/{key}" for date in dates for key in "abcd")
    found(s3)
    read = {key.removeprefix(CAPTURED) for key in s3.keys}
    assert len(read) == MOST_CAPTURED
    assert {f"{date}/{key}" for date in dates[-MOST_ENDS // 2 :] for key in "ad"} <= read
    assert {f"{date}/{key}" for date in dates[-30:] for key in "abcd"} <= read


@pytest.mark.slow
def test_of_a_large_object_the_footer_alone_is_read_however_long(s3: Reads) -> None:
    put(s3, f"{HISTORY}a.parquet", wind=[float(i) ** 0.5 for i in range(100_000)])
    assert found(s3)["wind"][0].kind == "number"
    assert s3.bytes <= TAIL_BYTES
    # AND a footer of many columns is read whole
    put(s3, f"{HISTORY}b.parquet", **{f"feature_with_a_long_name_{i:05}": [1.0] for i in range(2000)})
    assert "feature_with_a_long_name_01999" in found(s3)


@pytest.mark.parametrize("content", [b"", b"x", b"no parquet at all"])
def test_what_is_no_parquet_says_nothing_here(s3: Reads, content: bytes) -> None:
    s3.client.put_object(Bucket="lake", Key=f"{HISTORY}a.parquet", Body=content)
    put(s3, f"{HISTORY}b.parquet", wind=[1.0])
    assert list(found(s3)) == ["wind"]


def test_a_column_of_nulls_has_no_type(s3: Reads) -> None:
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"wind": pyarrow.nulls(3)}), buffer)
    s3.client.put_object(Bucket="lake", Key=f"{HISTORY}a.parquet", Body=buffer.getvalue())
    assert found(s3) == {}


@pytest.mark.slow
def test_of_very_many_imports_the_oldest_and_the_newest_are_read(s3: Reads) -> None:
    put_many(f"{HISTORY}{index:04}.parquet" for index in range(MOST_OBJECTS + 20))
    found(s3)
    assert len(set(s3.keys)) == MOST_OBJECTS
