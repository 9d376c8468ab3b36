"""Reads JSON that others wrote: whatever it holds, it becomes a value or a ValueError."""

from __future__ import annotations

import json
import re
from typing import Any

_BRACKET = re.compile(r"[\[\]{}]")


def read_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises
    ------
    ValueError
        The text is no JSON, is nested deeper than Python can follow, or has a whole number of thousands of digits.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply to be read") from None


def nesting(text: str) -> int:
    """How deep brackets are nested in a text, those within strings included: an upper bound for JSON."""
    depth = deepest = 0
    for bracket in _BRACKET.findall(text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest
