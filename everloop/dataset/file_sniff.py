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
from itertools import pairwise

from everloop.dataset.file_format import MISSING_WORDS, TRUTHS, FileFormat
from everloop.dataset.time_forms import time_format

SAMPLE_BYTES = 64 * 1024
SAMPLE_ROWS = 2000
DELIMITERS = (",", ";", "\t", "|")
LONGEST_HEADER, MOST_BETWEEN = 10_000, 5

_COMMA_NUMBER = re.compile(r"[+-]?[\d. \u00a0\u202f']*\d,\d+")
_ANY_NUMBER = re.compile(r"[+-]?(\d+|\d{1,3}([. \u00a0\u202f']\d{3})+)(,\d+)?")
_FOREIGN_WORD = re.compile(r"\w*[^\x00-\x7f]+\w*")


@dataclass(frozen=True)
class WantedColumns:
    """The columns that a file must have.

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
        Of these, it must have exactly one beside ``names``.
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
        found.append(f"it may be {encoding}{_reads(data, encoding)}")
    text = data[:SAMPLE_BYTES].decode(encoding or file_format.encoding, "replace").removeprefix("\ufeff")
    fitting = _delimiter(text, delimiter, [*wanted.names, *wanted.one_of], len(wanted.names) + bool(wanted.one_of))
    if fitting != delimiter:
        flags.append(f"--delimiter {_typed(fitting)}")
        found.append(f"its header is separated by {fitting!r}")
    columns = _columns(text, fitting)
    if file_format.decimal == "." and (comma := _decimal_comma(columns, wanted.numbers)):
        flags.append("--decimal ,")
        found.append(comma)
    if wanted.time is not None and file_format.time_format is None and file_format.time_unit is None:
        form, example = time_format(columns.get(wanted.time, []))
        if form:
            flags.append(f"--time-format {form}")
            found.append(f"{wanted.time} is {example!r}")
    return f"; {', '.join(found)}. If this is right, add {' '.join(flags)}" if flags else ""


def layout_hint(text: str, delimiter: str, names: Sequence[str]) -> str:
    """What to do about a first line that is no header, or about columns without a name; empty where nothing is found.

    Begins with a semicolon.
    """
    start = text.lstrip()[:20].lower()
    if start.startswith(("{", "[")):
        return "; it is JSON: write it as CSV (pandas: pd.read_json(…).to_csv(…, index=False))"
    if start.startswith(("<!doctype", "<html", "<table", "<?xml")):
        return "; it is a web page or XML, not a CSV: save the data itself, not the page that shows it"
    if start.startswith("sep="):
        mark = start[4:5]
        return f"; delete its first line, {'sep=' + mark!r}, and add --delimiter {_typed(mark)}"
    if start.startswith("version https://git"):
        return "; it is a Git LFS pointer, not the file: `git lfs pull` downloads the file"
    rows = _rows(text, delimiter, 20)
    for number, row in enumerate(rows[1:], 2):
        if set(names) <= {cell.strip() for cell in row}:
            return f"; the header is its line {number} (blank lines not counted): delete the lines before it"
    header = rows[0] if rows else []
    apart = len(set(names) & set(header)) > 1
    between = "" if apart else _between(text.lstrip().partition("\n")[0], delimiter, names)
    return _unnamed(header) or _quoting(header) or between


def _unnamed(header: Sequence[str]) -> str:
    rest = list(header)
    while rest and not rest[-1].strip():
        rest.pop()
    more = len(header) - len(rest)
    if more and rest:
        what = "last column has no name: delete it" if more == 1 else f"last {more} columns have no name: delete them"
        return f"; its {what} (spreadsheet: the empty columns next to the table)"
    if header and header[0].strip() in ("", "Unnamed: 0"):
        return (
            "; its first column only numbers the rows: leave it out (pandas: .to_csv(…, index=False), R: "
            "row.names=FALSE)"
        )
    empty = next((place for place, cell in enumerate(header, 1) if not cell.strip()), None)
    return f"; its column {empty} has no name: name it, or delete it" if empty else ""


def _quoting(header: Sequence[str]) -> str:
    if any(cell[:1] == " " and cell.lstrip()[:1] == '"' for cell in header):
        return "; delete the space before each quote (pandas: pd.read_csv(…, skipinitialspace=True).to_csv(…))"
    if header and all(len(cell) > 2 and cell[0] == cell[-1] == "'" for cell in header):
        return '; quote cells with ", not with \' (pandas: pd.read_csv(…, quotechar="\'").to_csv(…))'
    return ""


def _between(line: str, delimiter: str, names: Sequence[str]) -> str:
    """What stands between two of the names, where it is not a delimiter that is looked for."""
    line = line[:LONGEST_HEADER]
    places = sorted((line.find(name), name) for name in names if name in line)
    for (begin, name), (end, _) in pairwise(places):
        mark = line[begin + len(name) : end]
        if (
            mark != delimiter
            and 0 < len(mark) <= MOST_BETWEEN
            and not any(character.isalnum() or character == "_" for character in mark)
        ):
            if len(mark) == 1 and mark.isascii() and mark not in "\"'":
                return f"; its names are separated by {mark!r}: add --delimiter {_typed(mark)}"
            return f"; its names are separated by {mark!r}: use one character instead, such as ;"
    return ""


def _encoding(data: bytes) -> str | None:
    """Another encoding than UTF-8 that the bytes may be in, for sure not UTF-8."""
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in data[:SAMPLE_BYTES]:
        return "utf-16-le" if data[1:2] == b"\0" else "utf-16-be" if data[:1] == b"\0" else None
    try:
        data.decode()
    except UnicodeDecodeError:
        return "windows-1252"
    return None


def _reads(data: bytes, encoding: str) -> str:
    """A word as the encoding would read it: by it a person sees whether it is the right one of those that fit."""
    if encoding != "windows-1252":
        return ""
    begin = next((place for place, byte in enumerate(data) if byte > 0x7F), 0)
    around = data[max(0, begin - 40) : begin + 40].decode(encoding, "replace")
    word = _FOREIGN_WORD.search(around)
    return f" (it then reads {word[0]!r}; windows-1250, windows-1251, shift_jis, gb18030 are others)" if word else ""


def _delimiter(text: str, said: str, names: Sequence[str], cells: int) -> str:
    """The one at which the header falls into declared names, or, where none is known, all rows into as many cells."""
    matched = {d: len(set(names) & set(_header(text, d))) for d in DELIMITERS}
    best = max(DELIMITERS, key=lambda d: matched[d])
    if matched[best]:
        enough = matched[best] > len(set(names) & set(_header(text, said))) and matched[best] >= min(2, len(names))
        return best if enough else said
    padded = [d for d in DELIMITERS if set(names) & {cell.strip() for cell in _header(text, d)}]
    even = [d for d in DELIMITERS if d not in padded and {len(row) for row in _rows(text, d, 10)} == {cells}]
    return even[0] if even and cells > 1 and said not in even else said


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


def _typed(delimiter: str) -> str:
    if delimiter == "\t":
        return "tab"
    return f"'{delimiter}'" if delimiter.isprintable() else f"$'\\x{ord(delimiter):02x}'"
