"""The column types of the Glue catalogue as Arrow types."""

from __future__ import annotations

import re

import pyarrow as pa

_SIMPLE = {
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "timestamp": pa.timestamp("ms"),
    "date": pa.date32(),
    "binary": pa.binary(),
}
_DECIMAL = re.compile(r"decimal\((\d+),\s*(\d+)\)")
_SIZED_TEXT = re.compile(r"(?:varchar|char)\(\d+\)")
_ARRAY = re.compile(r"array<(.+)>")


class UnknownColumnTypeError(ValueError):
    """A column type that the local cloud does not have."""


def arrow_type(glue_type: str) -> pa.DataType:
    """The Arrow type of a Glue column type.

    Raises
    ------
    UnknownColumnTypeError
        For types such as ``struct``, ``map`` or ``uniontype``.
    """
    name = glue_type.strip().lower()
    if name in _SIMPLE:
        return _SIMPLE[name]
    if match := _DECIMAL.fullmatch(name):
        return pa.decimal128(int(match[1]), int(match[2]))
    if _SIZED_TEXT.fullmatch(name):
        return pa.string()
    if match := _ARRAY.fullmatch(name):
        return pa.list_(arrow_type(match[1]))
    raise UnknownColumnTypeError(f"column type {glue_type!r} is not supported by the local cloud")
