"""Record format conversion: the OpenX SerDe's reading of JSON, and what it rejects."""

from __future__ import annotations

import io
import json
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.services.firehose.convert import Converted, columns_schema, convert
from localcloud.services.firehose.destination import Conversion

COLUMNS = [
    {"Name": "id", "Type": "string"},
    {"Name": "Count", "Type": "bigint"},
    {"Name": "small", "Type": "int"},
    {"Name": "ratio", "Type": "double"},
    {"Name": "ok", "Type": "boolean"},
    {"Name": "time", "Type": "timestamp"},
]
SCHEMA = columns_schema(COLUMNS)


def conversion(**changes: Any) -> Conversion:
    defaults: dict[str, Any] = {
        "role_arn": "r",
        "database": "d",
        "table": "t",
        "codec": "snappy",
        "case_insensitive": True,
        "column_keys": {},
        "dots_to_underscores": False,
    }
    return Conversion(**defaults | changes)


def run(*records: Any, **changes: Any) -> Converted:
    data = [record if isinstance(record, bytes) else json.dumps(record).encode() for record in records]
    return convert(data, SCHEMA, conversion(**changes))


def rows(converted: Converted) -> list[dict[str, Any]]:
    assert converted.parquet is not None
    return list(pq.read_table(io.BytesIO(converted.parquet)).to_pylist())


FULL = {"id": "a", "count": 5, "small": 1, "ratio": 0.5, "ok": True, "time": "2013-03-09 04:05:06.789"}
FULL_ROW = FULL | {"time": datetime(2013, 3, 9, 4, 5, 6, 789000)}


def test_plain_records() -> None:
    converted = run(FULL, FULL | {"ratio": None})
    assert rows(converted) == [FULL_ROW, FULL_ROW | {"ratio": None}]
    assert (converted.rows, converted.rejected) == (2, ())


def test_missing_columns_are_null_and_unknown_keys_are_left_out() -> None:
    assert rows(run({"id": "a", "other": 1})) == [dict.fromkeys(FULL) | {"id": "a"}]


def test_keys_match_without_regard_to_case() -> None:
    assert rows(run({"ID": "a", "COUNT": 2}))[0]["count"] == 2
    assert rows(run({"ID": "a", "count": 2}, case_insensitive=False))[0]["id"] is None


def test_columns_can_have_keys_of_their_own() -> None:
    assert rows(run({"ts": "2013-03-09T04:05:06Z"}, column_keys={"time": "ts"}))[0]["time"] == datetime(
        2013, 3, 9, 4, 5, 6
    )


@pytest.mark.parametrize(
    ("key", "value", "read"),
    [
        ("id", 5, "5"),
        ("id", {"a": 1}, '{"a": 1}'),
        ("count", "12", 12),
        ("ratio", "1.5", 1.5),
        ("ratio", 2, 2.0),
        ("ok", "TRUE", True),
        ("time", 1362801906, datetime(2013, 3, 9, 4, 5, 6)),
        ("time", 1362801906789, datetime(2013, 3, 9, 4, 5, 6, 789000)),
        ("time", "2013-03-09T04:05:06.789+02:00", datetime(2013, 3, 9, 2, 5, 6, 789000)),
    ],
)
def test_lenient_readings(key: str, value: Any, read: Any) -> None:
    assert rows(run({key: value}))[0][key] == read


@pytest.mark.parametrize(
    "bad",
    [
        b"{",
        b"[1]",
        b"\xff",
        {"small": 2**31},
        {"count": "many"},
        {"ratio": [1]},
        {"time": "yesterday"},
        {"count": True},
    ],
)
def test_a_record_that_does_not_convert_does_not_hold_up_others(bad: Any) -> None:
    converted = run(FULL, bad, FULL)
    assert rows(converted) == [FULL_ROW, FULL_ROW]
    (rejected,) = converted.rejected
    assert rejected.code == "DataFormatConversion.MalformedData"


def test_an_empty_record_has_a_code_of_its_own() -> None:
    converted = run(b"  \n")
    assert converted.parquet is None
    assert converted.rejected[0].code == "DataFormatConversion.EmptyData"


def test_a_record_may_hold_several_objects() -> None:
    assert [row["id"] for row in rows(run(b'{"id":"a"}{"id":"b"}\n{"id":"c"}'))] == ["a", "b", "c"]


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "id": st.one_of(st.none(), st.text()),
                "count": st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
                "ratio": st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
                "ok": st.one_of(st.none(), st.booleans()),
            }
        ),
        min_size=1,
        max_size=20,
    )
)
def test_reading_all_at_once_and_one_by_one_is_the_same(values: list[dict[str, Any]]) -> None:
    """The second run is made to read record by record, by a key that no column has."""
    assert rows(run(*values)) == rows(run(*[value | {"zzz": 1} for value in values]))


def test_glue_types() -> None:
    assert SCHEMA.field("count").type == pa.int64()
    assert SCHEMA.field("time").type == pa.timestamp("ms")
