"""Makes the tables that the job of a probe gets on the query engine: rows stay there, the caller reads a few numbers.

The rows to learn from are frozen, counted and held against the contract as those of a training are
(:mod:`everloop.dataset.snapshot_making`). The same tables of rows in memory: :mod:`everloop.retraining.probe.tables`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from everloop.dataset.athena import AthenaQueries
from everloop.dataset.frozen import Place
from everloop.dataset.lake_sql import timestamp
from everloop.dataset.snapshot_counts import Counts
from everloop.documents.probe import SERVED, VERSION
from everloop.lake_tables import HISTORY
from everloop.retraining.probe.draw import drawn, drawn_for, near
from everloop.retraining.probe.enough import enough_to_learn_from
from everloop.retraining.probe.requests import ProbeWindow
from everloop.retraining.probe.rows import window_query

if TYPE_CHECKING:
    from everloop.model_file.schema import ModelDeclaration


ASKED = """coalesce(nullif("key", ''), "prediction_id")"""
"""What tells answered rows of one instant apart: a caller need not give a key."""


@dataclass(frozen=True)
class Answered:
    """The rows that a probe can be scored on: all of them, and those ``inside`` the window."""

    rows: int
    inside: int


@dataclass(frozen=True)
class Table:
    """A table for the job: the query of its rows, and how many they are."""

    query: str
    rows: int


def answered_query(declaration: ModelDeclaration, window: ProbeWindow, as_of: datetime) -> str:
    """The query that counts what :func:`everloop.retraining.probe.rows.window_query` gives."""
    query = window_query(declaration, window, as_of)
    inside = f'count_if("time" >= {timestamp(window.start)})'
    return f"SELECT count(*) AS rows_, {inside} AS inside FROM (\n{query}\n) answered"


def count_answered(
    queries: AthenaQueries, declaration: ModelDeclaration, window: ProbeWindow, as_of: datetime
) -> Answered:
    """How many rows the window's query gives."""
    (told,) = queries.rows(answered_query(declaration, window, as_of))
    return Answered(int(told["rows_"] or 0), int(told["inside"] or 0))


def span_query(place: Place, last: datetime, spans: Iterable[int]) -> str:
    """The query that counts the frozen rows of each span, and those of them that are of the class 1."""
    measures = []
    for days in spans:
        newest = _newest(last, days)
        measures += [f"count_if({newest}) AS rows_{days}", f'count_if({newest} AND "label" = 1E0) AS ones_{days}']
    return f"SELECT {', '.join(measures)} FROM {place.rows()}"


def count_spans(
    queries: AthenaQueries, declaration: ModelDeclaration, place: Place, counts: Counts, spans: Iterable[int]
) -> dict[int | None, int]:
    """The rows of each span that a probe can learn from; all rows under None.

    Parameters
    ----------
    counts : Counts
        Of the frozen rows, which keep the contract.
    """
    found: dict[int | None, int] = {None: counts.rows}
    chosen = list(spans)
    if not chosen or counts.last is None:
        return found
    (told,) = queries.rows(span_query(place, counts.last, chosen))
    for days in chosen:
        rows, ones = int(told[f"rows_{days}"] or 0), int(told[f"ones_{days}"] or 0)
        if enough_to_learn_from(declaration, rows, ones, of=counts.rows):
            found[days] = rows
    return found


def learned_tables(
    declaration: ModelDeclaration,
    place: Place,
    window: ProbeWindow,
    last: datetime | None,
    labelled: Mapping[int | None, int],
    most: int,
) -> dict[int | None, Table]:
    """What probes learn from, by span.

    Parameters
    ----------
    last : datetime or None
        The newest frozen row's instant, from which the days of a span are counted back; None without spans.
    labelled : mapping
        How many rows there are of each span.
    """
    salt, columns = drawn_for(declaration, window), _columns(declaration)
    rows = place.rows(declaration.data.features)
    found: dict[int | None, Table] = {}
    for days, count in labelled.items():
        conditions = [] if days is None or last is None else [_newest(last, days)]
        conditions += filter(None, [near(most, of=count, salt=salt)])
        chosen = f"{rows} WHERE {' AND '.join(conditions)}" if conditions else rows
        found[days] = Table(drawn(chosen, columns, most, of=count, salt=salt), min(count, most))
    return found


def scored_table(
    declaration: ModelDeclaration, window: ProbeWindow, as_of: datetime, answered: Answered, most: int
) -> Table:
    """What probes are scored on."""
    salt = drawn_for(declaration, window)
    chosen = near(most, of=answered.rows, salt=salt, key=ASKED)
    rows = f"(\n{window_query(declaration, window, as_of, only=chosen)}\n) answered"
    columns, then = [*_columns(declaration), SERVED, VERSION], (SERVED, VERSION, "prediction_id")
    query = drawn(rows, columns, most, of=answered.rows, salt=salt, key=ASKED, then=then)
    return Table(query, min(answered.rows, most))


def _newest(last: datetime, days: int) -> str:
    return f'"time" > {timestamp(last - timedelta(days=days))}'


def _columns(declaration: ModelDeclaration) -> list[str]:
    return [name for name, _ in HISTORY.columns(declaration.data.features)]
