from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from everloop.dataset.exceptions import HistoryFileError
from everloop.dataset.frame_contract import check_history
from everloop.dataset.history_file import read_history_file
from everloop.dataset.lake import history_object_key, history_sha256, lake_columns, parquet_bytes, to_lake_frame
from tests.helpers.declarations import binary_document, declare
from tests.helpers.rows import START, history_table

DECLARATION = declare(binary_document())
AS_OF = START + timedelta(days=30)
HEADER = "train_id,departure,late,distance,wind,line,operator"


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def lake_sha256(path: Path) -> str:
    accepted = check_history(read_history_file(path, DECLARATION), DECLARATION, AS_OF).accepted
    return history_sha256(to_lake_frame(accepted, DECLARATION), DECLARATION)


def test_a_csv_file_becomes_typed_columns(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv",
        HEADER,
        "007,2013-01-01 05:00:00,1,10,NA,NA,x",
        "t2,2013-01-01T05:00:00.123456-05:00,,2.5,,north,",
    )
    frame = read_history_file(path, DECLARATION)
    assert list(frame.columns) == HEADER.split(",")
    assert frame["train_id"].tolist() == ["007", "t2"]
    assert frame["departure"].tolist() == [
        pd.Timestamp(datetime(2013, 1, 1, 5, tzinfo=UTC)),
        pd.Timestamp(datetime(2013, 1, 1, 10, 0, 0, 123000, tzinfo=UTC)),
    ]
    np.testing.assert_array_equal(frame["late"], [1, np.nan])
    np.testing.assert_array_equal(frame["wind"], [np.nan, np.nan])
    # a category may well be called NA; an empty cell is missing
    assert frame["line"].tolist() == ["NA", "north"]
    assert frame["operator"].tolist() == ["x", None]
    assert check_history(frame, DECLARATION, AS_OF).violations == ()


def test_a_cell_of_another_type_is_left_for_the_check_to_name(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv",
        HEADER,
        "t1,2013-01-01,1,10,3,north,x",
        "t2,someday,1,ten,3,north,x",
        "t3,2013-01-03,true,10,1e999,north,x",
    )
    result = check_history(read_history_file(path, DECLARATION), DECLARATION, AS_OF)
    assert [(v.code, v.column, v.count) for v in result.violations] == [
        ("wrong_type", "departure", 1),
        ("wrong_type", "late", 1),
        ("wrong_type", "distance", 1),
        ("not_finite", "wind", 1),
    ]
    assert "'ten'" in result.violations[2].examples[0]
    assert result.accepted["train_id"].tolist() == ["t1"]


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        ("a.txt", [HEADER], r"'\.txt'; give a \.csv, .* or a \.parquet file"),
        ("a.csv", [HEADER + ",speed"], "not declared: 'speed'"),
        ("a.csv", [HEADER.replace(",wind", "")], "missing: 'wind'"),
        ("a.csv", [HEADER + ",wind"], "there twice: 'wind'"),
        ("a.csv", [HEADER, "t1,2013-01-01,1,10,3,north,x,y"], "the header has 7 cells, but row 1 has 8"),
        ("a.csv", [HEADER, "t0,2013-01-01,1,10,3,north,x", "t1,2013-01-01,1"], "row 2 has 3"),
        ("a.parquet", ["no parquet"], r"a\.parquet"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused(tmp_path: Path, name: str, lines: list[str], message: str) -> None:
    with pytest.raises(HistoryFileError, match=message):
        read_history_file(write(tmp_path / name, *lines), DECLARATION)


def test_an_empty_absent_or_undecodable_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    (tmp_path / "latin.csv").write_bytes(HEADER.encode() + b"\n\xe9,,,,,,\n")
    for name in ("empty.csv", "latin.csv", "absent.csv", "absent.parquet"):
        with pytest.raises(HistoryFileError, match=name):
            read_history_file(tmp_path / name, DECLARATION)


def test_csv_and_parquet_of_the_same_rows_are_one_object(tmp_path: Path) -> None:
    # GIVEN the same rows in two formats and two orders of the columns
    table = history_table(50)
    table.to_csv(tmp_path / "a.csv", index=False)
    table[list(reversed(table.columns))].to_parquet(tmp_path / "a.parquet")
    # THEN they have one name in the lake, which one changed cell changes
    sha256 = lake_sha256(tmp_path / "a.csv")
    assert lake_sha256(tmp_path / "a.parquet") == sha256
    assert history_object_key(DECLARATION, sha256) == f"history/model=late_train/{sha256}.parquet"
    table["distance"] += np.where(table.index == 7, 1e-9, 0.0)
    table.to_csv(tmp_path / "b.csv", index=False)
    assert lake_sha256(tmp_path / "b.csv") != sha256


def test_the_lake_table_has_the_declared_types(tmp_path: Path) -> None:
    import pyarrow.parquet

    accepted = check_history(history_table(50, wind=[None] * 50), DECLARATION, AS_OF).accepted
    lake = to_lake_frame(accepted.iloc[::-1], DECLARATION)
    (tmp_path / "a.parquet").write_bytes(parquet_bytes(lake))
    table = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    assert table.column_names == lake_columns(DECLARATION)
    assert [str(t) for t in table.schema.types] == ["string", "timestamp[ms]", *["double"] * 3, *["string"] * 2]
    assert table["key"].to_pylist()[:2] == ["t0", "t1"]
    assert (table["wind"].null_count, table["operator"].null_count) == (50, 10)
    assert parquet_bytes(lake) == parquet_bytes(lake.copy())
