"""Looks up which objects stand in a model's lake, as far as its queries must know it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from everloop.lake_tables import DATE, HISTORY, LABELS, PREDICTIONS
from everloop.names import lake_prefix


@dataclass(frozen=True)
class LakeListing:
    """What is in a model's lake.

    Attributes
    ----------
    first_predictions, first_labels : date or None
        The first partition of each table; None before anything was captured.
    imports : tuple of str
        The history objects, by what follows ``history_location`` in their address, in the order in which they were
        imported.
    history_location : str
        What the addresses of all of them begin with.
    """

    first_predictions: date | None
    first_labels: date | None
    imports: tuple[str, ...] = ()
    history_location: str = ""


def list_lake(s3_client: Any, bucket: str, model: str) -> LakeListing:
    """List a model's lake: one object of each captured table, and every object of its history.

    Raises
    ------
    ValueError
        When a prefix ``date=…`` of a captured table names no day.
    """
    history = lake_prefix(HISTORY.kind, model)
    imported = sorted((item["LastModified"], item["Key"]) for item in _objects(s3_client, bucket, history))
    return LakeListing(
        first_predictions=_first_partition(s3_client, bucket, lake_prefix(PREDICTIONS.kind, model)),
        first_labels=_first_partition(s3_client, bucket, lake_prefix(LABELS.kind, model)),
        imports=tuple(key.removeprefix(history) for _, key in imported),
        history_location=f"s3://{bucket}/{history}",
    )


def _first_partition(s3_client: Any, bucket: str, prefix: str) -> date | None:
    """S3 lists by key and a partition's key holds its date, so the first object is of the first partition."""
    begin = f"{prefix}{DATE}="
    listed = s3_client.list_objects_v2(Bucket=bucket, Prefix=begin, MaxKeys=1).get("Contents", [])
    return date.fromisoformat(listed[0]["Key"].removeprefix(begin).partition("/")[0]) if listed else None


def _objects(s3_client: Any, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    for page in s3_client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from page.get("Contents", [])
