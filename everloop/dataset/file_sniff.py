"""Looks at the first lines of a CSV that does not fit what was said about it, and says what would.

Nothing is read by what is found here: a person types it, or not.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from everloop.dataset.file_format import MISSING_WORDS, TRUTHS, FileFormat

SAMPLE_BYTES = 64 * 1024
SAMPLE_ROWS = 50
DELIMITERS = (",", ";", "\t", "|")

_COMMA_NUMBER = re.compile(r"[+-]?\d+,\d+")
_ANY_NUMBER = re.compile(r"[+-]?\d+(,\d+)?")
_DATE = re.compile(
    r"(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})(?:( |T|, )\d{1,2}:\d{2}(:\d{2})?( ?)([AaPp][Mm])?)?", re.ASCII
)


@dataclass(frozen=True)
class WantedColumns:
    """The columns that a file has to have.

    Attributes
    ----------
    owner : str
        Who declares them, for messages.
    names : list of str
        All of them.
    numbers : tuple of str
        Those that are numbers.
    time : str or None
        The one that is a time.
    one_of : tuple of str
        Of these, it has to have exactly one beside ``names``.
    """

    owner: str
    names: list[str]
    numbers: tuple[str, ...] = ()
    time: str | None = None
    one_of: tuple[str, ...] = ()


def suggestion(data: bytes, file_format: FileFormat, delimiter: str, wanted: WantedColumns) -> str:
    """What to type where the file is written in another way than ``file_format`` says; empty where nothing is found.

    Begins with a semicolon, to end a sentence that says what is wrong.
    """
    flags, found = [], []
    encoding = _encoding(data)
    if encoding is not None and codecs.lookup(file_format.encoding).name in ("utf-8", "utf-8-sig"):
        flags.append(f"--encoding {encoding}")
        found.append(f"it may be {encoding}")
    text = data[:SAMPLE_BYTES].decode(encoding or file_format.encoding, "replace").removeprefix("\ufeff")
    fitting = _delimiter(text, delimiter, [*wanted.names, *wanted.one_of])
    if fitting != delimiter:
        flags.append(f"--delimiter {_typed(fitting)}")
        found.append(f"its header is taken apart by {fitting!r}")
    columns = _columns(text, fitting)
    if file_format.decimal == "." and (comma := _decimal_comma(columns, wanted.numbers)):
        flags.append("--decimal ,")
        found.append(comma)
    if wanted.time is not None and file_format.time_format is None and file_format.time_unit is None:
        form, example = time_format(columns.get(wanted.time, []))
        if form:
            flags.append(f"--time-format {form}")
            found.append(f"{wanted.time} is {example!r}")
    return f"; {', '.join(found)}: if so, add {' '.join(flags)}" if flags else ""


def layout_hint(text: str, delimiter: str, names: Sequence[str]) -> str:
    """What to do about a first line that is no header, or about columns without a name; empty where nothing is found.

    Begins with a semicolon.
    """
    start = text.lstrip()[:20].lower()
    if start.startswith(("{", "[")):
        return "; it is JSON: write it as CSV (pandas: pd.read_json(…).to_csv(…, index=False))"
    if start.startswith(("<!doctype", "<html", "<table", "<?xml")):
        return "; it is a page or XML, and no CSV: save the data itself, not the page that shows it"
    if start.startswith("sep="):
        mark = start[4:5]
        return f"; delete its first line, {'sep=' + mark!r}, and add --delimiter {_typed(mark)}"
    rows = _rows(text, delimiter, 20)
    for number, row in enumerate(rows[1:], 2):
        if set(names) <= {cell.strip() for cell in row}:
            return f"; the header is its line {number} (blank lines left out): delete what stands before it"
    header = rows[0] if rows else []
    rest = list(header)
    while rest and not rest[-1].strip():
        rest.pop()
    if len(rest) < len(header) and rest:
        more = len(header) - len(rest)
        return f"; its last {more} columns have no name: delete them (spreadsheet: the empty columns beside the table)"
    if header and header[0].strip() in ("", "Unnamed: 0"):
        return "; its first column numbers the rows: leave it out (pandas: .to_csv(…, index=False), R: row.names=FALSE)"
    return ""


def _encoding(data: bytes) -> str | None:
    """Another encoding than UTF-8 that the bytes may be in, for sure not UTF-8."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in data[:SAMPLE_BYTES]:
        return "utf-16-le" if data[1:2] == b"\0" else "utf-16-be" if data[:1] == b"\0" else None
    try:
        data.decode()
    except UnicodeDecodeError:
        return "windows-1252"
    return None


def _delimiter(text: str, said: str, names: Sequence[str]) -> str:
    header = _header(text, said)
    best = max(DELIMITERS, key=lambda d: len(set(names) & set(_header(text, d))))
    matched = len(set(names) & set(_header(text, best)))
    return best if matched > len(set(names) & set(header)) and matched >= min(2, len(names)) else said


def _header(text: str, delimiter: str) -> list[str]:
    return next(iter(_rows(text, delimiter, 1)), [])


def _columns(text: str, delimiter: str) -> dict[str, list[str]]:
    rows = _rows(text, delimiter, 1 + SAMPLE_ROWS)
    if not rows:
        return {}
    header, body = rows[0], [row for row in rows[1:] if len(row) == len(rows[0])]
    return {name: [row[i].strip() for row in body] for i, name in enumerate(header)}


def _rows(text: str, delimiter: str, count: int) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if row:
                rows.append(row)
            if len(rows) == count:
                break
    except csv.Error:
        pass
    return rows


def _decimal_comma(columns: dict[str, list[str]], numbers: Sequence[str]) -> str:
    for name in numbers:
        cells = [c for c in columns.get(name, []) if c not in MISSING_WORDS and c not in TRUTHS]
        example = next((c for c in cells if _COMMA_NUMBER.fullmatch(c)), None)
        if example and all(_ANY_NUMBER.fullmatch(c) for c in cells):
            return f"{name} is {example!r}"
    return ""


def time_format(cells: Sequence[str]) -> tuple[str, str]:
    """The form of day, month and year that every cell has, and one of them; empty where they have none.

    Where nothing tells day and month apart, it is both forms.
    """
    dates = [(c, _DATE.fullmatch(c)) for c in cells if c not in MISSING_WORDS]
    matches = [match for _, match in dates if match]
    if not matches or len(matches) < len(dates):
        return "", ""
    _, mark, _, year, between, seconds, gap, half = matches[0].groups()
    hour, half = ("%I", f"{gap}%p") if half else ("%H", "")
    clock = f"{between}{hour}:%M{':%S' if seconds else ''}{half}" if between else ""
    year = "%Y" if len(year) == 4 else "%y"
    month_first = any(int(m.group(3)) > 12 for m in matches)
    day_first = mark == "." or any(int(m.group(1)) > 12 for m in matches)
    forms = [f"'%d{mark}%m{mark}{year}{clock}'"] * (not month_first) + [f"'%m{mark}%d{mark}{year}{clock}'"] * (
        not day_first
    )
    return " or ".join(forms), dates[0][0]


def _typed(delimiter: str) -> str:
    return "tab" if delimiter == "\t" else f"'{delimiter}'"
