"""Files of spreadsheets of several countries, of databases and of other tools: every one is taken, or told apart."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import date, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest

from everloop.dataset.exceptions import FileFormatError, HistoryFileError
from everloop.dataset.file_format import FileFormat
from everloop.dataset.frame_contract import HistoryCheck, check_history
from everloop.dataset.history_file import read_history_file
from everloop.dataset.time_hints import time_hint
from tests.helpers.declarations import binary_document, declare

NAMES = ["order_id", "ordered_at", "returned", "price", "express", "country"]
ROW = dict(zip(NAMES, ["A-1", "2024-03-01 10:00", "0", "12.50", "0", "DE"], strict=True))
AS_OF = pd.Timestamp("2026-11-27", tz="UTC").to_pydatetime()
BASE = pd.DataFrame(
    {
        "order_id": ["A1", "A2", "A3"],
        "ordered_at": pd.to_datetime(["2024-03-01 10:00"] * 3),
        "returned": [0, 1, 0],
        "price": [1.5, 2.5, 3.5],
        "express": [0, 1, 0],
        "country": ["DE", "FR", "DE"],
    }
)


def _declaration() -> Any:
    document = binary_document(data={"key": "order_id", "time": "ordered_at", "target": "returned"})
    kinds = {"price": "number", "express": "number", "country": "category"}
    document["data"]["features"] = [{"name": n, "type": kind, "missing": "allow"} for n, kind in kinds.items()]
    return declare(document)


DECLARATION = _declaration()


def csv_text(*rows: dict[str, str], delimiter: str = ",", end: str = "\n") -> str:
    lines = [NAMES] + [[{**ROW, "order_id": f"A-{n}", **row}[name] for name in NAMES] for n, row in enumerate(rows, 1)]
    return "".join(delimiter.join(line) + end for line in lines)


def check(folder: Path, data: str | bytes, name: str = "orders.csv", **said: Any) -> tuple[HistoryCheck, list[str]]:
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    notes: list[str] = []
    frame = read_history_file(folder / name, DECLARATION, FileFormat(**said), note=notes.append)
    return check_history(frame, DECLARATION, AS_OF), notes


def parquet(folder: Path, frame: pd.DataFrame = BASE, **columns: pyarrow.Array) -> bytes:
    table = pyarrow.Table.from_pandas(frame)
    for name, array in columns.items():
        table = table.set_column(table.column_names.index(name), name, array)
    pyarrow.parquet.write_table(table, folder / "written")
    return (folder / "written").read_bytes()


SEMICOLON = {"delimiter": ";", "decimal": ","}


@pytest.mark.parametrize(
    ("cell", "said", "says"),
    [
        ("1.234,50", SEMICOLON, "without thousands separators"),
        ("1.234", SEMICOLON, "without thousands separators, or, if it is a decimal point, leave --decimal out"),
        ("1\u202f234,50", SEMICOLON, "without thousands separators"),
        ("1\u00a0234,50 €", SEMICOLON, "write the number alone"),
        ("12,5 %", SEMICOLON, "write the number alone"),
        ("12.50", SEMICOLON, "its decimal mark is a point"),
        ("1’234.50", {}, "without thousands separators"),
        ('"1,23,456.00"', {}, "without thousands separators"),
        ('"1,234"', {}, "without thousands separators, or, if it is a decimal comma, add --decimal ,"),
        ('"(1,234.50)"', {}, "write the number alone"),
        ("CHF 12.50", {}, "write the number alone"),
        ("5.00-", {}, "write the minus before the number"),
        ("1/2", {}, "write one number"),
        ("10-20", {}, "write one number"),
        ("=A1*2", {}, "write one number"),
        ("١٢٣", {}, "write it in plain digits: 123"),
        ("0xFF", {}, "write it in decimal digits"),
        ("1_000", {}, "write it in decimal digits"),
        ("WAHR", {}, "write 1 and 0"),
        ("faux", {}, "write 1 and 0"),
        ("да", {}, "write 1 and 0"),
        ("k.A.", {}, "add --missing-word 'k.A.'"),
        ("(null)", {}, "add --missing-word '(null)'"),
        ("#DIV/0!", {}, "write a number, or leave the cell empty"),
    ],
)
def test_a_number_of_another_writing_is_told_with_what_helps_it(
    tmp_path: Path, cell: str, said: dict[str, str], says: str
) -> None:
    price = "1,5" if said else "1.5"
    found, _ = check(
        tmp_path, csv_text({"price": price}, {"price": cell}, delimiter=said.get("delimiter", ",")), **said
    )
    ((row, reason),) = [(r.row, r.reason) for r in found.refused]
    assert row == 2
    assert says in reason


@pytest.mark.parametrize("cell", ["+5", "5.", "05", "5.0", "0.5e1", " 5 ", '"5"', "5E+00"])
def test_a_number_that_is_written_otherwise_is_the_same(tmp_path: Path, cell: str) -> None:
    found, _ = check(tmp_path, csv_text({"price": cell}))
    assert found.accepted["price"].tolist() == [5]


@pytest.mark.parametrize(
    ("cell", "form"),
    [
        ("2024/03/01 10:00", "%Y/%m/%d %H:%M"),
        ("2024.03.01", "%Y.%m.%d"),
        ("2024-3-1", "%Y-%m-%d"),
        ("20240301", "%Y%m%d"),
        ("202403011000", "%Y%m%d%H%M"),
        ("20240301T100000Z", "%Y%m%dT%H%M%SZ"),
        ("01-Mar-2024", "%d-%b-%Y"),
        ("1 March 2024", "%d %B %Y"),
        ("Mar 1, 2024 10:00 AM", "%b %d, %Y %I:%M %p"),
        ("03/13/2024 10:00 PM", "%m/%d/%Y %I:%M %p"),
        ("13.03.24", "%d.%m.%y"),
        ("1.3.2024 9:05", "%d.%m.%Y %H:%M"),
        ("01.03.2024 10:00:00.000", "%d.%m.%Y %H:%M:%S.%f"),
        ("13/03/2024 10.00", "%d/%m/%Y %H.%M"),
        ("10:00 01.03.2024", "%H:%M %d.%m.%Y"),
        ("Fri, 01 Mar 2024 10:00:00 GMT", "%a, %d %b %Y %H:%M:%S GMT"),
        ("Fri Mar 01 10:00:00 2024", "%a %b %d %H:%M:%S %Y"),
        ("2024年3月1日", "%Y年%m月%d日"),
    ],
)
def test_the_form_of_a_time_is_told_and_reads_it(tmp_path: Path, cell: str, form: str) -> None:
    data = csv_text({"ordered_at": f'"{cell}"'})
    found, _ = check(tmp_path, data)
    assert f"add --time-format '{form}'" in found.refused[0].reason
    found, _ = check(tmp_path, data, time_format=form)
    assert found.violations == ()
    assert found.accepted["ordered_at"].dt.strftime("%Y-%m").tolist() == ["2024-03"]


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("2024-03-01 24:00", "there is no such day or hour"),
        ("0000-00-00 00:00:00", "there is no such day or hour"),
        ("2013-13-01", "there is no such day or hour"),
        ("31.02.2024", "write it as 2024-03-01T05:00:00Z"),
        ("01. März 2024", "format the column as yyyy-mm-dd hh:mm"),
        ("########", "format the column as yyyy-mm-dd hh:mm"),
        ("45352,41667", "a spreadsheet date"),
        ("1709287200", "add --time-unit s"),
        ("12:30", "write it as 2024-03-01T05:00:00Z"),
    ],
)
def test_what_is_no_time_is_told_with_what_helps_it(tmp_path: Path, cell: str, says: str) -> None:
    found, _ = check(tmp_path, csv_text({"ordered_at": f'"{cell}"'}))
    assert says in found.refused[0].reason


def test_iso_has_a_decimal_comma_too(tmp_path: Path) -> None:
    found, _ = check(tmp_path, csv_text({"ordered_at": '"2024-03-01 10:00:00,123"'}))
    assert found.accepted["ordered_at"].tolist() == [pd.Timestamp("2024-03-01 10:00:00.123")]


def test_cells_of_several_forms_are_told_each_with_its_own(tmp_path: Path) -> None:
    days = ["13/01/2024", "01/13/2024", "2024-01-13", "soon"]
    found, _ = check(tmp_path, csv_text(*({"ordered_at": day} for day in days)))
    assert [(r.row, r.reason.partition("; ")[2][:30]) for r in found.refused] == [
        (1, "add --time-format '%d/%m/%Y'"),
        (2, "add --time-format '%m/%d/%Y'"),
        (4, "write it as 2024-03-01T05:00:0"),
    ]
    assert "most of them: " in found.violations[0].sentence
    found, _ = check(tmp_path, csv_text(*({"ordered_at": day} for day in days)), time_format="%d/%m/%Y")
    assert {r.reason.partition("; ")[2][:32] for r in found.refused} == {"every cell must have that format"}


def test_an_hour_that_a_zone_has_twice_is_told_apart_from_what_is_no_time(tmp_path: Path) -> None:
    form = {"time_format": "%d.%m.%Y %H:%M", "time_zone": "Europe/Paris"}
    for cells, said in [
        (["25.10.2026 02:30", "2026-10-25", "25.10.2026 04:30"], form),
        (["2026-10-25 02:30", "25.10.2026 04:30", "2026-10-25 04:30"], {"time_zone": "Europe/Paris"}),
    ]:
        found, _ = check(tmp_path, csv_text(*({"ordered_at": cell} for cell in cells)), **said)
        assert [(r.row, "twice or never" in r.reason) for r in found.refused] == [(1, True), (2, False)]
        assert found.accepted["ordered_at"].tolist() == [pd.Timestamp("2026-10-25 03:30")]


@pytest.mark.parametrize(
    ("cell", "unit", "says"),
    [
        ("1709287200", "ms", "all of its times are in 1970"),
        ("45352", "s", "all of its times are in 1970"),
        ("20240301", "s", "all of its times are in 1970"),
    ],
)
def test_a_count_of_another_unit_is_no_time_of_1970(tmp_path: Path, cell: str, unit: str, says: str) -> None:
    with pytest.raises(HistoryFileError, match=says):
        check(tmp_path, csv_text({"ordered_at": cell}), time_unit=unit)


def test_a_count_too_large_for_its_unit_is_told_with_the_unit_that_fits(tmp_path: Path) -> None:
    found, _ = check(tmp_path, csv_text({"ordered_at": "1709287200000"}), time_unit="s")
    assert "it has 13 digits, as a count of ms has: --time-unit ms" in found.refused[0].reason


@pytest.mark.parametrize("form", ["%H:%M", "%d.%m.", "%d.%m. %H:%M"])
def test_a_form_without_a_year_makes_no_times_of_1900(form: str) -> None:
    with pytest.raises(FileFormatError, match="has no year"):
        FileFormat(time_format=form)


GOOD = csv_text({}, {"country": "FR"})
HEADER = ",".join(NAMES)


@pytest.mark.parametrize(
    ("data", "name", "says"),
    [
        (GOOD.replace("\n", ",\n"), "a.csv", "its last column has no name: delete it"),
        (GOOD.replace(",price", ",,price").replace(",0,12", ",0,,12"), "a.csv", "its column 4 has no name"),
        (GOOD.replace(HEADER, ", ".join(NAMES)), "a.csv", "its names are separated by ', '"),
        (GOOD.replace(HEADER, HEADER.title()), "a.csv", "'Order_Id' must be called 'order_id'"),
        (GOOD.replace("order_id", "OrderID"), "a.csv", "'OrderID' must be called 'order_id'"),
        (GOOD.replace("price", "Price (EUR)"), "a.csv", "'Price (EUR)' must be called 'price'"),
        (GOOD.replace("price", "price\u00a0"), "a.csv", "'price\\xa0' must be called 'price'"),
        ("#" + GOOD, "a.csv", "'#order_id' must be called 'order_id'"),
        ("\ufeff\ufeff" + GOOD, "a.csv", "must be called 'order_id'"),
        (GOOD.replace(",", ', "').replace("\n", '"\n'), "a.csv", "skipinitialspace"),
        (GOOD.replace(",", "','").replace("\n", "'\n'"), "a.csv", "'order_id"),
        ("'" + GOOD.replace(",", "','").replace("\n", "'\n'")[:-1], "a.csv", 'quote cells with ", not with'),
        (GOOD + "# end of part 1\n", "a.csv", "row 3 has 1 cell, '# end of part 1'; delete remarks"),
        (GOOD + "\n(2 rows affected)\n", "a.csv", "'(2 rows affected)'; delete remarks"),
        (GOOD + "\x1a", "a.csv", "'\\x1a'; delete remarks"),
        (GOOD.replace("\n", ",\n").replace(HEADER + ",", HEADER), "a.csv", "delete ',' at the end of a row"),
        (GOOD.replace(",", "^"), "a.csv", "add --delimiter '^'"),
        (GOOD.replace(",", ":"), "a.csv", "add --delimiter ':'"),
        (GOOD.replace(",", "\x1f"), "a.csv", "add --delimiter $'\\x1f'"),
        (GOOD.replace(",", " | "), "a.csv", "its names are separated by ' | '"),
        (GOOD.replace(",", "  "), "a.csv", "its names are separated by '  '"),
        (csv_text({"country": '"a \\"b\\" c"'}), "a.csv", "row 1 has text after a cell's closing quote"),
        (csv_text({}, {"country": '"a "b" c"'}), "a.csv", "row 2 has text after a cell's closing quote"),
        (csv_text({"country": "Россия"}).encode("cp1251"), "a.csv", "it then reads 'Ðîññèÿ'; windows-1250"),
        (csv_text({"country": "Österreich"}).encode("cp1252"), "a.csv", "it then reads 'Österreich'"),
        (GOOD.encode("utf-16-le"), "a.csv", "add --encoding utf-16-le"),
        (GOOD.encode("utf-32"), "a.csv", "add --encoding utf-32"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a.csv", "git lfs pull"),
        (
            GOOD.replace(",country", "").replace(",DE", "").replace(",FR", ""),
            "a.csv",
            "add missing columns",
        ),
        (GOOD, "a.csv.zst", "unpack it first"),
        (GOOD, "a.tar.gz", "unpack it first"),
        (GOOD, "a.pq", "call it .parquet"),
        (GOOD, "a.numbers", "save the sheet as CSV"),
    ],
)
def test_a_table_of_another_making_is_told_apart(tmp_path: Path, data: str | bytes, name: str, says: str) -> None:
    with pytest.raises(HistoryFileError) as refused:
        check(tmp_path, data, name)
    assert says in str(refused.value)


def test_a_header_of_unknown_names_is_taken_apart_by_what_fits_the_rows(tmp_path: Path) -> None:
    french = "N° commande;Date;Retournée;Prix;Exprès;Pays\n" + "A-1;13/03/2024 10:00;0;1 234,50;0;FR\n" * 2
    with pytest.raises(HistoryFileError) as refused:
        check(tmp_path, french.encode("cp1252"))
    assert "--encoding windows-1252 --delimiter ';'" in str(refused.value)
    with pytest.raises(HistoryFileError, match="not declared: 'N° commande', 'Date', 'Retournée'"):
        check(tmp_path, french.encode("cp1252"), encoding="windows-1252", delimiter=";")


def test_a_delimiter_that_is_said_is_not_proposed_again(tmp_path: Path) -> None:
    with pytest.raises(HistoryFileError) as refused:
        check(tmp_path, GOOD.replace("country", "Land").replace(",", ";"), delimiter=";")
    assert "--delimiter" not in str(refused.value)


@pytest.mark.parametrize("encoding", ["windows-1252", "latin-1", "cp850", "utf-16", "shift_jis"])
def test_utf_8_is_not_read_as_other_letters(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(HistoryFileError, match=f"not {encoding}"):
        check(tmp_path, csv_text({"country": "Österreich, das Land".replace(",", "")}), encoding=encoding)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (GOOD, {"encoding": "windows-1252"}),
        (GOOD, {"encoding": "UTF8"}),
        (GOOD.replace("\n", "\r\r\n"), {}),
        (GOOD.replace("\n", "\r\n", 1), {}),
        ("\n\n" + GOOD, {}),
        ("\ufeff" + GOOD.replace(HEADER, ",".join(f'"{name}"' for name in NAMES)), {}),
        (GOOD.replace(",", "~"), {"delimiter": "~"}),
        (GOOD.encode("utf-16-be"), {"encoding": "utf-16-be"}),
        (csv_text({}, {"country": '"F""R"'}).replace('"F""R"', "FR"), {}),
    ],
)
def test_what_is_well_said_is_read(tmp_path: Path, data: str | bytes, said: dict[str, str]) -> None:
    found, _ = check(tmp_path, data, **said)
    assert found.violations == ()
    assert found.accepted["country"].tolist() == ["DE", "FR"]


def test_two_packed_parts_are_one_file(tmp_path: Path) -> None:
    packed = gzip.compress(GOOD.encode()) + gzip.compress(b"B-9,2024-03-01 10:00,0,1,0,IT\n")
    found, _ = check(tmp_path, packed, "orders.csv.gz")
    assert found.accepted["country"].tolist() == ["DE", "FR", "IT"]


def test_the_empty_rows_below_a_table_are_told_as_such(tmp_path: Path) -> None:
    found, _ = check(tmp_path, GOOD + ",,,,,\n" * 3 + "Total,,,25.00,,\n")
    assert [(v.code, v.count) for v in found.violations] == [("empty_row", 3), ("missing_not_allowed", 1)][::-1]
    assert found.refused[0].reason.startswith("the row is empty in every cell: delete the row")
    assert (found.refused[-1].row, found.refused[-1].key) == (6, "Total")


@pytest.mark.parametrize(
    ("rows", "said", "says"),
    [
        (
            [{"country": " DE"}, {"country": "DE"}],
            {},
            "country: ' DE', read in 1 row, has white space at its start or end",
        ),
        ([{"country": "1.0"}, {"country": "2.0"}], {}, "'1.0', read in 2 rows, is a whole number written as a fl"),
        ([{"country": "\ufffdsterreich"}], {}, "has lost a letter"),
        ([{"country": '"=""00123"""'}], {}, "is a spreadsheet formula"),
        (
            [{"price": "1.234"}, {"price": "12.500"}, {"price": "7"}],
            {"delimiter": ";"},
            "price: '.' is read as the dec",
        ),
        ([{"price": "1,234"}, {"price": "12,500"}], SEMICOLON, "price: ',' is read as the decimal mark"),
    ],
)
def test_what_may_be_meant_otherwise_is_taken_and_told(
    tmp_path: Path, rows: list[dict[str, str]], said: dict[str, str], says: str
) -> None:
    found, notes = check(tmp_path, csv_text(*rows, delimiter=said.get("delimiter", ",")), **said)
    assert len(found.accepted) == len(rows)
    assert [says in note for note in notes].count(True) == 1


