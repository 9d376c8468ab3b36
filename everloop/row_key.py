"""What a key is, at every door: history, requests and labels.

A key is one text in the lake, whatever carried it: every door brings it into the same form by this one rule, so the
same key always matches, or a door refuses it. The request path uses this module, so it imports nothing heavy.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from everloop.exceptions import TerminalError
from everloop.limits import UNUSABLE_CHARACTERS, hidden_in_key
from everloop.shown import shown

MAX_KEY_LENGTH = 256
"""Longest key, in characters."""

EXACT_BELOW = 2**53
"""A float64 of this size or more may stand for several whole numbers."""

_FLOAT_TEXT = re.compile(r"[+-]?[0-9]+[.,]0*|-0+")
_FORMULA_TEXT = re.compile(r'="[^"]*"')
_SCIENTIFIC_TEXT = re.compile(r"[+-]?[0-9]([.,][0-9]+)?[eE][+-][0-9]{2,}")

_TAKEN = "a key is a string or a whole number"


class KeyRefusedError(TerminalError):
    """A value is not a key.

    Attributes
    ----------
    code : {"missing_not_allowed", "wrong_type", "too_long", "control_character"}
    rule : str
        What is wrong, what is taken and how to convert; follows "is".
    """

    def __init__(self, code: str, rule: str) -> None:
        self.code = code
        self.rule = rule
        super().__init__(rule)

    def about(self, name: str, value: Any) -> str:
        """The sentence that refuses ``value`` for the field ``name``."""
        # What JSON writes on one short line is shown; of the rest the rule says what it is.
        found = f" {shown(value)}," if type(value) in (str, int, float) and value != "" else ""
        return f"{name!r} is{found} {self.rule}"


def row_key(value: Any, *, exact_below: int = EXACT_BELOW) -> str:
    """The key that ``value`` is, in the form that the lake keeps.

    - A text stays as it is, leading zeros and case included, in Unicode's normal form C.
    - A whole number becomes its decimal digits. A float or a decimal counts as the whole number that it holds exactly.

    Parameters
    ----------
    exact_below : int
        From which size on a float may stand for several whole numbers: 2**24 where it came from 32 bits.

    Raises
    ------
    KeyRefusedError
        For anything else, and for a text that would not match its own key from another carrier: one that begins or
        ends with white space, has a character that nobody sees, or is a whole number as a program writes a float
        (``1000000001.0``, ``1E+09``, ``-0``).
    """
    if isinstance(value, str):
        return _text_key(value)
    if value is None:
        raise KeyRefusedError("missing_not_allowed", "missing, but it must identify the row")
    if isinstance(value, bool):
        raise _refused(f"true or false; {_TAKEN} (pandas: .astype(str))")
    if isinstance(value, int):
        return _digits(value)
    if isinstance(value, float):
        return _whole_float(value, exact_below)
    return _other_key(value)


def _text_key(value: str) -> str:
    if not value:
        raise KeyRefusedError("missing_not_allowed", "empty, but it must identify the row")
    _refuse_long(value)  # first: normalizing takes much longer for a long run of combining marks
    if not value.isascii():
        value = unicodedata.normalize("NFC", value)
        _refuse_long(value)
    if not value.isprintable() and UNUSABLE_CHARACTERS.search(value):
        raise KeyRefusedError("control_character", "a string with a control character")
    if value[0].isspace() or value[-1].isspace():
        raise _refused("a string with white space at its start or end; strip it (pandas: .str.strip())")
    if hidden := hidden_in_key(value):
        if hidden.isspace():
            raise _refused(
                f"a string with a white space character that only looks like a plain space, U+{ord(hidden):04X};"
                " replace it with a plain space (pandas: .str.replace(r'\\s+', ' ', regex=True))"
            )
        raise _refused(
            f"a string with an invisible character, U+{ord(hidden):04X}, so that it would not match the same key"
            " from elsewhere; remove it (a byte order mark, pandas: encoding='utf-8-sig')"
        )
    if _FORMULA_TEXT.fullmatch(value):
        raise _refused("a spreadsheet formula for a string; write the characters between its quotes")
    if value[0] in "+-0123456789":
        if _FLOAT_TEXT.fullmatch(value):
            raise _refused(
                "a whole number written as a float, which never matches the number itself; write the digits alone "
                "(pandas: read the key with dtype=str, or .astype('Int64') before writing)"
            )
        if _SCIENTIFIC_TEXT.fullmatch(value):
            raise _refused(
                "a number in scientific notation, which may have lost digits; write all digits "
                "(spreadsheet: format the column as text; pandas: read the key with dtype=str)"
            )
    return str(value)


def _digits(value: int) -> str:
    if abs(value) >= 10**MAX_KEY_LENGTH:  # beyond thousands of digits Python writes none
        raise KeyRefusedError("too_long", f"longer than {MAX_KEY_LENGTH} characters")
    text = str(int(value))
    _refuse_long(text)
    return text


def _whole_float(value: float, exact_below: int) -> str:
    if value != value:
        raise _refused(f"not a number; {_TAKEN}")
    if not abs(value) < exact_below:
        raise _refused(
            "a float so large that it may mean several whole numbers; send all digits as an integer or a string"
            " (pandas: read the key with dtype=str or 'Int64')"
        )
    if not float(value).is_integer():
        raise _refused(f"a number with a fraction; {_TAKEN} (pandas: .astype(str))")
    return str(int(value))


def _other_key(value: Any) -> str:
    # The carriers of files; a request has none of them.
    from decimal import Decimal

    if isinstance(value, Decimal):
        if not value.is_finite():
            raise _refused(f"not a number; {_TAKEN}")
        if value.adjusted() > MAX_KEY_LENGTH:
            raise KeyRefusedError("too_long", f"longer than {MAX_KEY_LENGTH} characters")
        if value != value.to_integral_value():
            raise _refused(f"a number with a fraction; {_TAKEN} (pandas: .astype(str))")
        return _digits(int(value))
    if isinstance(value, bytes):
        raise _refused(f"made of bytes; {_TAKEN} (pandas: .str.decode('utf-8'))")
    raise _refused(f"a {type(value).__name__}; {_TAKEN} (pandas: .astype(str))")


def _refuse_long(text: str) -> None:
    if len(text) > MAX_KEY_LENGTH:
        raise KeyRefusedError("too_long", f"longer than {MAX_KEY_LENGTH} characters")


def _refused(rule: str) -> KeyRefusedError:
    return KeyRefusedError("wrong_type", rule)
