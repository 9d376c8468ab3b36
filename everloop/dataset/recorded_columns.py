"""Reads of which types the columns are that lie in the lake: from the footers of its Parquet objects."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from everloop.dataset.changes import RecordedColumn
from everloop.dataset.lake_listing import LakeListing
from everloop.lake_tables import DATE, HISTORY, PREDICTIONS
from everloop.names import lake_prefix

MOST_OBJECTS = 100
"""Imports that are looked at; of more, the oldest and the newest."""

FOOTER_BYTES = 65_536
"""Read at once from the end of an object; a longer footer takes a second read."""


def recorded_columns(s3_client: Any, bucket: str, model: str, listing: LakeListing) -> dict[str, list[RecordedColumn]]:
    """Every type that each column has in the model's history and in its first captured object, by column.

    An object that is no Parquet file says nothing here: the query that reads it fails with its own words.
    """
    found: dict[str, list[RecordedColumn]] = {}
    for key in [*_imports(model, listing), *_first_captured(s3_client, bucket, model)]:
        for name, kind in _kinds(s3_client, bucket, key):
            columns = found.setdefault(name, [])
            if all(column.kind != kind for column in columns):
                columns.append(RecordedColumn(kind, f"s3://{bucket}/{key}"))
    return found


def _imports(model: str, listing: LakeListing) -> list[str]:
    keys = [f"{lake_prefix(HISTORY.kind, model)}{name}" for name in listing.imports]
    half = MOST_OBJECTS // 2
    return keys if len(keys) <= MOST_OBJECTS else [*keys[:half], *keys[-half:]]


def _first_captured(s3_client: Any, bucket: str, model: str) -> Iterator[str]:
    prefix = f"{lake_prefix(PREDICTIONS.kind, model)}{DATE}="
    for item in s3_client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1).get("Contents", []):
        yield item["Key"]


def _kinds(s3_client: Any, bucket: str, key: str) -> Iterator[tuple[str, str]]:
    import pyarrow

    schema = _schema(s3_client, bucket, key)
    for field in schema if schema is not None else ():
        if pyarrow.types.is_floating(field.type) or pyarrow.types.is_integer(field.type):
            yield field.name, "number"
        elif pyarrow.types.is_string(field.type) or pyarrow.types.is_large_string(field.type):
            yield field.name, "category"


def _schema(s3_client: Any, bucket: str, key: str) -> Any:
    import pyarrow
    import pyarrow.parquet

    tail = _tail(s3_client, bucket, key, FOOTER_BYTES)
    length = int.from_bytes(tail[-8:-4], "little") + 8
    if length > len(tail):
        tail = _tail(s3_client, bucket, key, length)
    try:
        return pyarrow.parquet.read_schema(io.BytesIO(tail))
    except (pyarrow.ArrowException, OSError):
        return None


def _tail(s3_client: Any, bucket: str, key: str, count: int) -> bytes:
    from botocore.exceptions import ClientError

    try:
        content: bytes = s3_client.get_object(Bucket=bucket, Key=key, Range=f"bytes=-{count}")["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidRange":  # what S3 says of an empty object
            raise
        return b""
    return content
