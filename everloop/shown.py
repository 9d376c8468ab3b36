"""How values of others stand in a message: whole where they are short, and never as large as they came."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from typing import Any

LONGEST_SHOWN = 80
"""Characters of a value in a message."""

MOST_LISTED = 10
"""Names in a list in a message."""


def shortened(text: str, longest: int = LONGEST_SHOWN) -> str:
    """``text``, cut after ``longest`` characters."""
    return text if len(text) <= longest else f"{text[:longest]}…"


def shown(value: Any) -> str:
    """A value as Python writes it, cut; of what holds other values only how many."""
    if isinstance(value, str | bytes):
        # Cut first: what is not shown is not written out either.
        whole = len(value) <= LONGEST_SHOWN
        return shortened(repr(value)) if whole else f"{repr(value[:LONGEST_SHOWN])[:LONGEST_SHOWN]}…"
    if isinstance(value, dict):
        return f"an object of {len(value)} fields"
    if isinstance(value, list | tuple | set | frozenset):
        return f"a list of {len(value)} values"
    try:
        return shortened(repr(value))
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a whole number of thousands of digits"


def listed(names: Collection[Any]) -> str:
    """The first few names, each as :func:`shown`, and how many there are beside them."""
    text = ", ".join(shown(name) for name in islice(names, MOST_LISTED))
    more = len(names) - MOST_LISTED
    return f"{text} and {more} more" if more > 0 else text
