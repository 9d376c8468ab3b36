"""How values of others stand in a message: never as large as they came, and doing nothing to who reads them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import islice
from typing import Any

from everloop.limits import INVISIBLE_CHARACTERS, LatePattern

LONGEST_SHOWN = 80
"""Characters of a value in a message."""

_MARGIN = "    "

MOST_LISTED = 10
"""Names in a list in a message."""

ACTING = LatePattern(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff{INVISIBLE_CHARACTERS.pattern[1:-1]}]")
"""What a terminal obeys instead of showing it: controls but tab and line feed, other line ends, what turns the
direction of text around (https://trojansource.codes), half characters, which no terminal can be sent; and what it
does not show at all, so that two names look alike."""


def visible(text: str) -> str:
    r"""``text`` with what a terminal would obey written out, e.g. ``\x1b``; everything that is text stays as it is."""
    return written_out(text, lambda character: character.encode("unicode_escape").decode())


def written_out(text: str, write: Callable[[str], str]) -> str:
    """``text`` with ``write`` of each character in place of those that a terminal would obey."""
    # Most texts are plain, and the pattern takes milliseconds to be compiled.
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return ACTING.sub(lambda found: write(found[0]), text)


def on_one_line(text: str) -> str:
    """As :func:`visible`, with line feeds written out too: it can't look like a line of somebody else's."""
    return visible(text).replace("\n", "\\n")


def as_entry(text: str) -> str:
    """As :func:`visible`, with only the first line at the margin: no other one passes for a message of its own."""
    first, *more = visible(text).split("\n")
    return "\n".join([first, *(line if not line or line.startswith(_MARGIN) else _MARGIN + line for line in more)])


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
        return "a whole number with thousands of digits"


def listed(names: Collection[Any]) -> str:
    """The first few names, each as :func:`shown`, and how many there are beside them."""
    text = ", ".join(shown(name) for name in islice(names, MOST_LISTED))
    more = len(names) - MOST_LISTED
    return f"{text} and {more} more" if more > 0 else text
