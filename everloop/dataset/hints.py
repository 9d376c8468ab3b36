"""What a person can do about a cell that is not of its column's type."""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from typing import Any

from everloop.dataset.file_sniff import time_format
from everloop.shown import on_one_line

_DECIMAL_COMMA = re.compile(r"[+-]?[0-9.]*,[0-9]+")
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}([,'\u2009\u00a0 ][0-9]{3})+([.][0-9]+)?")
_PLAIN_NUMBER = re.compile(r"\s*[+-]?[0-9.]+([eE][+-]?[0-9]+)?\s*")
_WITH_UNIT = re.compile(r"[^0-9]{0,3}\s?[+-]?[0-9][0-9.,]*\s?[^0-9]{0,5}")
_ASCII_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_TWO_ANSWERS = {"yes", "no", "y", "n", "t", "f", "ja", "nein", "oui", "non", "si", "sí", "true", "false"}
_DIGITS = re.compile(r"[0-9]{9,19}")
_SERIAL_DAY = re.compile(r"[1-9][0-9]{4}([.,][0-9]+)?")
_ZONE_NAME = re.compile(r".*\d ?(?!AM|PM)([A-Z]{3,5})", re.IGNORECASE)
_IN_ZONE = re.compile(r" in [A-Za-z]+[A-Za-z0-9_+/-]*$")
_EPOCH_DIGITS = {10: "s", 13: "ms", 16: "us", 19: "ns"}


def hint(kind: str, cell: Any) -> str:
    """How to convert ``cell`` to ``kind``, as the end of a sentence; empty where nothing is known."""
    if isinstance(cell, bool):
        return _BOOLEAN[kind]
    if kind == "number":
        return _number_hint(cell)
    if kind == "time":
        return _time_hint(cell)
    return "; a category is a text (pandas: .astype('string'), and requests have to send the same text)"


_BOOLEAN = {
    "number": "; true and false count as 1 and 0 only where a binary target or a number feature holds nothing else",
    "text": "; name its values (pandas: .map({True: 'yes', False: 'no'})), or declare it as a number: 1 and 0",
    "time": "; a time is a timestamp or an ISO 8601 text",
}


def _number_hint(cell: Any) -> str:
    if not isinstance(cell, str):
        return "; pandas: .astype('float64')"
    if _THOUSANDS.fullmatch(cell):
        return "; write it without thousands separators"
    if _DECIMAL_COMMA.fullmatch(cell):
        return "; write a decimal point, or, where all numbers have commas, add --decimal ,"
    if _PLAIN_NUMBER.fullmatch(cell):
        return "; it is a text (pandas: pd.to_numeric), or has another decimal mark than --decimal says"
    if cell.strip().lower() in _TWO_ANSWERS:
        return "; write 1 and 0, or true and false in every row (pandas: .map({'yes': 1, 'no': 0}))"
    normal = unicodedata.normalize("NFKC", cell).replace("\u2212", "-").strip()
    if normal != cell and _ASCII_NUMBER.fullmatch(normal):
        return f"; write it in plain digits: {normal}"
    if _WITH_UNIT.fullmatch(cell):
        return "; write the number alone, without unit, percent or currency sign, brackets or thousands separators"
    if cell.lower().startswith("0x") or "_" in cell:
        return "; write it in decimal digits"
    if len(cell) > 12:
        return "; write a number, or leave the cell empty where it is missing"
    return f"; of words, only true and false are taken; where it means missing, add --missing-word {_quoted(cell)}"


def _time_hint(cell: Any) -> str:
    if isinstance(cell, date) or not isinstance(cell, str | int | float):
        return ", or lies outside the years 1 to 9999"
    if isinstance(cell, str) and " x " in cell:
        return ": it lies outside the years 1 to 9999"
    if not isinstance(cell, str) or _DIGITS.fullmatch(cell):
        unit = _EPOCH_DIGITS.get(len(str(cell).partition(".")[0]), "s")
        return f"; where it counts from 1970, add --time-unit {unit} (or s, ms, us, ns)"
    if _IN_ZONE.search(cell):
        return "; where it is the hour that the zone's clocks show twice or never, write it with its offset from UTC"
    if _SERIAL_DAY.fullmatch(cell):
        return "; where it is a spreadsheet's day, format the column there as yyyy-mm-dd hh:mm and save it again"
    form, _ = time_format([cell.strip()])
    if form:
        return f"; add --time-format {form}"
    zone = _ZONE_NAME.fullmatch(cell.strip())
    if zone and any(character.isdigit() for character in cell):
        return f"; write {on_one_line(zone[1])} as an offset such as +01:00, or leave it out and add --time-zone"
    return "; write it as 2024-03-01T05:00:00Z, or add --time-format (%Y%m%dT%H%M%S reads 20240301T050000)"


def _quoted(word: str) -> str:
    plain = on_one_line(word)
    return f"'{plain}'" if "'" not in plain else f'"{plain}"'
