"""What a person can do about a cell that should be a number."""

from __future__ import annotations

import re
import unicodedata
from datetime import date, time, timedelta
from typing import Any

from everloop.shown import on_one_line

_SEPARATORS = "'\u2019\u2009\u202f\u00a0 "
_GROUPED = re.compile(
    rf"[+-]?(?:[0-9]{{1,3}}(?:[,{_SEPARATORS}][0-9]{{2,3}})*[,{_SEPARATORS}][0-9]{{3}}(?:[.][0-9]+)?"
    rf"|[0-9]{{1,3}}(?:[.{_SEPARATORS}][0-9]{{3}})+(?:,[0-9]+)?)"
)
"""Thousands (or lakhs) apart, with a decimal mark that separates none of them."""

_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+([eE][+-]?[0-9]+)?")
_DECIMAL_POINT = re.compile(r"[+-]?[0-9]*[.][0-9]+([eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"[+-]?[0-9]+([eE][+-]?[0-9]+)?")
_MINUS_BEHIND = re.compile(r"[0-9][0-9.,]*-")
_ARITHMETIC = re.compile(r"=.*|.*[0-9]\s*(/|\.\.|-|–)\s*[0-9].*")
_WITH_UNIT = re.compile(rf"[^0-9]{{0,3}}\s?[+-]?[0-9][0-9.,{_SEPARATORS}]*\s?[^0-9]{{0,5}}")
_ASCII_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_TWO_ANSWERS = {
    *("yes", "no", "y", "n", "t", "f", "true", "false", "on", "off", "x"),
    *("ja", "nein", "wahr", "falsch", "oui", "non", "vrai", "faux", "si", "sí", "sì", "verdadero", "falso", "vero"),
    *("sim", "não", "nao", "verdadeiro", "waar", "onwaar", "nee", "tak", "nie", "prawda", "fałsz", "да", "нет"),
    *("ano", "ne", "evet", "hayır", "sant", "falskt", "nej", "kyllä", "ei", "是", "否", "はい", "いいえ"),
}
_LONGEST_WORD, _LONGEST_READ = 12, 100
_NO_NUMBER = "; write a number, or leave the cell empty if it is missing"


def number_hint(cell: Any) -> str:
    """How to make a number of ``cell``, as the end of a sentence."""
    if not isinstance(cell, str):
        return _of_another_type(cell)
    if len(cell) > _LONGEST_READ:
        return _NO_NUMBER
    text = cell.strip()
    grouped, comma, point = (form.fullmatch(text) for form in (_GROUPED, _DECIMAL_COMMA, _DECIMAL_POINT))
    if grouped and comma:
        return "; write it without thousands separators, or, if it is a decimal comma, add --decimal ,"
    if grouped and point:
        return "; write it without thousands separators, or, if it is a decimal point, leave --decimal out"
    if grouped:
        return "; write it without thousands separators"
    if comma:
        return "; write a decimal point, or, if all numbers have commas, add --decimal ,"
    if point:
        return "; its decimal mark is a point: use the mark of --decimal (in a Parquet file: pd.to_numeric)"
    if _WHOLE.fullmatch(text):
        return "; it is a string (pandas: pd.to_numeric)"
    return _of_words(cell, text)


def _of_words(cell: str, text: str) -> str:
    if text.lower() in _TWO_ANSWERS:
        return "; write 1 and 0, or true and false in every row (pandas: .map({'yes': 1, 'no': 0}))"
    normal = "".join(_plain(character) for character in unicodedata.normalize("NFKC", cell)).strip()
    if normal != cell and _ASCII_NUMBER.fullmatch(normal):
        return f"; write it in plain digits: {normal}"
    if text.lower().startswith("0x") or "_" in text:
        return "; write it in decimal digits"
    if _MINUS_BEHIND.fullmatch(text):
        return "; write the minus before the number"
    if _ARITHMETIC.fullmatch(text):
        return "; write one number, or leave the cell empty if there is none"
    if _WITH_UNIT.fullmatch(text):
        return "; write the number alone, without unit, percent or currency sign, brackets or thousands separators"
    if len(cell) > _LONGEST_WORD or any(character.isdigit() for character in cell):
        return _NO_NUMBER
    return f"; the only words accepted are true and false; if it means missing, add --missing-word {_quoted(cell)}"


def _of_another_type(cell: Any) -> str:
    if isinstance(cell, timedelta):
        return "; write it as a number of one unit (pandas: .dt.total_seconds())"
    if isinstance(cell, date | time):
        return "; write a number instead, e.g. the hour (pandas: .dt.hour)"
    if isinstance(cell, bytes):
        return "; pandas: pd.to_numeric(….str.decode('utf-8'))"
    return "; pandas: .astype('float64')"


def _plain(character: str) -> str:
    digit = unicodedata.digit(character, None)
    return "-" if character == "\u2212" else character if digit is None else str(digit)


def _quoted(word: str) -> str:
    plain = on_one_line(word)
    return f"'{plain}'" if "'" not in plain else f'"{plain}"'
