"""Brings the objects of a partition to where DuckDB reads them: one Parquet file with the table's columns.

Past partitions hardly change, so each is read from S3 once and kept under a fingerprint of its objects. The
table's columns are taken by name, as Athena does for Parquet: a column that an older object lacks is null.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from localcloud.services.athena.exceptions import QueryFailedError
from localcloud.services.athena.partitions import Partition
from localcloud.services.athena.statement import PATH
from localcloud.services.glue.seam import CatalogueTable, UnknownColumnTypeError, arrow_type
from localcloud.services.s3.seam import StoredObject

_PARQUET_SERDE = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
_ROWS_PER_GROUP = 100_000


@dataclass(frozen=True)
class LocalPartition:
    """A partition on this computer's disk, and how many bytes of objects it stands for.

    Attributes
    ----------
    unreadable : dict
        Columns that some object has in a type that can't be read as the table's, with Athena's message. They are null
        in the file. As in Trino, only a query that reads such a column fails.
    """

    path: Path
    bytes: int
    unreadable: dict[str, str] = field(default_factory=dict)


def table_schema(table: CatalogueTable) -> pa.Schema:
    """Columns and partition keys of a table as Arrow types.

    Raises
    ------
    QueryFailedError
        When the table is not Parquet, or has a column of an unknown type.
    """
    if table.serialization_library != _PARQUET_SERDE:
        raise QueryFailedError(
            f"HIVE_UNSUPPORTED_FORMAT: table {table.database}.{table.name} has SerDe "
            f"{table.serialization_library!r}; the local Athena reads {_PARQUET_SERDE} only"
        )
    try:
        fields = [
            (column["Name"].lower(), arrow_type(column["Type"])) for column in (*table.columns, *table.partition_keys)
        ]
    except UnknownColumnTypeError as error:
        raise QueryFailedError(f"TYPE_NOT_FOUND: table {table.database}.{table.name}: {error}") from error
    return pa.schema(fields)


class PartitionFiles:
    """Local copies of partitions, in a directory of their own; what is known of them is in it alone.

    Callers make sure that a file is not in use when its partition is asked for again.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._lock = threading.Lock()

    def local(
        self, table: CatalogueTable, schema: pa.Schema, partition: Partition, objects: Sequence[StoredObject]
    ) -> LocalPartition:
        """The local copy of a partition that consists of ``objects``; with their addresses if the schema has them."""
        fingerprint = _fingerprint(schema, partition, objects)
        place = repr((table.database, table.name, partition.location, PATH in schema.names))
        folder = self.directory / hashlib.sha256(place.encode()).hexdigest()[:32]
        path, notes = folder / f"{fingerprint}.parquet", folder / f"{fingerprint}.json"
        with self._lock:
            if not path.exists():
                folder.mkdir(parents=True, exist_ok=True)
                before = list(folder.iterdir())
                unreadable = _write(path, table, schema, partition, objects)
                if unreadable:
                    notes.write_text(json.dumps(unreadable))
                for file in before:
                    file.unlink()
            else:
                unreadable = json.loads(notes.read_text()) if notes.exists() else {}
            return LocalPartition(path, sum(item.size for item in objects), unreadable)


def _fingerprint(schema: pa.Schema, partition: Partition, objects: Sequence[StoredObject]) -> str:
    digest = hashlib.sha256(str(schema).encode())
    for part in (partition.location, *partition.values):
        digest.update(f"\0{part}".encode())
    for item in objects:
        digest.update(f"\0{item.key}\0{item.etag}".encode())
    return digest.hexdigest()


def _write(
    path: Path, table: CatalogueTable, schema: pa.Schema, partition: Partition, objects: Sequence[StoredObject]
) -> dict[str, str]:
    """Write a partition's local copy; the columns that can't be read, with the reason."""
    partial, unreadable = path.with_suffix(".part"), dict[str, str]()
    values = dict(zip((key["Name"].lower() for key in table.partition_keys), partition.values, strict=True))
    columns = pa.schema([column for column in schema if column.name not in values and column.name != PATH])
    with pq.ParquetWriter(partial, schema, compression="snappy") as writer:
        waiting: list[pa.Table] = []
        for item in objects:
            address = {PATH: f"s3://{item.bucket}/{item.key}"} if PATH in schema.names else {}
            waiting.append(_with_values(_read(item, columns, unreadable), schema, values | address))
            if sum(part.num_rows for part in waiting) >= _ROWS_PER_GROUP:
                writer.write_table(pa.concat_tables(waiting))
                waiting = []
        if waiting:
            writer.write_table(pa.concat_tables(waiting))
    partial.replace(path)
    return unreadable


def _with_values(read: pa.Table, schema: pa.Schema, values: dict[str, str]) -> pa.Table:
    for name, value in values.items():
        column = pa.repeat(pa.scalar(value).cast(schema.field(name).type), read.num_rows)
        read = read.append_column(schema.field(name), column)
    return read


def _read(item: StoredObject, columns: pa.Schema, unreadable: dict[str, str]) -> pa.Table:
    try:
        file = pq.ParquetFile(pa.BufferReader(item.read()))
        stored = {name.lower(): name for name in file.schema_arrow.names}
        wanted = [stored[name] for name in columns.names if name in stored]
        read = file.read(columns=wanted, use_threads=False)  # the objects are small
    except pa.ArrowException as error:
        raise QueryFailedError(f"HIVE_BAD_DATA: s3://{item.bucket}/{item.key} is not Parquet: {error}") from error
    arrays = []
    for column in columns:
        values = _as_declared(read.column(stored[column.name]), column) if column.name in stored else None
        if values is None and column.name in stored:
            kind = read.column(stored[column.name]).type
            unreadable[column.name] = (
                f"HIVE_BAD_DATA: Field {column.name}'s type {kind} in parquet file s3://{item.bucket}/{item.key} is "
                f"incompatible with type {column.type} defined in table schema"
            )
        arrays.append(pa.nulls(read.num_rows, column.type) if values is None else values)
    return pa.Table.from_arrays(arrays, schema=columns)


def _as_declared(values: pa.ChunkedArray, column: pa.Field) -> pa.ChunkedArray | None:
    """Values in the type of the table's column, or None where they can't be read so."""
    kind, declared = values.type, column.type
    if pa.types.is_dictionary(kind):
        values = values.cast(kind.value_type)
        kind = values.type
    if kind == declared:
        return values
    if not _is_readable_as(kind, declared):
        return None
    if pa.types.is_timestamp(kind):
        # An instant with a zone reads as its time in UTC; what is finer than milliseconds is cut off.
        return values.cast(pa.timestamp(kind.unit)).cast(declared, safe=False)
    return values.cast(declared)


def _is_readable_as(kind: pa.DataType, declared: pa.DataType) -> bool:
    if pa.types.is_null(kind):
        return True
    if pa.types.is_timestamp(kind) and pa.types.is_timestamp(declared):
        return True
    if pa.types.is_integer(kind) and pa.types.is_integer(declared):
        return bool(kind.bit_width <= declared.bit_width)
    if pa.types.is_floating(kind) and pa.types.is_floating(declared):
        return bool(kind.bit_width <= declared.bit_width)
    if pa.types.is_list(kind) and pa.types.is_list(declared):
        return bool(kind.value_type == declared.value_type)
    return bool(pa.types.is_large_string(kind) and pa.types.is_string(declared))
