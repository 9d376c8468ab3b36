"""Runs statements on DuckDB over the objects of this cloud."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from localcloud.core.context import CloudContext
from localcloud.iam.access import Access
from localcloud.iam.guard import DeniedError
from localcloud.services.athena.exceptions import QueryCancelledError, QueryFailedError
from localcloud.services.athena.functions import MACROS
from localcloud.services.athena.partitions import partitions_of
from localcloud.services.athena.scan import LocalPartition, PartitionFiles, table_schema
from localcloud.services.athena.statement import PATH, Statement, TableUse, parse
from localcloud.services.athena.unload import write_files
from localcloud.services.glue.seam import Catalogue, NoSuchTableError
from localcloud.services.s3.seam import NoSuchBucketError, ObjectStore

_MEMORY_LIMIT = "1GB"

QUERIES_OF_A_DATABASE = 16
"""After so many queries the database is opened again: it keeps tens of kilobytes of each that it ran (58 KB of a
monitor's query with DuckDB 2.0.0, measured), and lets go of them when it is closed."""
_WHOLE_NUMBERS = frozenset({"HUGEINT", "UBIGINT", "UINTEGER", "USMALLINT", "UTINYINT", "UHUGEINT"})


@dataclass(frozen=True)
class Answer:
    """What a query came to.

    Attributes
    ----------
    table : pyarrow.Table or None
        None where the rows were written to files.
    types : tuple of str
        DuckDB's type names, column by column.
    scanned_bytes : int
        Size of the objects that were read.
    """

    table: pa.Table | None
    types: tuple[str, ...]
    rows: int
    scanned_bytes: int
    planning_seconds: float
    execution_seconds: float


class QueryEngine:
    """One DuckDB for all queries of a cloud, which run one after another.

    Parameters
    ----------
    directory : Path
        Keeps local copies of partitions; nothing else on this computer can be read by a query.
    """

    def __init__(self, context: CloudContext, directory: Path) -> None:
        self._context = context
        self._files = PartitionFiles(directory)
        self._lock = threading.Lock()
        self._directory = directory
        self._opening = threading.Lock()
        self._database: duckdb.DuckDBPyConnection | None = None
        self._queries = 0

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        with self._opening:
            if self._database is None:
                self._database = _open(self._directory)
                self._queries = 0
            return self._database.cursor()

    def _count_query(self) -> None:
        """Close a database that ran enough; cursors that others still hold keep it until they are closed."""
        with self._opening:
            self._queries += 1
            if self._database is not None and self._queries >= QUERIES_OF_A_DATABASE:
                self._database.close()
                self._database = None

    def parse(self, sql: str, database: str | None) -> Statement:
        """Parse a statement; raises `InvalidQueryError`."""
        with self._cursor() as cursor:
            return parse(sql, database, cursor)

    def run(self, statement: Statement, access: Access, cutoff_bytes: int | None, into: Path | None = None) -> Answer:
        """Run the SELECT of a statement with somebody's rights.

        Parameters
        ----------
        into : Path or None
            A folder for the files of an UNLOAD.

        Raises
        ------
        QueryFailedError
            With a message like Athena's.
        QueryCancelledError
            When more than ``cutoff_bytes`` would have to be read.
        """
        started = time.perf_counter()
        with self._lock, self._cursor() as cursor:
            sources = _Sources(self._context, access, self._files)
            try:
                prepared = [(use, *sources.prepare(use)) for use in statement.uses]
            except DeniedError as error:
                raise QueryFailedError(f"PERMISSION_DENIED: {error}") from error
            except NoSuchTableError as error:
                raise QueryFailedError(f"TABLE_NOT_FOUND: {error}") from error
            except NoSuchBucketError as error:
                raise QueryFailedError(f"HIVE_METASTORE_ERROR: {error}") from error
            scanned = sum(part.bytes for _use, _schema, parts in prepared for part in parts)
            if cutoff_bytes is not None and scanned > cutoff_bytes:
                raise QueryCancelledError(
                    f"Query cancelled! : Bytes scanned limit was exceeded: {scanned} bytes, the workgroup allows "
                    f"{cutoff_bytes}"
                )
            for index, (use, schema, parts) in enumerate(prepared):
                _create_view(cursor, f"source_{index}", schema, parts)
                _redirect(use, f"source_{index}")
            planned = time.perf_counter()
            try:
                table, types, rows = _execute(cursor, statement, into)
            finally:
                self._count_query()
        ended = time.perf_counter()
        return Answer(table, types, rows, scanned, planned - started, ended - planned)


def _open(directory: Path) -> duckdb.DuckDBPyConnection:
    database = duckdb.connect(":memory:", config={"memory_limit": _MEMORY_LIMIT, "threads": 1})
    settings = (
        f"temp_directory = '{directory / 'spilled'}'",
        f"allowed_directories = ['{directory}/']",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "enable_external_access = false",
        # Trino's meaning: integers divide to integers, nulls sort last, times are UTC.
        "integer_division = true",
        "ieee_floating_point_ops = true",
        "default_null_order = 'nulls_last'",
        "TimeZone = 'UTC'",
    )
    for setting in settings:
        database.execute(f"SET GLOBAL {setting}")
    for macro in MACROS:
        database.execute(macro)
    database.execute("SET GLOBAL lock_configuration = true")
    return database


class _Sources:
    """Tables as DuckDB reads them, with one identity's rights."""

    def __init__(self, context: CloudContext, access: Access, files: PartitionFiles) -> None:
        self._now = context.clock.now()
        self._catalogue = Catalogue(context, access)
        self._store = ObjectStore(context, access)
        self._files = files

    def prepare(self, use: TableUse) -> tuple[pa.Schema, list[LocalPartition]]:
        table = self._catalogue.table(use.database, use.table)
        schema = table_schema(table)
        if use.paths:
            schema = schema.append(pa.field(PATH, pa.string()))
        if table.partition_keys and not table.parameters.get("projection.enabled"):
            self._catalogue.require_partitions(table)
        partitions = partitions_of(table, use, self._now)
        by_bucket: dict[str, list[int]] = {}
        places = [_bucket_and_prefix(partition.location) for partition in partitions]
        for index, (bucket, _prefix) in enumerate(places):
            by_bucket.setdefault(bucket, []).append(index)
        local = []
        for bucket, indexes in by_bucket.items():
            listed = self._store.list(bucket, [places[index][1] for index in indexes])
            for index, objects in zip(indexes, listed, strict=True):
                # Hive takes names that begin with a dot or underscore for notes to itself.
                visible = [item for item in objects if item.size and item.key.rsplit("/", 1)[-1][:1] not in (".", "_")]
                if visible:
                    self._store.require_read(visible)
                    local.append(self._files.local(table, schema, partitions[index], visible))
        return schema, local


def _bucket_and_prefix(location: str) -> tuple[str, str]:
    if not location.startswith("s3://"):
        raise QueryFailedError(f"HIVE_METASTORE_ERROR: location {location!r} is not in S3")
    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    return bucket, prefix if not prefix or prefix.endswith("/") else prefix + "/"


def _create_view(
    cursor: duckdb.DuckDBPyConnection, name: str, schema: pa.Schema, parts: Sequence[LocalPartition]
) -> None:
    if parts:
        whole = ", ".join(f"'{part.path}'" for part in parts if not part.unreadable)
        selects = [f"SELECT * FROM read_parquet([{whole}])"] if whole else []
        selects += [_with_failing_columns(part) for part in parts if part.unreadable]
        cursor.execute(f"CREATE TEMP VIEW {name} AS {' UNION ALL '.join(selects)}")
        return
    empty = schema.empty_table()
    cursor.register(name, empty)


def _with_failing_columns(part: LocalPartition) -> str:
    """A partition of which some columns fail, with Athena's message, where a query reads them."""
    replaced = []
    for name, message in part.unreadable.items():
        column, text = f'"{name}"', message.replace("'", "''")
        # With the column in it, the message is not a constant: DuckDB does not raise it ahead of time.
        failing = f"error(concat('{text}', nullif({column}, {column})))"
        replaced.append(f"CASE WHEN true THEN {failing} ELSE {column} END AS {column}")
    return f"SELECT * REPLACE ({', '.join(replaced)}) FROM read_parquet(['{part.path}'])"


def _redirect(use: TableUse, view: str) -> None:
    """Make a query's mention of a table one of the view that stands for it."""
    use.node["alias"] = use.node.get("alias") or use.table
    use.node["catalog_name"] = ""
    use.node["schema_name"] = ""
    use.node["table_name"] = view
    use.node["qualified_name"] = {"path": [view]}


def _execute(
    cursor: duckdb.DuckDBPyConnection, statement: Statement, into: Path | None
) -> tuple[pa.Table | None, tuple[str, ...], int]:
    try:
        cursor.execute(statement.sql(cursor))
        types = tuple(str(column[1]) for column in cursor.description)
        athena_types = tuple("BIGINT" if kind in _WHOLE_NUMBERS else kind for kind in types)
        with warnings.catch_warnings():
            # A relation would spare the copy, but parses and binds the text twice, which here costs more.
            warnings.filterwarnings("ignore", "Arrow output on a DB-API result", UserWarning)
            if into is None:
                table = _whole_numbers(cursor.to_arrow_table(), types)
                return table, athena_types, table.num_rows
            compression = statement.unload.compression if statement.unload else "none"
            rows = write_files(cursor, athena_types, into, compression, lambda batch: _whole_numbers(batch, types))
            return None, athena_types, rows
    except duckdb.Error as error:
        if (unreadable := str(error).find("HIVE_BAD_DATA: ")) >= 0:
            raise QueryFailedError(str(error)[unreadable:]) from error
        raise QueryFailedError(f"{_error_name(error)}: {error}") from error


def _whole_numbers(table: pa.Table, types: Sequence[str]) -> pa.Table:
    """Trino's sums and counts are bigint."""
    for index, kind in enumerate(types):
        if kind in _WHOLE_NUMBERS:
            column = table.column(index)
            try:
                table = table.set_column(index, table.field(index).name, column.cast(pa.int64()))
            except pa.ArrowInvalid as error:
                raise QueryFailedError("NUMERIC_VALUE_OUT_OF_RANGE: bigint overflow") from error
    return table


def _error_name(error: duckdb.Error) -> str:
    text = str(error)
    if "Division by zero" in text:
        return "DIVISION_BY_ZERO"
    if isinstance(error, duckdb.BinderException):
        return "COLUMN_NOT_FOUND" if "column" in text.lower() else "TYPE_MISMATCH"
    if isinstance(error, duckdb.ConversionException):
        return "INVALID_CAST_ARGUMENT"
    if isinstance(error, duckdb.CatalogException):
        return "FUNCTION_NOT_FOUND"
    if isinstance(error, duckdb.InvalidInputException):
        return "INVALID_FUNCTION_ARGUMENT"
    if isinstance(error, duckdb.OutOfMemoryException):
        return "EXCEEDED_MEMORY_LIMIT"
    return "GENERIC_INTERNAL_ERROR"
