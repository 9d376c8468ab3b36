"""A training set's rows as one query left them: the lake goes on, they do not change any more.

Everything that is asked of a training set is asked of its frozen rows, by queries that Trino (Athena) and DuckDB read
alike. They stand below a prefix that expires, in a place of their own for each attempt: a query that is tried again
finds nothing there, and what a failed one left is read by nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.dataset.lake_sql import double, quoted
from everloop.lake_tables import FROZEN, SUPERSEDED, UNLOAD
from everloop.names import ModelNames

if TYPE_CHECKING:
    from everloop.model_file.schema import Feature, ModelDeclaration

ROWS = "rows"


@dataclass(frozen=True)
class Place:
    """Where an attempt's unloaded rows stand.

    Attributes
    ----------
    attempt : str
        Letters, digits and ``-``; no other attempt has the same one.
    one_class : int or None
        Of several classes, the place of the one whose rows have the label 1, and all others 0; None for labels as
        they are.
    """

    bucket: str
    model: str
    attempt: str
    one_class: int | None = None

    def prefix(self, part: str = ROWS) -> str:
        """The key prefix of a part, with a final slash."""
        return f"{ModelNames(self.model).unloaded_prefix}{self.attempt}/{part}/"

    def uri(self, part: str = ROWS) -> str:
        """Its address."""
        return f"s3://{self.bucket}/{self.prefix(part)}"

    def rows(self, features: Iterable[Feature] = (), *, labelled: bool = True) -> str:
        """The frozen rows as what a query selects from: key, time, label, and those of the features that it is about.

        What is not a number, and an empty text, are missing; so they are null.

        Parameters
        ----------
        labelled : bool
            Whether those alone whose outcome is known; else :data:`everloop.lake_tables.SUPERSEDED` is there as well.
        """
        label = number_column("label")
        if self.one_class is not None:
            label = f'CASE WHEN "label" = {double(float(self.one_class))} THEN 1E0 ELSE 0E0 * "label" END AS "label"'
        columns = [text_column("key"), '"time"', label, *([] if labelled else [SUPERSEDED])]
        columns += [number_column(f.name) if f.type == "number" else text_column(f.name) for f in features]
        known = ' AND "label" IS NOT NULL AND NOT is_nan("label")' if labelled else ""
        table = ModelNames(self.model).table(FROZEN.kind)
        return f'''(
  SELECT {", ".join(columns)}
  FROM "{table}" WHERE "{UNLOAD}" = {quoted(self.attempt)}{known}
) frozen'''


def part_query(declaration: ModelDeclaration, place: Place, condition: str, *, labels: bool = True) -> str:
    """The labelled rows that meet a condition, in the lake's columns."""
    names = ["key", "time", *(["label"] if labels else []), *(f.name for f in declaration.data.features)]
    columns = ", ".join(f'"{name}"' for name in names)
    return f"SELECT {columns} FROM {place.rows(declaration.data.features)} WHERE {condition}"


def number_column(name: str) -> str:
    """The column with null for what is no number."""
    return f'CASE WHEN is_nan("{name}") THEN NULL ELSE "{name}" END AS "{name}"'


def text_column(name: str) -> str:
    """The column with null for the empty text."""
    return f'nullif("{name}", \'\') AS "{name}"'
