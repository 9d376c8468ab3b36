"""How a sentence counts things: "1 resource", "2 resources"."""

from __future__ import annotations


def number_of(count: int, one: str, many: str | None = None) -> str:
    """A number with the word for what is counted, in the singular where it is one.

    ``many`` is the word for several: ``one`` with an s, unless given.
    """
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
