"""Rows arrive as declared, or the job says which column is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from everloop.instants import parse_instant
from everloop.training.channels import read_split, read_split_with
from everloop.training.exceptions import ChannelError
from tests.helpers.present import present
from tests.training.scenes import classification, regression, rows, write_parts

DECLARATION = classification()
FRAME = rows(DECLARATION, 300, 0, 1)


def test_parts_are_read_as_one(tmp_path: Path) -> None:
    split = read_split(write_parts(FRAME, tmp_path / "c", parts=4), DECLARATION, labelled=True)
    assert len(split) == 300
    assert split.features["distance"].tolist() == FRAME["distance"].tolist()
    assert present(split.target).tolist() == FRAME["label"].tolist()
    assert [str(d) for d in np.unique(split.days)] == ["2013-01-01", "2013-01-02", "2013-01-03"]
    assert split.first == parse_instant("2013-01-01T06:00:00.000Z")
    assert split.last == parse_instant("2013-01-03T06:00:00.099Z")


def test_missing_numbers_are_nan_and_missing_categories_the_empty_string(tmp_path: Path) -> None:
    split = read_split(write_parts(FRAME, tmp_path / "c"), DECLARATION, labelled=True)
    assert split.features["wind"].isna().sum() == FRAME["wind"].isna().sum() > 0
    assert (split.features["operator"] == "").sum() == FRAME["operator"].isna().sum() > 0
    assert all(type(v) is str for v in split.features["operator"])


def test_labels_are_not_read_where_there_are_none(tmp_path: Path) -> None:
    folder = write_parts(FRAME.drop(columns="label"), tmp_path / "c")
    assert read_split(folder, DECLARATION, labelled=False).target is None


def test_a_column_of_nulls_alone_in_one_part_is_read(tmp_path: Path) -> None:
    folder = write_parts(FRAME.assign(operator=None, wind=np.nan), tmp_path / "c")
    table = pa.Table.from_pandas(FRAME, preserve_index=False)
    dictionary = table.column("line").cast(pa.string()).dictionary_encode()
    table = table.set_column(table.schema.get_field_index("line"), "line", dictionary)
    pq.write_table(table, folder / "part-1.parquet")
    split = read_split(folder, DECLARATION, labelled=True)
    assert len(split) == 600
    # The rows of one key stay in the order of the parts.
    assert set(split.features["operator"][::2]) == {""}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"wind": "calm"}, "'wind' is .*; a number must be double"),
        ({"line": 3.0}, "'line' is double; a category must be string"),
        ({"label": 2.0}, "the label of row 0 is 2, neither 0 nor 1"),
        ({"label": np.nan}, "300 rows have no label"),
        ({"time": "2013-01-01"}, "'time' is .*, not a timestamp"),
        ({"time": pd.NaT}, "no time"),
    ],
)
def test_a_column_of_another_kind_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    frame = FRAME.assign(**changes)
    if changes.get("time") is pd.NaT:
        frame["time"] = frame["time"].astype("datetime64[ms]")
    with pytest.raises(ChannelError, match=said):
        read_split(write_parts(frame, tmp_path / "c"), DECLARATION, labelled=True)


def test_rows_are_in_one_order_whatever_files_they_stand_in(tmp_path: Path) -> None:
    """GIVEN the files that a query leaves: rows in any order, times in nanoseconds of 96 bits."""
    frame = FRAME.assign(time=FRAME["time"].dt.floor("D"))
    expected = read_split(write_parts(frame.sort_values(["time", "key"]), tmp_path / "one"), DECLARATION, labelled=True)
    shuffled, folder = frame.sample(frac=1, random_state=3), tmp_path / "several"
    folder.mkdir()
    for place, name in enumerate(("b.parquet", "c.parquet", "a.parquet")):
        part = pa.Table.from_pandas(shuffled.iloc[place::3], preserve_index=False)
        pq.write_table(part, folder / name, use_deprecated_int96_timestamps=True)
    found, more = read_split_with(folder, DECLARATION, labelled=True, numbers=("distance",))
    pd.testing.assert_frame_equal(found.features, expected.features)
    assert found.labels.tolist() == expected.labels.tolist()
    assert found.times.tolist() == expected.times.tolist()
    assert more["distance"].tolist() == found.features["distance"].tolist()


def test_a_missing_column_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    folder = write_parts(FRAME.drop(columns="wind"), tmp_path / "c")
    with pytest.raises(ChannelError, match="no column 'wind'; it has 'key', 'time', 'label', 'distance'"):
        read_split(folder, DECLARATION, labelled=True)


def test_no_file_no_row_and_no_parquet_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ChannelError, match=r"has no \*\.parquet"):
        read_split(tmp_path, DECLARATION, labelled=True)
    with pytest.raises(ChannelError, match="have no rows"):
        read_split(write_parts(FRAME.head(0), tmp_path / "empty"), DECLARATION, labelled=True)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "part-0.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(ChannelError, match="not a readable Parquet"):
        read_split(tmp_path / "bad", DECLARATION, labelled=True)


def test_a_regression_takes_any_finite_label(tmp_path: Path) -> None:
    declaration = regression()
    frame = rows(declaration, 200, 0, 1)
    split = read_split(write_parts(frame, tmp_path / "c"), declaration, labelled=True)
    assert present(split.target).dtype == np.float64
    assert present(split.target).tolist() == frame["label"].tolist()
