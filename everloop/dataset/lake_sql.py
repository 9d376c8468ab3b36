"""Pieces of the queries on the lake, as Trino (Athena) and DuckDB read them alike."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

BUFFER = timedelta(days=1)
"""A captured row lies in the partition of the oldest record of its object, which may be the one before its own time's:
records wait together for 15 minutes, and for up to a day where their delivery fails and is tried again."""

DELIVERY = timedelta(hours=1)
"""A row reaches the stream a little later than its own time says, which may be in the partition after it."""


LONGEST_QUERY_BYTES = 262_144
"""Athena's limit for the text of a query, in UTF-8
(https://docs.aws.amazon.com/athena/latest/ug/service-limits.html#service-limits-query-string-length)."""

LONGEST_ARRAY = 200
"""Elements written in one array. Trino took 254 at most for years (trinodb/trino issue 16033)."""


def timestamp(instant: datetime) -> str:
    """An instant as a literal: the lake's times are UTC, in milliseconds, without a zone."""
    text = instant.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")
    return f"TIMESTAMP '{text}'"


def quoted(text: str) -> str:
    """A text as a literal."""
    return "'" + text.replace("'", "''") + "'"


def double(value: float) -> str:
    """A double literal that reads back as the same number: without an exponent Trino would read a decimal."""
    text = repr(float(value)).upper()
    return text if "E" in text else f"{text}E0"


def partitions(earliest: datetime | None, latest: datetime, *, first: date = date.min) -> str:
    """The condition on ``date`` that keeps every row of these times, and leaves most others unread.

    Parameters
    ----------
    earliest : datetime or None
        None where rows of any age are wanted.
    first : date
        The first partition that there is: earlier ones are not asked for, since a look into an empty one takes as
        long as into any other.
    """
    end = _day(latest + DELIVERY)
    begin = first if earliest is None else max(first, _day(earliest - BUFFER))
    return f"\"date\" BETWEEN '{min(begin, end).isoformat()}' AND '{end.isoformat()}'"


def _day(instant: datetime) -> date:
    return instant.astimezone(UTC).date()
