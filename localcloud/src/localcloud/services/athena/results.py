"""Results in Athena's formats: text values, the CSV in S3, rows of the API."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from localcloud.services.athena.exceptions import QueryFailedError

_NAMES = {
    "BOOLEAN": "boolean",
    "TINYINT": "tinyint",
    "SMALLINT": "smallint",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "FLOAT": "float",
    "DOUBLE": "double",
    "VARCHAR": "varchar",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP_S": "timestamp",
    "TIMESTAMP_MS": "timestamp",
    "TIMESTAMP_NS": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
    "BLOB": "varbinary",
    "NULL": "unknown",
    '"NULL"': "unknown",
}
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_PRECISIONS = {"tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19, "float": 17, "double": 17, "timestamp": 3}


def column_info(table: pa.Table, types: Sequence[str]) -> list[dict[str, Any]]:
    """The ``ColumnInfo`` of a result.

    Raises
    ------
    QueryFailedError
        For a column of a type that Athena does not have.
    """
    described = []
    for name, kind in zip(table.column_names, types, strict=True):
        athena, precision, scale = athena_type(kind)
        described.append(
            {
                "CatalogName": "hive",
                "SchemaName": "",
                "TableName": "",
                "Name": name,
                "Label": name,
                "Type": athena,
                "Precision": precision,
                "Scale": scale,
                "Nullable": "UNKNOWN",
                "CaseSensitive": athena == "varchar",
            }
        )
    return described


def athena_type(kind: str) -> tuple[str, int, int]:
    """Athena's name, precision and scale of a DuckDB type."""
    if match := _DECIMAL.fullmatch(kind):
        return "decimal", int(match[1]), int(match[2])
    if kind.endswith("]"):
        return "array", 0, 0
    if kind not in _NAMES:
        raise QueryFailedError(f"NOT_SUPPORTED: a result column of type {kind} has no counterpart in Athena")
    name = _NAMES[kind]
    return name, 2147483647 if name == "varchar" else _PRECISIONS.get(name, 0), 0


def text_rows(table: pa.Table) -> list[list[str | None]]:
    """Every value as Athena writes it; None for null."""
    columns = [[text(value) for value in column.to_pylist()] for column in table.columns]
    return [list(row) for row in zip(*columns, strict=True)]


def text(value: Any) -> str | None:
    """One value as Athena writes it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return java_double(value)
    if isinstance(value, datetime):
        zone = " UTC" if value.tzinfo is not None else ""
        return value.strftime("%Y-%m-%d %H:%M:%S.") + f"{value.microsecond // 1000:03d}{zone}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return " ".join(f"{byte:02x}" for byte in value)
    if isinstance(value, list):
        return "[" + ", ".join("null" if inner is None else str(text(inner)) for inner in value) + "]"
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)


def java_double(value: float) -> str:
    """A double as Java writes it: plain from a thousandth to ten million, with an exponent outside."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        plain = format(Decimal(repr(value)), "f")
        return plain if "." in plain else plain + ".0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    figures = "".join(map(str, digits))
    power = len(figures) - 1 + int(exponent)
    return f"{'-' if sign else ''}{figures[0]}.{figures[1:] or '0'}E{power}"


def csv(names: Sequence[str], rows: Sequence[Sequence[str | None]]) -> bytes:
    """The result as Athena's CSV: everything quoted, nulls empty."""
    lines = [names, *rows]
    written = (
        ",".join("" if value is None else '"' + value.replace('"', '""') + '"' for value in line) for line in lines
    )
    return ("\n".join(written) + "\n").encode()
