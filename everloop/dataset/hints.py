"""What a person can do about a cell that is not of its column's type."""

from __future__ import annotations

from typing import Any

from everloop.dataset.number_hints import number_hint
from everloop.dataset.time_hints import time_hint


def hint(kind: str, cell: Any) -> str:
    """How to convert ``cell`` to ``kind``, as the end of a sentence; empty where nothing is known."""
    if isinstance(cell, bool):
        return _BOOLEAN[kind]
    if kind == "number":
        return number_hint(cell)
    if kind == "time":
        return time_hint(cell)
    return _text_hint(cell)


_BOOLEAN = {
    "number": (
        "; true and false count as 1 and 0 only if the whole column of a binary target or number feature is true and "
        "false"
    ),
    "text": "; name its values (pandas: .map({True: 'yes', False: 'no'})), or declare it as a number: 1 and 0",
    "time": "; a time is a timestamp or an ISO 8601 string",
}


def _text_hint(cell: Any) -> str:
    if isinstance(cell, bytes):
        return "; a category is a string (pandas: .str.decode('utf-8'))"
    same = "and requests must send the same string"
    if isinstance(cell, float) and cell.is_integer():
        return f"; a category is a string (pandas, whole numbers: .astype('Int64').astype('string'), {same})"
    return f"; a category is a string (pandas: .astype('string'), {same})"
