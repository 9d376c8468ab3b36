"""Reads of which types the columns are that lie in the lake: from the footers of its Parquet objects."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any

from everloop.dataset.changes import RecordedColumn
from everloop.dataset.lake_listing import LakeListing
from everloop.dataset.parquet_footer import FooterError, read_footer
from everloop.lake_tables import CLASSES_OF_ROWS, DATE, HISTORY, KEY_OF_ROWS, PREDICTIONS, TARGET_OF_ROWS
from everloop.names import lake_prefix
from everloop.objects import tail_of

MOST_OBJECTS = 100
"""Imports that are looked at; of more, the oldest and the newest."""

MOST_CAPTURED = 400
"""Captured objects that are looked at: the oldest and the newest of each date, then the newest of the others.

A type that was deployed and put back lies between others, within one date or over many. So every object of the last
days is looked at, and the ends of the ``MOST_ENDS`` before. It costs a request for each 1,000 objects that are listed,
and one for each that is read.
"""

MOST_ENDS = 300
"""Of them, the ends of dates: of at least 150 dates, of 300 with one object each."""

AT_A_TIME = 8
"""Objects that are read at the same time: an answer takes some ten milliseconds, of which nothing is work here."""


def recorded_columns(s3_client: Any, bucket: str, model: str, listing: LakeListing) -> dict[str, list[RecordedColumn]]:
    """Every type that each column has in the model's history and in what was captured, by column, the oldest first.

    Under ``KEY_OF_ROWS`` and ``TARGET_OF_ROWS`` stand the columns that imports took key and target from, under
    ``CLASSES_OF_ROWS`` the classes that were declared.

    An object that is no Parquet file says nothing here: the query that reads it fails with its own words.
    """
    keys = [*_imports(model, listing), *_captured(s3_client, bucket, model)]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        read = list(pool.map(lambda key: list(_kinds(s3_client, bucket, key)), keys))
    places: dict[str, dict[str, list[str]]] = {}
    for key, columns in zip(keys, read, strict=True):
        for name, kind in columns:
            places.setdefault(name, {}).setdefault(kind, []).append(f"s3://{bucket}/{key}")
    return {
        name: [RecordedColumn(kind, found[0], tuple(found[1:])) for kind, found in kinds.items()]
        for name, kinds in places.items()
    }


def _imports(model: str, listing: LakeListing) -> list[str]:
    keys = [f"{lake_prefix(HISTORY.kind, model)}{name}" for name in listing.imports]
    half = MOST_OBJECTS // 2
    return keys if len(keys) <= MOST_OBJECTS else [*keys[:half], *keys[-half:]]


def _captured(s3_client: Any, bucket: str, model: str) -> list[str]:
    """S3 lists by key, which begins with the date and goes on with the time: the oldest comes first."""
    prefix = f"{lake_prefix(PREDICTIONS.kind, model)}{DATE}="
    pages = s3_client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    ends: list[str] = []
    for _, found in groupby(keys, key=lambda key: key.removeprefix(prefix).partition("/")[0]):
        of_date = list(found)
        ends += dict.fromkeys((of_date[0], of_date[-1]))
    chosen = set(ends[-MOST_ENDS:])
    others = [key for key in keys if key not in chosen]
    chosen.update(others[max(0, len(others) - (MOST_CAPTURED - len(chosen))) :])
    return [key for key in keys if key in chosen]


def _kinds(s3_client: Any, bucket: str, key: str) -> Iterator[tuple[str, str]]:
    try:
        footer = read_footer(lambda count: tail_of(s3_client, bucket, key, count))
    except FooterError:
        return
    for name in (KEY_OF_ROWS, TARGET_OF_ROWS, CLASSES_OF_ROWS):
        if name in footer.metadata:
            yield name, footer.metadata[name]
    yield from footer.kinds.items()
