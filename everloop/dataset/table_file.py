"""Opens a file of rows: CSV, plain or gzipped, or Parquet. One reader for history, labels and replays.

Rows are counted from 1, without the header and without blank lines, in every message.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.dataset.exceptions import ColumnsError, FileFormatError, HistoryFileError
from everloop.dataset.file_format import FileFormat
from everloop.dataset.file_sniff import SAMPLE_BYTES, WantedColumns, layout_hint, suggestion
from everloop.numbers_of import number_of
from everloop.shown import MOST_LISTED, listed, shown

if TYPE_CHECKING:
    import pyarrow

MAX_TOLD = 5

_LONGEST_NAME = 200

MOST_UNPACKED = 2 * 1024**3
"""Bytes of a gzipped CSV once it is unpacked; of a Parquet file with more rows than bytes, those of its numbers."""

CSV_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
PARQUET_SUFFIXES = (".parquet",)

_GZIP = b"\x1f\x8b"

_OTHER_KINDS = (
    (b"PAR1", "it is a Parquet file: call it .parquet"),
    (b"PK\x03\x04", "it is a zip file or a workbook: save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "it is an old workbook: save the sheet as CSV"),
    (_GZIP, "it is gzipped: call it .csv.gz"),
)

_OTHER_SUFFIXES = {
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".ods", ".numbers"), "spreadsheet: save the sheet as CSV UTF-8"),
    **dict.fromkeys((".zip", ".bz2", ".xz", ".zst", ".7z", ".rar", ".tar", ".tgz"), "unpack it first"),
    ".gz": "the only compressed files accepted are .csv.gz and .tsv.gz: unpack it first",
    **dict.fromkeys((".pq", ".parq"), "if it is Parquet, call it .parquet"),
    **dict.fromkeys((".json", ".jsonl", ".ndjson"), "pandas: pd.read_json(…).to_csv(…, index=False)"),
    **dict.fromkeys((".txt", ".dat"), "if it is a CSV, call it .csv"),
    ".feather": "pandas: pd.read_feather(…).to_parquet(…)",
}


def read_table(path: Path, file_format: FileFormat, wanted: WantedColumns) -> dict[str, pyarrow.Array]:
    """The wanted columns of ``path``; those of a CSV are all text.

    Raises
    ------
    HistoryFileError
        The file can't be read, its columns are others, or it has no rows. The message says what was found, and what
        to type where another format fits.
    """
    import pyarrow

    name = path.name.lower()
    try:
        if name.endswith(CSV_SUFFIXES):
            table = _read_csv(path, file_format, wanted)
        elif name.endswith(PARQUET_SUFFIXES):
            table = _read_parquet(path, file_format, wanted)
        else:
            ends = f"ends in {path.suffix!r}" if path.suffix else "has no ending"
            how = _OTHER_SUFFIXES.get(path.suffix.lower(), "pandas: .to_parquet, .to_csv(index=False)")
            raise HistoryFileError(
                f"{path}: the name {ends}; give a .csv, a .csv.gz, a .tsv or a .parquet file ({how})"
            )
    except HistoryFileError:
        raise
    except (OSError, EOFError, ValueError, KeyError, csv.Error, zlib.error, pyarrow.ArrowException) as error:
        raise HistoryFileError(f"{path} can't be read: {error}") from error
    if not table.num_rows:
        raise HistoryFileError(
            f"{path} has no rows: {', '.join(table.column_names)} are in the header, and nothing follows"
        )
    return {n: table.column(n).combine_chunks() for n in table.column_names}


def _read_csv(path: Path, file_format: FileFormat, wanted: WantedColumns) -> pyarrow.Table:
    data = path.read_bytes()
    if path.name.lower().endswith(".gz"):
        data = _unpacked(path)
        if data.startswith(_GZIP):
            raise HistoryFileError(f"{path} can't be read as CSV: it is gzipped twice: unpack it once (gunzip)")
    for magic, kind in _OTHER_KINDS:
        if data.startswith(magic):
            raise HistoryFileError(f"{path} can't be read as CSV: {kind}")
    delimiter = file_format.delimiter or ("\t" if ".tsv" in path.name.lower()[-7:] else ",")
    if delimiter == file_format.decimal:
        raise FileFormatError(f"{path}: cells end at {delimiter!r}, so --decimal {delimiter} needs another --delimiter")
    hint = suggestion(data, file_format, delimiter, wanted)
    utf8 = _as_utf8(path, data, file_format.encoding, delimiter, hint)
    names = _header(path, utf8, delimiter)
    _refuse_quotes_within(path, utf8, delimiter)
    layout = layout_hint(utf8[:SAMPLE_BYTES].decode("utf-8", "ignore"), delimiter, wanted.names)
    chosen = _require_columns(path, names, wanted, hint or layout)
    return _parse_csv(path, utf8, delimiter, names, hint).select(chosen)


def _unpacked(path: Path) -> bytes:
    """A file of a few bytes may unpack to any number."""
    with path.open("rb") as raw:
        if not raw.read(2).startswith(_GZIP):
            raise HistoryFileError(f"{path} can't be read: it is not gzipped; call it {path.name[: -len('.gz')]}")
    with gzip.open(path) as file:
        data = file.read(MOST_UNPACKED + 1)
    if len(data) > MOST_UNPACKED:
        raise HistoryFileError(
            f"{path} can't be read: it unpacks to more than {MOST_UNPACKED:,} bytes, the maximum; split it, or give "
            "it as .parquet"
        )
    return data


def _as_utf8(path: Path, data: bytes, encoding: str, delimiter: str, hint: str) -> bytes:
    """The bytes of a text in any encoding, in UTF-8 without a mark at its begin."""
    name = codecs.lookup(encoding).name
    _refuse_utf8_read_otherwise(path, data, encoding)
    try:
        text = data.decode("utf-8-sig" if name == "utf-8" else name)
        return text.encode()
    except UnicodeDecodeError as error:
        row = _row_at(data[: error.start].decode(name, "replace"), delimiter)
        found = f"the byte 0x{data[error.start] if error.start < len(data) else 0:02x} in {row}"
        raise HistoryFileError(f"{path} can't be read: {found} is not {encoding}{hint or _OTHER_ENCODING}") from error


def _refuse_utf8_read_otherwise(path: Path, data: bytes, encoding: str) -> None:
    """UTF-8 read as another encoding is other letters, and nothing fails: no text of another one looks like it."""
    name = codecs.lookup(encoding).name
    wide = name.startswith(("utf-16", "utf-32"))
    if name in ("utf-8", "utf-8-sig") or (data.isascii() and not wide) or b"\0" in data:
        return
    try:
        data.decode()
    except UnicodeDecodeError:
        return
    raise FileFormatError(f"{path}: it is valid utf-8 throughout, not {encoding}: leave --encoding out")


_OTHER_ENCODING = "; give its encoding, e.g. --encoding windows-1252"


def _row_at(before: str, delimiter: str) -> str:
    rows = sum(1 for row in csv.reader(io.StringIO(before, newline=""), delimiter=delimiter) if row)
    return f"row {rows - 1}" if rows > 1 else "the header"


_QUOTES = """write a quote inside a cell twice, "" (pandas: pd.read_csv(…, escapechar="\\\\").to_csv(…))"""


def _refuse_quotes_within(path: Path, utf8: bytes, delimiter: str) -> None:
    """What follows the end of a quoted cell would be taken for a part of it, or for cells of its own."""
    outer = rb'"\r\n' + re.escape(delimiter.encode())
    if not re.search(rb'[^%s]"[^%s]' % (outer, outer), utf8):
        return
    rows = 0
    try:
        for row in csv.reader(
            io.TextIOWrapper(io.BytesIO(utf8), encoding="utf-8", newline=""), delimiter=delimiter, strict=True
        ):
            rows += bool(row)
    except csv.Error as error:
        if "expected after" not in str(error):
            return  # told where the rows are taken apart
        place = f"row {rows}" if rows else "the header"
        raise HistoryFileError(
            f"{path} can't be read: {place} has text after a cell's closing quote; {_QUOTES}"
        ) from error


def _header(path: Path, utf8: bytes, delimiter: str) -> list[str]:
    lines = io.TextIOWrapper(io.BytesIO(utf8), encoding="utf-8", newline="")
    header = next((row for row in csv.reader(lines, delimiter=delimiter) if row), None)
    if header is None:
        raise HistoryFileError(f"{path} can't be read: the file is empty; its first line must name the columns")
    return header


def _parse_csv(path: Path, utf8: bytes, delimiter: str, names: list[str], hint: str) -> pyarrow.Table:
    import pyarrow
    import pyarrow.csv

    places = [f"f{i}" for i in range(len(names))]
    odd: list[tuple[int, int, str]] = []

    def keep_count(row: pyarrow.csv.InvalidRow) -> str:
        odd.append((row.number - 1, row.actual_columns, str(row.text) if len(odd) < MAX_TOLD else ""))
        return "skip"

    if _ends_in_header(utf8, delimiter):
        table = pyarrow.table({place: pyarrow.array([], pyarrow.string()) for place in places})
    else:
        # Places for names: the header is read as a row, so that a name may be there twice or be empty.
        table = pyarrow.csv.read_csv(
            pyarrow.BufferReader(utf8),
            # Without threads, rows have numbers.
            read_options=pyarrow.csv.ReadOptions(use_threads=False, autogenerate_column_names=True),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=keep_count
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(places, pyarrow.string()), strings_can_be_null=False
            ),
        )
    if odd:
        told = "; ".join(_odd_row(*row) for row in odd[:MAX_TOLD])
        more = f"; and {number_of(len(odd) - MAX_TOLD, 'row')} more" if len(odd) > MAX_TOLD else ""
        why = hint or _row_remedy([count for _, count, _ in odd], len(names), delimiter)
        raise HistoryFileError(
            f"{path} can't be read: the header has {number_of(len(names), 'cell')}, but {told}{more}{why}"
        )
    if table.column_names != places:
        raise HistoryFileError(f"{path} can't be read: its first line can't be split at {delimiter!r}{hint}")
    return table.slice(1).rename_columns(names)


def _odd_row(row: int, cells: int, text: str) -> str:
    return f"row {row} has 1 cell, {shown(text.strip())}" if cells == 1 else f"row {row} has {cells} cells"


def _row_remedy(counts: Sequence[int], wanted: int, delimiter: str) -> str:
    quotes = f"; put quotes around a cell that contains {delimiter!r} or a line break, and close every quote"
    if all(count == 1 for count in counts):
        return "; delete remarks and totals below the table; put quotes around a cell that contains a line break"
    if all(count < wanted for count in counts):
        return f"; every row needs {wanted - 1} {delimiter!r}, even if its last cells are empty{quotes}"
    if all(count > wanted for count in counts):
        return f"; delete {delimiter!r} at the end of a row{quotes}"
    return quotes


def _ends_in_header(utf8: bytes, delimiter: str) -> bool:
    """Whether the one line has no end, which Arrow takes for no line."""
    lines = csv.reader(io.TextIOWrapper(io.BytesIO(utf8), encoding="utf-8", newline=""), delimiter=delimiter)
    rows = (row for row in lines if row)
    next(rows, None)
    return next(rows, None) is None


def _read_parquet(path: Path, file_format: FileFormat, wanted: WantedColumns) -> pyarrow.Table:
    import pyarrow.parquet

    file_format.refuse_csv_options(path)
    with path.open("rb") as raw:
        begin = raw.read(4)
    if begin != b"PAR1":
        how = "if it is a CSV, call it .csv" if begin.isascii() and begin.isalnum() else "write it again"
        raise HistoryFileError(f"{path} can't be read: it is not a Parquet file; {how}")
    # Not read_table, which would take a folder's name model=x for a column.
    with pyarrow.parquet.ParquetFile(path) as file:
        index = _index_columns(file.schema_arrow)
        names = [name for name in file.schema_arrow.names if name not in index]
        chosen = _require_columns(path, names, wanted, "")
        _refuse_more_rows_than_bytes(path, file.metadata.num_rows, len(chosen))
        return file.read(columns=chosen).select(chosen)


def _refuse_more_rows_than_bytes(path: Path, rows: int, columns: int) -> None:
    """A value that is repeated takes no room in Parquet: few bytes may be any number of rows, all in memory at once."""
    size = path.stat().st_size
    if rows > size and 8 * rows * columns > MOST_UNPACKED:
        raise HistoryFileError(
            f"{path} can't be read: its {size:,} bytes hold {rows:,} rows, too many to have a key each. Write the "
            "file again, or in parts"
        )


def _index_columns(schema: pyarrow.Schema) -> set[str]:
    """The columns that only number the rows of a pandas frame: its index without a name."""
    return {name for name in schema.names if name.startswith("__index_level_") and b"pandas" in (schema.metadata or {})}


def _require_columns(path: Path, found: Sequence[str], wanted: WantedColumns, hint: str) -> list[str]:
    """The names to read, where the file has the wanted columns and no others."""
    there = Counter(found)
    chosen = [*wanted.names, *(name for name in wanted.one_of if name in there)]
    known = set(chosen)
    missing = [name for name in wanted.names if name not in there]
    extra = [name for name in there if name not in known]
    repeated = sorted(name for name, times in there.items() if times > 1)
    problems = [
        f"{what}: {told}"
        for what, names, told in (
            ("missing", missing, ", ".join(map(repr, missing))),
            ("not declared", extra, listed(extra)),
            ("there twice", repeated, listed(repeated)),
        )
        if names
    ]
    alternatives = " and ".join(map(repr, wanted.one_of))
    if wanted.one_of and len(chosen) != len(wanted.names) + 1:
        problems.append(f"one of {alternatives} is required, and only one")
    if not problems:
        return chosen
    alike = {_plain(name): name for name in missing}
    renamed = [f"{shown(name)} must be called {alike[_plain(name)]!r}" for name in extra if _plain(name) in alike]
    if missing and not extra and not hint:
        renamed = ["add missing columns, with empty cells if there is no value"]
    help_ = hint or (f"; {', '.join(renamed[:MOST_LISTED])}" if renamed else "")
    declared = ", ".join(wanted.names) + (f" and one of {alternatives}" if wanted.one_of else "")
    refusal = HistoryFileError if hint else ColumnsError
    raise refusal(f"{path}: columns {'; '.join(problems)}; {wanted.owner} takes {declared}{help_}")


def _plain(name: str) -> str:
    """What two spellings of a name have in common: letters and digits, without accents and what brackets add."""
    bare = re.sub(r"\([^()]*\)|\[[^][]*\]", "", name[:_LONGEST_NAME])
    letters = unicodedata.normalize("NFKD", bare).casefold()
    return "".join(character for character in letters if character.isalnum()) or name
