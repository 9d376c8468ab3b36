"""Whether a training set finds room in the function that freezes it, before it is read.

Measured with the worked example's 22 features (0.3 to 1.5 million rows, pandas 3.1): checking, hashing, splitting and
writing hold about 47 bytes for each cell and 3 for each character of a text at once. Reading holds about as much as
a third of that beside it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from everloop.dataset.exceptions import TrainingSetTooLargeError
from everloop.dataset.lake_listing import LakeListing
from everloop.dataset.lake_sql import partitions, timestamp
from everloop.dataset.snapshot_query import snapshot_window

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration

MEMORY_MB = 3008
"""Of the function. A new AWS account has no larger ones."""

ROOM_BYTES = 2_000_000_000
"""What a training set may take of it. The rest is for Python and its packages (200 MB), and for reading."""

CELL_BYTES = 50
CHARACTER_BYTES = 4

ROWS, CHARACTERS = "n", "c"
"""Columns of the query's answer: distinct keys, and the mean number of characters in a row's texts."""


def size_query(declaration: ModelDeclaration, as_of: datetime, listing: LakeListing) -> str:
    """The query that says how large the training set made at ``as_of`` will be; it reads keys, times and texts only."""
    window, model = snapshot_window(declaration, as_of), declaration.model
    nothing_yet = as_of.astimezone(UTC).date()
    times = f'"time" <= {timestamp(window.newest)}'
    if window.oldest is not None:
        times += f' AND "time" > {timestamp(window.oldest)}'
    texts = ['length("key")', *(f"""length(coalesce("{f.name}", ''))""" for f in declaration.data.categories)]
    columns = f'"key", {" + ".join(texts)} AS t'
    return f"""SELECT count(DISTINCT "key") AS {ROWS}, coalesce(avg(t * 1E0), 0E0) AS {CHARACTERS}
FROM (
  SELECT {columns} FROM "{model}_history" WHERE {times}
  UNION ALL
  SELECT {columns} FROM "{model}_predictions"
  WHERE {partitions(window.oldest, window.newest, first=listing.first_predictions or nothing_yet)} AND {times}
) seen"""


def require_room(declaration: ModelDeclaration, rows: int, characters: float) -> None:
    """Refuse a training set that the function would die of.

    Parameters
    ----------
    rows : int
    characters : float
        The mean of a row's texts.

    Raises
    ------
    TrainingSetTooLargeError
        With both numbers, and the most rows of this kind that there is room for.
    """
    columns = len(declaration.data.features) + 4
    of_a_row = CELL_BYTES * columns + CHARACTER_BYTES * characters
    if rows * of_a_row > ROOM_BYTES:
        found, room = rows * of_a_row / 1e6, ROOM_BYTES / 1e6
        raise TrainingSetTooLargeError(
            f"the training set of {declaration.model} would have {rows:,} rows of {columns} columns and "
            f"{characters:.0f} characters of text, about {found:,.0f} MB in memory; the snapshot function has room for "
            f"{room:,.0f} MB, {int(ROOM_BYTES // of_a_row):,} such rows: declare a shorter data.training_window_days, "
            "or fewer features"
        )
