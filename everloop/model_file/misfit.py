"""Mistakes of values that have the right type: each is told at its own key, however far up it was noticed.

As everywhere in pydantic, a validator says by a ``ValueError`` what is wrong with the value it was given; here its text
is what is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from everloop.exceptions import TerminalError

Location = tuple[str | int, ...]
"""The way to a value: keys, and places in lists."""


class MisfitError(TerminalError, ValueError):
    """What may stand at the key of a :class:`Misfit`."""


@dataclass(frozen=True)
class Misfit:
    """A value that cannot stand where it stands.

    Attributes
    ----------
    location : tuple
        From the section that notices it.
    found : object
        The value; None where nothing stands.
    allowed : str
        What may stand there.
    """

    location: Location
    found: Any
    allowed: str


def refuse(section: str, misfits: Iterable[Misfit]) -> None:
    """Raise when there is any misfit. Within a model's validator, pydantic adds the section's own location."""
    details: list[Any] = [
        {"type": "value_error", "loc": m.location, "input": m.found, "ctx": {"error": MisfitError(m.allowed)}}
        for m in misfits
    ]
    if details:
        raise ValidationError.from_exception_data(section, details)
