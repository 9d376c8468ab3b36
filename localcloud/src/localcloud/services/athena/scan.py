"""Brings the objects of a partition to where DuckDB reads them: one Parquet file with the table's columns.

Past partitions hardly change, so each is read from S3 once and kept under a fingerprint of its objects. The
table's columns are taken by name, as Athena does for Parquet: a column that an older object lacks is null.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
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
    """A partition on this computer's disk, and how many bytes of objects it stands for."""

    path: Path
    bytes: int


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
    """Local copies of partitions, in a directory of their own.

    Callers make sure that a file is not in use when its partition is asked for again.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._known: dict[tuple[str, str, str, bool], tuple[str, LocalPartition]] = {}
        self._lock = threading.Lock()

    def local(
        self, table: CatalogueTable, schema: pa.Schema, partition: Partition, objects: Sequence[StoredObject]
    ) -> LocalPartition:
        """The local copy of a partition that consists of ``objects``; with their addresses if the schema has them."""
        fingerprint = _fingerprint(schema, partition, objects)
        key = (table.database, table.name, partition.location, PATH in schema.names)
        with self._lock:
            known = self._known.get(key)
            if known is not None and known[0] == fingerprint:
                return known[1]
            self.directory.mkdir(parents=True, exist_ok=True)
            path = self.directory / f"{fingerprint}.parquet"
            _write(path, table, schema, partition, objects)
            if known is not None:
                known[1].path.unlink(missing_ok=True)
            local = LocalPartition(path, sum(item.size for item in objects))
            self._known[key] = (fingerprint, local)
            return local


def _fingerprint(schema: pa.Schema, partition: Partition, objects: Sequence[StoredObject]) -> str:
    digest = hashlib.sha256(str(schema).encode())
    for part in (partition.location, *partition.values):
        digest.update(f"\0{part}".encode())
    for item in objects:
        digest.update(f"\0{item.key}\0{item.etag}".encode())
    return digest.hexdigest()


def _write(
    path: Path, table: CatalogueTable, schema: pa.Schema, partition: Partition, objects: Sequence[StoredObject]
) -> None:
    partial = path.with_suffix(".part")
    values = dict(zip((key["Name"].lower() for key in table.partition_keys), partition.values, strict=True))
    columns = pa.schema([field for field in schema if field.name not in values and field.name != PATH])
    with pq.ParquetWriter(partial, schema, compression="snappy") as writer:
        waiting: list[pa.Table] = []
        for item in objects:
            address = {PATH: f"s3://{item.bucket}/{item.key}"} if PATH in schema.names else {}
            waiting.append(_with_values(_read(item, columns), schema, values | address))
            if sum(part.num_rows for part in waiting) >= _ROWS_PER_GROUP:
                writer.write_table(pa.concat_tables(waiting))
                waiting = []
        if waiting:
            writer.write_table(pa.concat_tables(waiting))
    partial.replace(path)


def _with_values(read: pa.Table, schema: pa.Schema, values: dict[str, str]) -> pa.Table:
    for name, value in values.items():
        column = pa.repeat(pa.scalar(value).cast(schema.field(name).type), read.num_rows)
        read = read.append_column(schema.field(name), column)
    return read


def _read(item: StoredObject, columns: pa.Schema) -> pa.Table:
    try:
        file = pq.ParquetFile(pa.BufferReader(item.read()))
        stored = {name.lower(): name for name in file.schema_arrow.names}
        wanted = [stored[name] for name in columns.names if name in stored]
        read = file.read(columns=wanted, use_threads=False)  # the objects are small
    except pa.ArrowException as error:
        raise QueryFailedError(f"HIVE_BAD_DATA: s3://{item.bucket}/{item.key} is not Parquet: {error}") from error
    arrays = []
    for field in columns:
        if field.name not in stored:
            arrays.append(pa.nulls(read.num_rows, field.type))
        else:
            arrays.append(_as_declared(item, read.column(stored[field.name]), field))
    return pa.Table.from_arrays(arrays, schema=columns)


def _as_declared(item: StoredObject, values: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    kind, declared = values.type, field.type
    if pa.types.is_dictionary(kind):
        values = values.cast(kind.value_type)
        kind = values.type
    if kind == declared:
        return values
    if not _is_readable_as(kind, declared):
        raise QueryFailedError(
            f"HIVE_BAD_DATA: Field {field.name}'s type {kind} in parquet file s3://{item.bucket}/{item.key} is "
            f"incompatible with type {declared} defined in table schema"
        )
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
        return kind.bit_width <= declared.bit_width
    if pa.types.is_floating(kind) and pa.types.is_floating(declared):
        return kind.bit_width <= declared.bit_width
    if pa.types.is_list(kind) and pa.types.is_list(declared):
        return kind.value_type == declared.value_type
    return pa.types.is_large_string(kind) and pa.types.is_string(declared)
