"""Files of every making: read, or refused with what was found and what to type."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.dataset.exceptions import DatasetError, HistoryFileError
from everloop.dataset.file_format import FileFormat
from everloop.dataset.frame_contract import HistoryCheck, check_history
from everloop.dataset.history_file import read_history_file
from tests.helpers.declarations import binary_document, declare, regression_document
from tests.helpers.rows import START, history_table

DECLARATION = declare(binary_document())
AS_OF = START + timedelta(days=30)
NAMES = ["train_id", "departure", "late", "distance", "wind", "line", "operator"]
ROW = {
    "train_id": "t1",
    "departure": "2013-01-02T05:00:00Z",
    "late": "1",
    "distance": "10.5",
    "wind": "3",
    "line": "north",
    "operator": "a",
}


def csv_bytes(*rows: dict[str, str], delimiter: str = ",", end: str = "\n") -> bytes:
    lines = [NAMES, *([{**ROW, **row}[name] for name in NAMES] for row in rows)]
    return "".join(delimiter.join(line) + end for line in lines).encode()


def read(folder: Path, data: bytes, name: str = "a.csv", **said: Any) -> tuple[HistoryCheck, list[str]]:
    (folder / name).write_bytes(data)
    notes: list[str] = []
    frame = read_history_file(folder / name, DECLARATION, FileFormat(**said), note=notes.append)
    return check_history(frame, DECLARATION, AS_OF), notes


def taken(folder: Path, data: bytes, name: str = "a.csv", **said: Any) -> pd.DataFrame:
    check, _ = read(folder, data, name, **said)
    assert check.violations == ()
    return check.accepted


def parquet(folder: Path, **columns: pyarrow.Array) -> Path:
    """One row, some columns of another type."""
    table = pyarrow.Table.from_pandas(history_table(1), preserve_index=False)
    for name, array in columns.items():
        table = table.set_column(table.column_names.index(name), name, array)
    pyarrow.parquet.write_table(table, folder / "a.parquet")
    return folder / "a.parquet"


def check_parquet(path: Path, **said: Any) -> HistoryCheck:
    return check_history(read_history_file(path, DECLARATION, FileFormat(**said)), DECLARATION, AS_OF)


@pytest.mark.parametrize(
    ("data", "name", "said"),
    [
        (csv_bytes({}), "a.csv", {}),
        (csv_bytes({}, end="\r\n"), "a.CSV", {}),
        (csv_bytes({}, end="\r"), "a.csv", {}),
        (csv_bytes({}).rstrip(), "a.csv", {}),
        (csv_bytes({}).replace(b"\nt1", b"\n\n\nt1"), "a.csv", {}),
        (b"\xef\xbb\xbf" + csv_bytes({}), "a.csv", {}),
        (csv_bytes({}).decode().encode("utf-16"), "a.csv", {"encoding": "utf-16"}),
        (gzip.compress(csv_bytes({})), "a.csv.gz", {}),
        (csv_bytes({}, delimiter="\t"), "a.tsv", {}),
        (csv_bytes({}, delimiter="|"), "a.csv", {"delimiter": "|"}),
        (csv_bytes({"distance": "10,5"}, delimiter=";"), "a.csv", {"delimiter": ";", "decimal": ","}),
        (csv_bytes({"distance": " 10.5 "}), "a.csv", {}),
        (csv_bytes({"distance": '"10.5"', "line": '"north"'}), "a.csv", {}),
        (csv_bytes({"distance": "1.05e1"}), "a.csv", {}),
        (csv_bytes({"departure": "2013-01-02 05:00:00 UTC"}), "a.csv", {}),
        (csv_bytes({"departure": "2013-01-02 05:00:00.000+00:00"}), "a.csv", {}),
        (csv_bytes({"departure": "2013-01-02 06:00:00 +0100"}), "a.csv", {}),
        (csv_bytes({"departure": "2013-01-02T05:00"}), "a.csv", {}),
        (csv_bytes({"departure": "2013-01-02 06:00"}), "a.csv", {"time_zone": "Europe/Berlin"}),
        (csv_bytes({"departure": "2013-01-02T05:00:00Z"}), "a.csv", {"time_zone": "Europe/Berlin"}),
        (csv_bytes({"departure": "02.01.2013 05:00"}), "a.csv", {"time_format": "%d.%m.%Y %H:%M"}),
        (
            csv_bytes({"departure": "02.01.2013 06:00"}),
            "a.csv",
            {"time_format": "%d.%m.%Y %H:%M", "time_zone": "Europe/Berlin"},
        ),
        (csv_bytes({"departure": "02.01.2013 06:00 +0100"}), "a.csv", {"time_format": "%d.%m.%Y %H:%M %z"}),
        (csv_bytes({"departure": "1357102800"}), "a.csv", {"time_unit": "s"}),
        (csv_bytes({"departure": "1357102800.000"}), "a.csv", {"time_unit": "s"}),
        (csv_bytes({"departure": "1357102800000"}), "a.csv", {"time_unit": "ms"}),
        (csv_bytes({"departure": "1357102800000000"}), "a.csv", {"time_unit": "us"}),
        (csv_bytes({"departure": "1357102800000000000"}), "a.csv", {"time_unit": "ns"}),
    ],
)
def test_the_same_row_is_read_out_of_every_way_of_writing_it(
    tmp_path: Path, data: bytes, name: str, said: dict[str, Any]
) -> None:
    frame = taken(tmp_path, data, name, **said)
    assert frame.to_dict("records") == [
        {
            "train_id": "t1",
            "departure": pd.Timestamp("2013-01-02 05:00:00"),
            "late": 1.0,
            "distance": 10.5,
            "wind": 3.0,
            "line": "north",
            "operator": "a",
        }
    ]


def test_letters_beyond_ascii_are_read_in_the_encoding_that_is_named(tmp_path: Path) -> None:
    data = csv_bytes({"operator": "Österreich €"}).decode()
    for encoding in ("utf-8", "windows-1252", "iso-8859-15", "utf-16"):
        frame = taken(tmp_path, data.encode(encoding), encoding=encoding)
        assert frame["operator"].tolist() == ["Österreich €"]


SPREADSHEET = csv_bytes(
    {"departure": "13.01.2013 05:00", "distance": "10,5", "operator": "Österreich"}, delimiter=";"
).replace("Ö".encode(), b"\xd6")


def test_a_spreadsheets_csv_is_refused_with_all_that_has_to_be_typed_and_read_with_it(tmp_path: Path) -> None:
    with pytest.raises(HistoryFileError) as refused:
        read(tmp_path, SPREADSHEET)
    assert "the byte 0xd6 in row 1" in str(refused.value)
    typed = "--encoding windows-1252 --delimiter ';' --decimal , --time-format '%d.%m.%Y %H:%M'"
    assert str(refused.value).endswith(f"If this is right, add {typed}")
    said = {"encoding": "windows-1252", "delimiter": ";", "decimal": ",", "time_format": "%d.%m.%Y %H:%M"}
    frame = taken(tmp_path, SPREADSHEET, **said)
    assert frame[["distance", "operator"]].iloc[0].tolist() == [10.5, "Österreich"]


@pytest.mark.parametrize(
    ("data", "name", "says"),
    [
        (b"", "a.csv", "the file is empty"),
        (b"\n\n", "a.csv", "the file is empty"),
        (csv_bytes(), "a.csv", "has no rows"),
        (csv_bytes().rstrip(), "a.csv", "has no rows"),
        (b"PAR1 and so on", "a.csv", "call it .parquet"),
        (b"PK\x03\x04 and so on", "a.csv", "save the sheet as CSV"),
        (gzip.compress(b"a"), "a.csv", "call it .csv.gz"),
        (gzip.compress(gzip.compress(csv_bytes({}))), "a.csv.gz", "it is gzipped twice: unpack it once"),
        (b"not gzipped", "a.csv.gz", "it is not gzipped"),
        (gzip.compress(csv_bytes({}))[:-9], "a.csv.gz", "can't be read"),
        (csv_bytes({}), "a.parquet", "can't be read"),
        (csv_bytes({}), "a.txt", "give a .csv"),
        (csv_bytes({}), "a", "the name has no ending"),
        (csv_bytes({}), "a.xlsx", "save the sheet as CSV"),
        (csv_bytes({}), "a.csv.zip", "unpack it first"),
        (b"{}", "a.jsonl", "pd.read_json"),
        (csv_bytes({}), "a.csv.gz", "it is not gzipped; call it a.csv"),
        (csv_bytes({}), "a.parquet", "it is not a Parquet file; if it is a CSV, call it .csv"),
        (b'{"train_id": "t1"}', "a.csv", "it is JSON: write it as CSV"),
        (b"<!DOCTYPE html><table>", "a.csv", "it is a web page or XML"),
        (b"sep=;\n" + csv_bytes({}, delimiter=";"), "a.csv", "delete its first line, 'sep=;', and add --delimiter ';'"),
        (b"Trains,,,,,,\n\n" + csv_bytes({}), "a.csv", "the header is its line 2"),
        (csv_bytes({}).replace(b"operator", b"operator,,"), "a.csv", "its last 2 columns have no name"),
        (b"," + csv_bytes({}), "a.csv", "its first column only numbers the rows"),
        (b"Unnamed: 0," + csv_bytes({}), "a.csv", "index=False"),
        (csv_bytes({}) + b"t2,,\n", "a.csv", "row 2 has 3 cells; every row needs 6 ','"),
        (csv_bytes({"operator": "a,"}), "a.csv", "row 1 has 8 cells; delete ',' at the end of a row"),
        (csv_bytes({}).decode().encode("utf-16"), "a.csv", "add --encoding utf-16"),
        (csv_bytes({}, delimiter=";"), "a.csv", "add --delimiter ';'"),
        (csv_bytes({}, delimiter="\t"), "a.csv", "add --delimiter tab"),
        (csv_bytes({}).replace(b"late", b"Late"), "a.csv", "'Late' must be called 'late'"),
        (csv_bytes({}).replace(b"late", b"delay").replace(b"wind", b"line"), "a.csv", "missing: 'late', 'wind'; not d"),
        (csv_bytes({"line": "a,b"}, {"line": "a,b"}), "a.csv", "row 1 has 8 cells; row 2 has 8 cells"),
        (csv_bytes({"line": '"north'}), "a.csv", "close every quote"),
    ],
)
def test_what_is_no_such_table_is_refused_with_what_to_do(tmp_path: Path, data: bytes, name: str, says: str) -> None:
    with pytest.raises(HistoryFileError) as refused:
        read(tmp_path, data, name)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        ({"distance": "10,5"}, "add --decimal ,"),
        ({"distance": "1'234.5"}, "without thousands separators"),
        ({"distance": "-"}, "add --missing-word '-'"),
        ({"distance": "#REF!"}, "add --missing-word '#REF!'"),
        ({"distance": "$12.5"}, "write the number alone"),
        ({"distance": "12.5 %"}, "write the number alone"),
        ({"distance": "12.5 km/h"}, "write the number alone"),
        ({"distance": "(5)"}, "write the number alone"),
        ({"distance": "\uff11\uff12"}, "write it in plain digits: 12"),
        ({"distance": "\u22125.5"}, "write it in plain digits: -5.5"),
        ({"distance": "0x1f"}, "write it in decimal digits"),
        ({"distance": "yes"}, "write 1 and 0"),
        ({"late": "N"}, "write 1 and 0"),
        ({"distance": "a long remark of somebody"}, "leave the cell empty"),
        ({"departure": "03/13/2024 10:00 PM"}, "add --time-format '%m/%d/%Y %I:%M %p'"),
        ({"departure": "13.03.24 10:00"}, "add --time-format '%d.%m.%y %H:%M'"),
        ({"departure": "45352.4166667"}, "a spreadsheet date"),
        ({"departure": "2024-03-01 10:00 CET"}, "write CET as an offset"),
        ({"distance": "true"}, "'true' is not a number"),
        ({"departure": "13.01.2013"}, "add --time-format '%d.%m.%Y'"),
        ({"departure": "1/13/2013 5:00"}, "add --time-format '%m/%d/%Y %H:%M'"),
        ({"departure": "1/2/2013 5:00"}, "add --time-format '%d/%m/%Y %H:%M' or '%m/%d/%Y %H:%M'"),
        ({"departure": "1357102800"}, "add --time-unit s"),
        ({"departure": "1357102800000"}, "add --time-unit ms"),
        ({"departure": "yesterday"}, "write it as 2024-03-01T05:00:00Z"),
        ({"train_id": "1000000001.0"}, "a whole number written as a float"),
    ],
)
def test_a_cell_of_another_type_is_told_with_its_row_and_how_to_convert(
    tmp_path: Path, cells: dict[str, str], says: str
) -> None:
    data = csv_bytes({"train_id": "t0"}, cells).replace(b"10,5", b'"10,5"')
    check, _ = read(tmp_path, data)
    (refused,) = check.refused
    assert refused.row == 2
    assert says in refused.reason
    (violation,) = check.violations
    assert "row 2" in violation.examples[0]


@pytest.mark.slow
def test_what_is_said_of_times_holds_for_every_cell(tmp_path: Path) -> None:
    # GIVEN cells that would be times if nothing had been said
    for cell, said in [
        ("2013-01-02", {"time_format": "%d.%m.%Y"}),
        ("2013-01-02", {"time_unit": "s"}),
        ("2012-03-25 02:30", {"time_zone": "Europe/Berlin"}),
        ("2012-10-28 02:30", {"time_zone": "Europe/Berlin"}),
        ("1e300", {"time_unit": "s"}),
        ("9" * 30, {"time_unit": "ns"}),
    ]:
        # THEN they are refused, and no other time is read out of them
        check, _ = read(tmp_path, csv_bytes({"departure": cell}), **said)
        assert [v.code for v in check.violations] == ["wrong_type"], (cell, said)


def test_rows_of_any_order_are_sorted_and_told_by_their_place_in_the_file(tmp_path: Path) -> None:
    rows = [{"train_id": f"t{i}", "departure": f"2013-01-0{9 - i}"} for i in range(1, 6)]
    rows[1]["distance"] = "-1"
    check, _ = read(tmp_path, csv_bytes(*rows))
    assert check.accepted["train_id"].tolist() == ["t5", "t4", "t3", "t1"]
    assert [(r.row, r.key) for r in check.refused] == [(2, "t2")]
    assert "row 2, key 't2'" in check.violations[0].examples[0]


def test_a_quoted_line_end_is_one_cell_and_counts_no_row(tmp_path: Path) -> None:
    check, _ = read(tmp_path, csv_bytes({"operator": '"a\nb"'}, {"train_id": "t2", "distance": "x"}))
    assert [(r.row, r.key) for r in check.refused] == [(1, "t1"), (2, "t2")]
    assert "control character" in check.refused[0].reason


@pytest.mark.parametrize("word", ["NA", "N/A", "NaN", "nan", "null", "NULL", "None", "\\N", "#N/A", "<NA>", ""])
def test_words_for_missing_count_in_numbers_and_are_told(tmp_path: Path, word: str) -> None:
    check, notes = read(tmp_path, csv_bytes({"wind": word, "late": word}))
    assert check.violations == ()
    assert check.accepted[["wind", "late"]].isna().all(axis=None)
    told = [f"{name}: {word!r} in 1 row counts as missing" for name in ("late", "wind")]
    assert notes == (told if word else [])


def test_a_category_may_be_called_na_and_a_word_is_missing_where_that_is_said(tmp_path: Path) -> None:
    data = csv_bytes({"operator": "NA", "line": "north"}, {"train_id": "t2", "operator": "-"})
    check, notes = read(tmp_path, data)
    assert check.accepted["operator"].tolist() == ["NA", "-"]
    (note,) = notes
    assert note.startswith("operator: 'NA' in 1 row is read as a category")
    assert note.endswith("add --missing-word 'NA'")
    check, notes = read(tmp_path, data, missing_words=("NA", "-"))
    assert check.accepted["operator"].tolist() == [None, None]
    assert notes == []


@pytest.mark.parametrize(
    ("cell", "said", "noted"),
    [
        ("2013-01-02T05:00:00Z", {}, False),
        ("2013-01-02 05:00 UTC", {}, False),
        ("2013-01-02 05:00+01:00", {}, False),
        ("2013-01-02 05:00", {}, True),
        ("2013-01-02", {}, True),
        ("2013-01-02 05:00", {"time_zone": "UTC"}, False),
        ("02.01.2013", {"time_format": "%d.%m.%Y"}, True),
        ("02.01.2013 +0100", {"time_format": "%d.%m.%Y %z"}, False),
        ("1357102800", {"time_unit": "s"}, False),
    ],
)
def test_a_clock_without_a_zone_is_told(tmp_path: Path, cell: str, said: dict[str, str], noted: bool) -> None:
    _, notes = read(tmp_path, csv_bytes({"departure": cell}), **said)
    assert [note.startswith("departure: times without a zone are read as UTC") for note in notes] == [True] * noted


def test_a_category_that_is_declared_needs_no_note(tmp_path: Path) -> None:
    document = binary_document()
    document["data"]["features"][3]["values"] = ["NA", "a"]
    (tmp_path / "a.csv").write_bytes(csv_bytes({"operator": "NA"}))
    notes: list[str] = []
    read_history_file(tmp_path / "a.csv", declare(document), note=notes.append)
    assert notes == []


@pytest.mark.parametrize("words", [("true", "false"), ("True", "False"), ("TRUE", "FALSE"), ("1", "0"), ("1.0", "0.0")])
def test_two_outcomes_and_flags_may_be_said_in_words(tmp_path: Path, words: tuple[str, str]) -> None:
    yes, no = words
    rows = [{"late": yes, "wind": no}, {"train_id": "t2", "late": no, "wind": ""}]
    frame = taken(tmp_path, csv_bytes(*rows))
    np.testing.assert_array_equal(frame[["late", "wind"]].to_numpy(), [[1, 0], [0, np.nan]])


def test_true_is_no_target_of_a_regression_and_no_number_among_numbers(tmp_path: Path) -> None:
    declaration = declare(regression_document())
    (tmp_path / "a.csv").write_bytes(csv_bytes({"late": "true"}).replace(b"late", b"delay"))
    check = check_history(read_history_file(tmp_path / "a.csv", declaration), declaration, AS_OF)
    assert [(v.code, v.column) for v in check.violations] == [("wrong_type", "delay")]
    check, _ = read(tmp_path, csv_bytes({"wind": "true"}, {"train_id": "t2", "wind": "2"}))
    assert [(v.code, v.column, v.count) for v in check.violations] == [("wrong_type", "wind", 1)]


NUMBERS: list[tuple[pyarrow.DataType, Any]] = [
    *((t(), 10) for t in (pyarrow.int8, pyarrow.uint16, pyarrow.int64, pyarrow.uint64)),
    *((t(), 10.0) for t in (pyarrow.float32, pyarrow.float64)),
    (pyarrow.float16(), np.float16(10)),
    (pyarrow.decimal128(18, 2), Decimal("10.00")),
    (pyarrow.decimal256(60, 5), Decimal("10.00")),
    (pyarrow.dictionary(pyarrow.int8(), pyarrow.int64()), 10),
]


@pytest.mark.parametrize(("type_", "value"), NUMBERS)
def test_parquets_numbers_are_numbers(tmp_path: Path, type_: pyarrow.DataType, value: Any) -> None:
    check = check_parquet(parquet(tmp_path, distance=pyarrow.array([value], type_), wind=pyarrow.array([None], type_)))
    assert check.violations == ()
    np.testing.assert_array_equal(check.accepted[["distance", "wind"]].to_numpy(), [[10, np.nan]])


AT = datetime(2013, 1, 2, 5, tzinfo=UTC)
TIMES: list[tuple[pyarrow.Array, dict[str, str]]] = [
    *((pyarrow.array([AT], pyarrow.timestamp(unit, "UTC")), {}) for unit in ("s", "ms", "us", "ns")),
    *((pyarrow.array([AT], pyarrow.timestamp("us", zone)), {}) for zone in ("Asia/Kolkata", "+05:30")),
    (pyarrow.array([AT.replace(tzinfo=None)], pyarrow.timestamp("ns")), {}),
    (pyarrow.array([datetime(2013, 1, 2, 6)], pyarrow.timestamp("ms")), {"time_zone": "Europe/Berlin"}),
    (pyarrow.array(["2013-01-02 05:00:00 UTC"]), {}),
    (pyarrow.array(["2013-01-02T05:00:00Z"], pyarrow.large_string()), {}),
    (pyarrow.array([1357102800]), {"time_unit": "s"}),
    (pyarrow.array([1357102800.0]), {"time_unit": "s"}),
    (pyarrow.array([1357102800], pyarrow.uint64()), {"time_unit": "s"}),
    (pyarrow.array([Decimal("1357102800.000")]), {"time_unit": "s"}),
    (pyarrow.array(["1357102800000"]), {"time_unit": "ms"}),
]


@pytest.mark.parametrize(("array", "said"), TIMES)
def test_parquets_times_are_instants(tmp_path: Path, array: pyarrow.Array, said: dict[str, str]) -> None:
    check = check_parquet(parquet(tmp_path, departure=array), **said)
    assert check.violations == ()
    assert check.accepted["departure"].tolist() == [pd.Timestamp("2013-01-02 05:00")]


@pytest.mark.parametrize("array", [pyarrow.array([date(2013, 1, 2)], t) for t in (pyarrow.date32(), pyarrow.date64())])
def test_a_date_is_its_first_instant(tmp_path: Path, array: pyarrow.Array) -> None:
    assert check_parquet(parquet(tmp_path, departure=array)).accepted["departure"].tolist() == [
        pd.Timestamp("2013-01-02")
    ]
    check = check_parquet(parquet(tmp_path, departure=array), time_zone="America/New_York")
    assert check.accepted["departure"].tolist() == [pd.Timestamp("2013-01-02 05:00")]


@pytest.mark.parametrize(
    ("column", "array", "says"),
    [
        ("distance", pyarrow.array(["10"]), "pandas: pd.to_numeric"),
        ("distance", pyarrow.array([b"10"]), "b'10' is not a number"),
        ("distance", pyarrow.array([AT]), "not a number"),
        ("distance", pyarrow.array([timedelta(hours=1)]), "not a number"),
        ("line", pyarrow.array([7]), "7 is not a string; a category is a string"),
        ("line", pyarrow.array([True]), "True is not a string; name its values"),
        ("line", pyarrow.array([AT]), "not a string"),
        ("departure", pyarrow.array([1357102800]), "add --time-unit s"),
        ("departure", pyarrow.array([1357102800000]), "add --time-unit ms"),
        ("departure", pyarrow.array([True]), "not a time"),
        ("departure", pyarrow.array([9 * 10**15], pyarrow.timestamp("s")), "it is outside the years 1 to 9999"),
        ("departure", pyarrow.array([-(2**63)], pyarrow.timestamp("us")), "it is outside the years 1 to 9999"),
        ("train_id", pyarrow.array([1.5]), "a number with a fraction"),
        ("train_id", pyarrow.array([2.0**24], pyarrow.float32()), "several whole numbers"),
    ],
)
def test_parquets_other_types_are_refused_with_how_to_convert(
    tmp_path: Path, column: str, array: pyarrow.Array, says: str
) -> None:
    (refused,) = check_parquet(parquet(tmp_path, **{column: array})).refused
    assert says in refused.reason


def test_a_cell_that_holds_several_values_is_refused_by_its_column(tmp_path: Path) -> None:
    for name in ("train_id", "departure", "distance", "line"):
        with pytest.raises(HistoryFileError, match=rf"'{name}' can't be read: its cells are list"):
            check_parquet(parquet(tmp_path, **{name: pyarrow.array([[1, 2]])}))


FRAMES: list[Callable[[pd.DataFrame], pd.DataFrame]] = [
    lambda t: t,
    lambda t: t.set_index("departure"),
    lambda t: t.set_index(["train_id", "departure"]),
    lambda t: t.iloc[::-1],
    lambda t: t.sample(frac=1, random_state=1),
    lambda t: t.convert_dtypes(),
    lambda t: t.convert_dtypes(dtype_backend="pyarrow"),
    lambda t: t.assign(late=t["late"].astype(bool), line=t["line"].astype("category")),
    lambda t: t.assign(late=t["late"].astype("boolean"), operator=t["operator"].astype("string")),
    lambda t: t.assign(late=t["late"].astype("Int64"), departure=t["departure"].dt.tz_convert("Asia/Tokyo")),
    lambda t: t.assign(departure=t["departure"].dt.tz_localize(None).astype("datetime64[s]")),
    lambda t: t.assign(departure=t["departure"].astype(str)),
]


@pytest.mark.parametrize("place", range(len(FRAMES)))
def test_pandas_frames_of_every_kind_are_the_same_rows(tmp_path: Path, place: int) -> None:
    FRAMES[place](history_table(20)).to_parquet(tmp_path / "a.parquet")
    expected = check_history(history_table(20), DECLARATION, AS_OF).accepted
    pd.testing.assert_frame_equal(check_parquet(tmp_path / "a.parquet").accepted, expected)


def test_a_folders_name_is_no_column_and_a_folder_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "model=x"
    folder.mkdir()
    history_table(2).to_parquet(folder / "a.parquet")
    assert len(check_parquet(folder / "a.parquet").accepted) == 2
    (tmp_path / "b.parquet").mkdir()
    (tmp_path / "b.csv").mkdir()
    for name in ("b.parquet", "b.csv"):
        with pytest.raises(HistoryFileError, match=name):
            check_parquet(tmp_path / name)


def test_parquet_needs_no_word_about_its_cells(tmp_path: Path) -> None:
    with pytest.raises(HistoryFileError, match="--delimiter, --decimal is only for CSV"):
        check_parquet(parquet(tmp_path), delimiter=";", decimal=",")


def no_traceback(folder: Path, data: bytes, name: str, **said: Any) -> None:
    try:
        check, _ = read(folder, data, name, **said)
        told = name if len(check.accepted) + len(check.refused) else "no row"
    except DatasetError as error:
        told = str(error)
    assert name in told


CELL = st.text(max_size=6) | st.sampled_from(
    ["", "NaN", "1", "-0", "1e400", "01.02.2013", "2013-01-01", "NA", "true", '"', '""', "'", "9" * 30, ","]
)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.binary(max_size=100).map(lambda tail: ",".join(NAMES).encode() + b"\n" + tail),
        st.binary(max_size=60).map(lambda tail: csv_bytes({}) + tail),
        st.lists(st.lists(CELL, min_size=7, max_size=7), max_size=4).map(
            lambda rows: "\n".join([",".join(NAMES), *(",".join(row) for row in rows)]).encode("utf-8", "replace")
        ),
    ),
    st.sampled_from(["a.csv", "a.csv.gz", "a.tsv", "a.parquet"]),
    st.sampled_from(
        [
            {},
            {"delimiter": ";", "decimal": ","},
            {"encoding": "windows-1252"},
            {"encoding": "utf-16"},
            {"time_unit": "s"},
            {"time_format": "%d.%m.%Y", "time_zone": "Europe/Berlin"},
            {"missing_words": ("NA", "1")},
        ]
    ),
)
def test_no_bytes_make_a_traceback(data: bytes, name: str, said: dict[str, Any]) -> None:
    if name == "a.parquet":
        said = {k: v for k, v in said.items() if k not in ("delimiter", "decimal", "encoding")}
    with tempfile.TemporaryDirectory() as folder:
        no_traceback(Path(folder), data, name, **said)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(st.data())
def test_no_damaged_parquet_makes_a_traceback(data: st.DataObject) -> None:
    whole = bytearray(PARQUET)
    for _ in range(data.draw(st.integers(0, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    with tempfile.TemporaryDirectory() as folder:
        no_traceback(Path(folder), bytes(whole[: cut or len(whole)]), "a.parquet")


def _parquet_bytes() -> bytes:
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.Table.from_pandas(history_table(5), preserve_index=False), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


PARQUET = _parquet_bytes()

ANY_ARRAY = st.one_of(
    st.tuples(st.just(pyarrow.timestamp("s")), st.integers(-(9 * 10**15), 9 * 10**15)),
    st.tuples(st.just(pyarrow.timestamp("ms", "UTC")), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just(pyarrow.timestamp("ns")), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just(pyarrow.date32()), st.integers(-(2**31), 2**31 - 1)),
    st.tuples(st.just(pyarrow.time64("us")), st.integers(0, 86_399_999_999)),
    st.tuples(st.just(pyarrow.duration("ns")), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just(pyarrow.int64()), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just(pyarrow.uint64()), st.integers(0, 2**64 - 1)),
    st.tuples(st.just(pyarrow.float64()), st.floats()),
    st.tuples(st.just(pyarrow.bool_()), st.booleans()),
    st.tuples(st.just(pyarrow.string()), st.text(max_size=5)),
    st.tuples(st.just(pyarrow.binary()), st.binary(max_size=5)),
    st.tuples(st.just(pyarrow.null()), st.none()),
    st.tuples(st.just(pyarrow.list_(pyarrow.int8())), st.just([1])),
    st.tuples(st.just(pyarrow.struct({"a": pyarrow.int8()})), st.just({"a": 1})),
    st.tuples(st.just(pyarrow.dictionary(pyarrow.int8(), pyarrow.string())), st.text(max_size=3)),
)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(st.sampled_from(NAMES), ANY_ARRAY, st.sampled_from([{}, {"time_unit": "s"}, {"time_zone": "Europe/Berlin"}]))
def test_no_type_of_parquet_makes_a_traceback(
    name: str, typed: tuple[pyarrow.DataType, Any], said: dict[str, Any]
) -> None:
    type_, value = typed
    array = pyarrow.array([value], type_)
    with tempfile.TemporaryDirectory() as folder:
        no_traceback(Path(folder), parquet(Path(folder), **{name: array}).read_bytes(), "a.parquet", **said)
