"""An instant that an answer has as a text is read by the parser that Python has in C.

Replaces: botocore's reader of instants where moto writes an answer, for texts in ISO 8601 with an offset.
Why: it tries every way to write a date, and the events of an execution have hundreds: a twentieth of what a cloud does.
Obsolete: once moto keeps instants as such.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from moto.core import serialize

from localcloud.core.context import CloudContext
from localcloud.core.patching import wrap


def install(_context: CloudContext) -> None:
    """Read them so in every answer."""
    read_fast()


def read_fast() -> None:
    """As :func:`install`, of any process."""
    wrap(serialize, "parse_to_aware_datetime", _reading)


def _reading(original: Callable[[Any], datetime]) -> Callable[[Any], datetime]:
    def parse_to_aware_datetime(value: Any) -> datetime:
        if isinstance(value, str) and "T" in value:
            try:
                found = datetime.fromisoformat(value)
            except ValueError:
                return original(value)
            if found.tzinfo is not None:
                return found
        return original(value)

    return parse_to_aware_datetime
