"""Converts JSON records to Parquet by a table's columns, as Firehose does with the OpenX JSON SerDe."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.json as pa_json
import pyarrow.parquet as pq

from localcloud.services.firehose.destination import Conversion
from localcloud.services.firehose.exceptions import RecordNotConvertedError
from localcloud.services.glue.seam import arrow_type

_MALFORMED = "DataFormatConversion.MalformedData"
_DECODER = json.JSONDecoder()
_INTEGER_BOUNDS = {
    pa.int8(): 2**7,
    pa.int16(): 2**15,
    pa.int32(): 2**31,
    pa.int64(): 2**63,
}


@dataclass(frozen=True)
class RejectedRecord:
    """A record that does not convert, and why."""

    data: bytes
    code: str
    message: str


@dataclass(frozen=True)
class Converted:
    """The Parquet bytes of the records that convert (None when none does), and the others."""

    parquet: bytes | None
    rows: int
    rejected: tuple[RejectedRecord, ...]


def columns_schema(columns: Sequence[Mapping[str, str]]) -> pa.Schema:
    """The Arrow schema of Glue columns (``Name``, ``Type``)."""
    return pa.schema([(column["Name"].lower(), arrow_type(column["Type"])) for column in columns])


def convert(records: Sequence[bytes], schema: pa.Schema, conversion: Conversion) -> Converted:
    """Convert records, each holding one or more JSON objects.

    Parameters
    ----------
    records : sequence of bytes
        As they were put.
    schema : pa.Schema
        The table's columns.
    """
    table = _read_all(records, schema, conversion)
    rejected: tuple[RejectedRecord, ...] = ()
    if table is None:
        table, rejected = _read_each(records, schema, conversion)
    if table.num_rows == 0:
        return Converted(None, 0, rejected)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression=conversion.codec, use_deprecated_int96_timestamps=True)
    return Converted(buffer.getvalue(), table.num_rows, rejected)


def _read_all(records: Sequence[bytes], schema: pa.Schema, conversion: Conversion) -> pa.Table | None:
    """All records at once, or None when any of them is not simply one object of exactly these columns."""
    if conversion.column_keys or conversion.dots_to_underscores:
        return None
    lines = [record.strip() for record in records]
    if any(b"\n" in line or not line for line in lines):
        return None
    joined = b"\n".join(lines)
    try:
        table = pa_json.read_json(
            io.BytesIO(joined),
            read_options=pa_json.ReadOptions(use_threads=False, block_size=len(joined) + 1),
            parse_options=pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error"),
        )
    except pa.ArrowException:
        return None
    if table.num_rows != len(lines):
        return None
    return table.select(schema.names)


def _read_each(
    records: Sequence[bytes], schema: pa.Schema, conversion: Conversion
) -> tuple[pa.Table, tuple[RejectedRecord, ...]]:
    rows: list[dict[str, Any]] = []
    rejected: list[RejectedRecord] = []
    for record in records:
        try:
            rows += [_row(value, schema, conversion) for value in _objects(record)]
        except RecordNotConvertedError as error:
            rejected.append(RejectedRecord(record, error.code, str(error)))
    return pa.Table.from_pylist(rows, schema=schema), tuple(rejected)


def _objects(record: bytes) -> list[Any]:
    """The JSON objects of a record, which may follow each other without anything between them."""
    try:
        text = record.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise RecordNotConvertedError(_MALFORMED, f"Data is not UTF-8: {error}") from None
    found = []
    position = 0
    while position < len(text):
        try:
            value, position = _DECODER.raw_decode(text, position)
        except ValueError as error:
            raise RecordNotConvertedError(_MALFORMED, f"Data is not valid JSON: {error}") from None
        if not isinstance(value, dict):
            raise RecordNotConvertedError(_MALFORMED, "Data must start with a JSON object")
        found.append(value)
        while position < len(text) and text[position].isspace():
            position += 1
    if not found:
        raise RecordNotConvertedError("DataFormatConversion.EmptyData", "The record is empty")
    return found


def _row(value: Mapping[str, Any], schema: pa.Schema, conversion: Conversion) -> dict[str, Any]:
    by_key = dict(value)
    if conversion.dots_to_underscores:
        by_key = {key.replace(".", "_"): inner for key, inner in by_key.items()}
    if conversion.case_insensitive:
        by_key = {key.lower(): inner for key, inner in by_key.items()}
    row = {}
    for field in schema:
        key = conversion.column_keys.get(field.name, field.name)
        key = key.lower() if conversion.case_insensitive else key
        inner = by_key.get(key)
        try:
            row[field.name] = None if inner is None else _value(inner, field.type)
        except (ValueError, TypeError, OverflowError) as error:
            raise RecordNotConvertedError(
                _MALFORMED, f"column {field.name}: {inner!r} can not be read as {field.type}: {error}"
            ) from None
    return row


def _value(value: Any, kind: pa.DataType) -> Any:
    if pa.types.is_string(kind):
        return value if isinstance(value, str) else json.dumps(value)
    if pa.types.is_boolean(kind):
        if isinstance(value, bool):
            return value
        return str(value).lower() == "true"
    if isinstance(value, (bool, dict, list)) and not pa.types.is_nested(kind):
        raise TypeError(f"it is a {type(value).__name__}")
    if pa.types.is_floating(kind):
        return float(value)
    if pa.types.is_integer(kind):
        whole = int(value)
        if not -_INTEGER_BOUNDS[kind] <= whole < _INTEGER_BOUNDS[kind]:
            raise OverflowError("it is out of range")
        return whole
    if pa.types.is_timestamp(kind):
        return _timestamp(value)
    if pa.types.is_date(kind):
        return datetime.strptime(str(value), "%Y-%m-%d").date()
    if pa.types.is_list(kind):
        return [None if inner is None else _value(inner, kind.value_type) for inner in value]
    raise TypeError(f"{kind} is not supported")


_SPACED = re.compile(r"(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2}:\d{2})(\.\d{1,9})?(Z|[+-]\d{2}:?\d{2})?")


def _timestamp(value: Any) -> datetime:
    if isinstance(value, (int, float)):
        # The SerDe takes ten digits or fewer for seconds, more for milliseconds.
        seconds = float(value) if abs(value) < 1e11 else float(value) / 1000
        return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    match = _SPACED.fullmatch(str(value))
    if match is None:
        raise ValueError("it is neither yyyy-MM-dd HH:mm:ss[.fff] nor ISO 8601")
    day, clock, fraction, zone = match.groups()
    moment = datetime.fromisoformat(f"{day}T{clock}{(fraction or '.0')[:7]:0<7}{zone or ''}")
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
