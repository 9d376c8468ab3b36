"""How a sentence counts things: "1 day", "2 days", "5,040 rows"."""

from __future__ import annotations


def number_of(count: float, one: str, many: str | None = None) -> str:
    """A number with the word for what is counted, in the singular where it is one.

    Parameters
    ----------
    count : float
        Whole numbers are written with their thousands apart, others with six digits at most.
    one : str
        The word for one of them, e.g. ``"labelled row"``.
    many : str, optional
        The word for several; ``one`` with an s, unless given.
    """
    word = one if count == 1 else many or f"{one}s"
    return f"{int(count):,} {word}" if count == int(count) else f"{count:g} {word}"
