"""Which rows a probe gets where there are more than it may have: those whose hashes come first.

The hash is of a row's key and time, and of the window: the same rows give the same sample, whoever asks, in whatever
order they stand, and another window gives another one. A query draws them where the rows are, and so does a table in
memory (:func:`everloop.retraining.probe.tables.sample`), to the same row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from everloop.dataset.content_hash import milliseconds
from everloop.dataset.lake_sql import quoted
from everloop.instants import instant_text
from everloop.retraining.probe.requests import ProbeWindow

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration


KEY = '"key"'
MARGIN, AT_LEAST = 2, 100
DIGITS = 16


def drawn_for(declaration: ModelDeclaration, window: ProbeWindow) -> str:
    """What each row is hashed with: ``training.seed`` and the window."""
    return f"{declaration.training.seed}/{instant_text(window.start)}/"


def near(most: int, *, of: int, salt: str, key: str = KEY) -> str:
    """The condition of rows among which those to be drawn are; empty where all of them are wanted.

    It lets about twice as many rows pass as are drawn, so that what is sorted is small, however many there are.

    Parameters
    ----------
    of : int
        How many rows there are.
    salt : str
        See :func:`drawn_for`.
    key : str
        The expression of what tells rows of one instant apart.
    """
    wanted = MARGIN * most + AT_LEAST
    if of <= wanted:
        return ""
    return f"CAST(substr({_hash(salt, key)}, 1, {DIGITS}) AS VARCHAR) < '{wanted * 16**DIGITS // of:0{DIGITS}X}'"


def drawn(
    rows: str, columns: Sequence[str], most: int, *, of: int, salt: str, key: str = KEY, then: Sequence[str] = ()
) -> str:
    """The query of ``most`` rows of a query, or of all of them where there are no more.

    Parameters
    ----------
    rows : str
        What is selected from, with the key, the time and the columns; rows that are not :func:`near` may be missing.
    of, salt, key
        As of :func:`near`.
    then : sequence of str
        Columns that decide between rows of one key and time.
    """
    names = ", ".join(f'"{name}"' for name in columns)
    if of <= most:
        return f"SELECT {names} FROM {rows}"
    more = [name for name in then if name not in columns]
    order = ", ".join(['"_h"', *(f'"{name}"' for name in then)])
    inside = ", ".join([names, *(f'"{name}"' for name in more)])
    return f"""SELECT {names} FROM (
  SELECT {inside}, {_hash(salt, key)} AS "_h" FROM {rows}
) hashed ORDER BY {order} LIMIT {most}"""


def _hash(salt: str, key: str) -> str:
    at = milliseconds('"time"')
    return f"to_hex(sha256(to_utf8({quoted(salt)} || {key} || '/' || CAST({at} AS VARCHAR))))"