def test_plain_numbers_and_categories_need_no_word(tmp_path: Path) -> None:
    rows = [{"price": "1.234", "ordered_at": "2024-03-01T10:00Z"}, {"price": "2.5", "ordered_at": "2024-03-01T10:00Z"}]
    assert check(tmp_path, csv_text(*rows, delimiter=";"), delimiter=";")[1] == []
    assert check(tmp_path, csv_text(*rows[:1]))[1] == []


@pytest.mark.parametrize(
    ("column", "array", "says"),
    [
        ("ordered_at", pyarrow.array([time(10)] * 3), "it has no date"),
        ("ordered_at", pyarrow.array([timedelta(hours=1)] * 3), "it has no date"),
        ("ordered_at", pyarrow.array([45352.4] * 3), "origin='1899-12-30'"),
        ("ordered_at", pyarrow.array([45352] * 3), "origin='1899-12-30'"),
        ("ordered_at", pyarrow.array([20240301] * 3), "format='%Y%m%d'"),
        ("ordered_at", pyarrow.array([2024] * 3), "pd.to_datetime"),
        ("ordered_at", pyarrow.array([1709287200] * 3), "add --time-unit s"),
        ("price", pyarrow.array([timedelta(hours=1)] * 3), ".dt.total_seconds()"),
        ("price", pyarrow.array([date(2024, 3, 1)] * 3), "e.g. the hour"),
        ("price", pyarrow.array([b"1"] * 3), ".str.decode('utf-8')"),
        ("country", pyarrow.array([b"DE"] * 3), ".str.decode('utf-8')"),
        ("country", pyarrow.array([1.0, 2.0, 3.0]), ".astype('Int64').astype('string')"),
        ("country", pyarrow.array([1, 2, 1]).dictionary_encode(), ".astype('string')"),
        ("order_id", pyarrow.array([b"0123456789abcdef"] * 3, pyarrow.binary(16)), ".str.decode('utf-8')"),
        ("order_id", pyarrow.array([True, False, True]), "true or false"),
        ("order_id", pyarrow.array([date(2024, 1, 1)] * 3), "a date"),
        ("order_id", pyarrow.array([1e8] * 3, pyarrow.float32()), "several whole numbers"),
        ("order_id", pyarrow.array([float("nan")] * 3), "missing, and required"),
    ],
)
def test_a_column_of_parquet_of_another_type_is_told_with_what_helps_it(
    tmp_path: Path, column: str, array: pyarrow.Array, says: str
) -> None:
    found, _ = check(tmp_path, parquet(tmp_path, **{column: array}), "orders.parquet")
    assert len(found.refused) == 3
    assert says in found.refused[0].reason


