"""Writes what a query gives as Parquet files, a batch at a time: as Athena does, several of them, in no order.

Memory does not grow with the rows. Times are written as INT96, as Trino's Hive connector does
(https://github.com/trinodb/trino/pull/12857).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from localcloud.services.athena.exceptions import QueryFailedError
from localcloud.services.athena.results import athena_type

_WRITERS = 4
_ROWS_AT_ONCE = 40_000
_ROWS_PER_GROUP = 50_000
_BYTES_PER_FILE = 64 * 1024**2


def write_files(
    cursor: duckdb.DuckDBPyConnection,
    types: Sequence[str],
    folder: Path,
    compression: str,
    convert: Callable[[pa.Table], pa.Table],
) -> int:
    """Write the open result of ``cursor`` to ``folder``; how many rows it had.

    Parameters
    ----------
    types : sequence of str
        DuckDB's, column by column.
    convert : callable
        Brings a batch into Athena's types.

    Raises
    ------
    QueryFailedError
        For columns that UNLOAD does not take: twice of one name, of unknown type, or with a time zone.
    """
    reader: pa.RecordBatchReader = cursor.to_arrow_reader(_ROWS_AT_ONCE)
    _check_columns(reader.schema.names, types)
    writers = [_Writer(folder, compression) for _ in range(_WRITERS)]
    rows = 0
    try:
        for batch in reader:
            table = convert(pa.Table.from_batches([batch]))
            share = -(-table.num_rows // _WRITERS)
            for index, writer in enumerate(writers):
                writer.write(table.slice(index * share, share))
            rows += table.num_rows
    finally:
        for writer in writers:
            writer.close()
    return rows


def _check_columns(names: Sequence[str], types: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        raise QueryFailedError("SYNTAX_ERROR: Column name specified more than once")
    for name, kind in zip(names, types, strict=True):
        athena = athena_type(kind)[0]
        if athena == "unknown":
            raise QueryFailedError(f"SYNTAX_ERROR: Column type is unknown: {name}")
        if athena == "timestamp with time zone":
            raise QueryFailedError(f"NOT_SUPPORTED: Unsupported Hive type: timestamp(3) with time zone: {name}")


class _Writer:
    """Writes one file after another, each once there is a row for it."""

    def __init__(self, folder: Path, compression: str) -> None:
        self._folder, self._compression = folder, compression
        self._waiting: list[pa.Table] = []
        self._rows = 0
        self._file: pq.ParquetWriter | None = None
        self._path = folder

    def write(self, table: pa.Table) -> None:
        if not table.num_rows:
            return
        self._waiting.append(table)
        self._rows += table.num_rows
        if self._rows >= _ROWS_PER_GROUP:
            self._flush()
            if self._path.stat().st_size >= _BYTES_PER_FILE:
                self.close()

    def close(self) -> None:
        self._flush()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _flush(self) -> None:
        if not self._waiting:
            return
        table = pa.concat_tables(self._waiting)
        if self._file is None:
            self._path = self._folder / str(uuid.uuid4())
            self._file = pq.ParquetWriter(
                self._path, table.schema, compression=self._compression, use_deprecated_int96_timestamps=True
            )
        self._file.write_table(table)
        self._waiting, self._rows = [], 0
