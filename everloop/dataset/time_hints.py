"""What a person can do about a cell that should be a time."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import Any

from everloop.dataset.time_forms import time_format
from everloop.shown import on_one_line, shown

_DIGITS = re.compile(r"[0-9]{9,19}")
_SERIAL_DAY = re.compile(r"[1-9][0-9]{4}([.,][0-9]+)?")
_SERIAL_DAYS = range(20_000, 80_000)
"""1954 to 2119, as spreadsheets count days."""

_ZONE_NAME = re.compile(r".*\d ?(?!AM|PM)([A-Z]{3,5})", re.IGNORECASE)
_IN_ZONE = re.compile(r" in [A-Za-z]+[A-Za-z0-9_+/-]*$")
_BY_FORMAT = re.compile(r" by --time-format (.*)", re.DOTALL)
_BY_UNIT = re.compile(r"(.*) by --time-unit (s|ms|us|ns)", re.DOTALL)
_ISO_LIKE = re.compile(
    r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?)? ?(Z|UTC|GMT|[+-]\d{2}:?\d{2})?", re.ASCII
)
_EPOCH_DIGITS = {10: "s", 13: "ms", 16: "us", 19: "ns"}
_LONGEST_READ = 200
_ISO = "write it as 2024-03-01T05:00:00Z"
_TO_ISO = "(spreadsheet: format the column as yyyy-mm-dd hh:mm and save it again)"


def time_hint(cell: Any) -> str:
    """How to make a time of ``cell``, as the end of a sentence."""
    if isinstance(cell, timedelta) or (isinstance(cell, time) and not isinstance(cell, datetime)):
        return "; it has no date: add the date (pandas: pd.to_datetime(day) + pd.to_timedelta(clock))"
    if isinstance(cell, bytes):
        return "; pandas: .str.decode('utf-8')"
    if isinstance(cell, date) or not isinstance(cell, str | int | float):
        return ", or is outside the years 1 to 9999"
    return _text_hint(cell) if isinstance(cell, str) else _count_hint(cell)


def _count_hint(cell: int | float) -> str:
    if not abs(cell) < 1e20:
        return ", or is outside the years 1 to 9999"
    if int(cell) in _SERIAL_DAYS:
        return "; if it is a spreadsheet date: pd.to_datetime(…, unit='D', origin='1899-12-30')"
    form, _ = time_format([str(cell)])
    if form:
        return f"; if its digits are a date: pd.to_datetime(….astype(str), format={form})"
    if len(str(int(cell))) < 9:
        return f"; {_ISO}, or as a timestamp (pandas: pd.to_datetime)"
    return _unit_hint(str(int(cell)))


def _unit_hint(digits: str) -> str:
    return f"; if it counts from 1970, add --time-unit {_EPOCH_DIGITS.get(len(digits), 's')} (or s, ms, us, ns)"


def _text_hint(cell: str) -> str:
    cell = cell if len(cell) <= _LONGEST_READ else f"{cell[: _LONGEST_READ // 2]}{cell[-_LONGEST_READ // 2 :]}"
    if " x " in cell:
        return ": it is outside the years 1 to 9999"
    if _IN_ZONE.search(cell):
        return (
            "; if clocks change at this time, so that it occurs twice or never, write it with its offset from UTC "
            "(ISO 8601), or leave the row out: --skip-refused"
        )
    by_format, by_unit = _BY_FORMAT.search(cell), _BY_UNIT.fullmatch(cell)
    if by_format:
        return f"; every cell must have that format: convert the column {_TO_ISO}"
    if by_unit:
        return _wrong_unit(by_unit[1], by_unit[2])
    text = cell.strip()
    if _SERIAL_DAY.fullmatch(text):
        return "; if it is a spreadsheet date, format the column there as yyyy-mm-dd hh:mm and save it again"
    form, _ = time_format([text])
    if form:
        return f"; add --time-format {form}"
    if _DIGITS.fullmatch(text):
        return _unit_hint(text)
    if _ISO_LIKE.fullmatch(text):
        return "; there is no such day or hour: hours are 00:00 to 23:59"
    zone = _ZONE_NAME.fullmatch(text)
    if zone and any(character.isdigit() for character in cell):
        return f"; write {on_one_line(zone[1])} as an offset such as +01:00, or remove it and add --time-zone"
    return f"; {_ISO} {_TO_ISO}, or give its format with --time-format"


def _wrong_unit(digits: str, unit: str) -> str:
    fits = _EPOCH_DIGITS.get(len(digits.partition(".")[0]))
    if digits.isascii() and digits.isdigit() and fits not in (None, unit):
        return f"; it has {len(digits)} digits, as a count of {fits} has: --time-unit {fits}"
    return f"; {shown(digits)} is not a count from 1970: write only digits in every row"