def test_seconds_are_not_lost_in_floats_of_32_bits(tmp_path: Path) -> None:
    data = parquet(tmp_path, ordered_at=pyarrow.array([1709287200.0] * 3, pyarrow.float32()))
    with pytest.raises(HistoryFileError, match="too imprecise for"):
        check(tmp_path, data, "orders.parquet", time_unit="s")


@pytest.mark.parametrize(
    "array",
    [
        pyarrow.array([{"amount": 1.0}] * 3),
        pyarrow.array([[("a", "b")]] * 3, pyarrow.map_(pyarrow.string(), pyarrow.string())),
        pyarrow.array([[1]] * 3, pyarrow.list_(pyarrow.int8(), 1)),
    ],
)
def test_cells_of_several_values_are_refused_by_their_column(tmp_path: Path, array: pyarrow.Array) -> None:
    with pytest.raises(HistoryFileError, match="'price' can't be read: its cells are"):
        check(tmp_path, parquet(tmp_path, price=array), "orders.parquet")


FRAMES: list[tuple[Callable[[pd.DataFrame], pd.DataFrame], list[Any]]] = [
    (lambda f: f.set_index("order_id"), ["DE", "FR", "DE"]),
    (lambda f: f.set_index(["order_id", "country"]), ["DE", "FR", "DE"]),
    (lambda f: f.set_index([np.array([1, 2, 3]), np.array([4, 5, 6])]), ["DE", "FR", "DE"]),
    (lambda f: f.assign(country=pd.Categorical(["a", None, "a"], categories=["a", "b"])), ["a", None, "a"]),
    (lambda f: f.assign(country=f["country"].astype("string[pyarrow]")), ["DE", "FR", "DE"]),
    (lambda f: f.assign(express=pd.array([True, None, False], "boolean")), ["DE", "FR", "DE"]),
    (lambda f: f.assign(ordered_at=f["ordered_at"].dt.tz_localize("America/New_York")), ["DE", "FR", "DE"]),
]


@pytest.mark.parametrize("place", range(len(FRAMES)))
def test_frames_of_pandas_are_read(tmp_path: Path, place: int) -> None:
    change, countries = FRAMES[place]
    found, _ = check(tmp_path, parquet(tmp_path, change(BASE.copy())), "orders.parquet")
    assert found.violations == ()
    assert found.accepted["country"].tolist() == countries


@pytest.mark.parametrize("cell", [np.inf, -np.inf, 1e30, -1e30])
def test_a_count_that_no_calendar_has_is_told(cell: float) -> None:
    assert time_hint(float(cell)) == ", or is outside the years 1 to 9999"
