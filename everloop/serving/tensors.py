"""Tensors of the Open Inference Protocol: one column of rows each, as JSON or as bytes.

A column has shape ``[rows]`` or ``[rows, 1]``. Null in JSON is a missing value, and so is NaN in a floating-point
tensor: the bytes of one have no null.

Sources: https://github.com/kserve/open-inference-protocol (the REST and the binary tensor data extension).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from everloop.serving.exceptions import RequestError
from everloop.serving.request import LONGEST_NAME, kind_of
from everloop.shown import shortened, shown

BYTES = "BYTES"
FLOATS = {"FP16": "<f2", "FP32": "<f4", "FP64": "<f8"}
WHOLE = {
    **{f"INT{bits}": f"<i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": f"<u{bits // 8}" for bits in (8, 16, 32, 64)},
}
NUMBERS = {**FLOATS, **WHOLE}
"""How numpy calls each datatype of numbers, little-endian as the protocol has them."""

DATATYPES = (BYTES, *NUMBERS)

NARROW = ("FP16", "FP32")
"""What holds few whole numbers exactly, and so no keys."""

LONGEST_GIVEN = 256
"""Characters of a name or an id that a caller gives."""

_INTEGERS, _REALS = frozenset({int}), frozenset({int, float})

_LENGTH_BYTES = 4
"""Before each element of a BYTES tensor stands its length, little-endian."""


@dataclass(frozen=True)
class Column:
    """A tensor that was read: its name and one value a row, as JSON would have it."""

    name: str
    values: list[object]


def rows_of(tensor: Mapping[str, Any], name: str, most: int) -> int:
    """How many rows a tensor has, by its shape.

    Raises
    ------
    RequestError
        ``wrong_shape``, ``no_instances``, or ``too_many_instances`` above ``most``.
    """
    shape = tensor.get("shape")
    if (
        not isinstance(shape, list)
        or not all(type(size) is int and size >= 0 for size in shape)
        or len(shape) not in (1, 2)
        or shape[1:] not in ([], [1])
    ):
        raise RequestError(
            "wrong_shape", f"the tensor {name!r} has shape {shown(shape)}; send [rows] or [rows, 1]", field=name
        )
    rows: int = shape[0]
    if not rows:
        raise RequestError("no_instances", f"the tensor {name!r} has no rows; send 1 or more", field=name)
    if rows > most:
        raise RequestError(
            "too_many_instances",
            f"the tensor {name!r} has {rows} rows; at most {most} are accepted at once",
            field=name,
        )
    return rows


def datatype_of(tensor: Mapping[str, Any], name: str) -> str:
    """The datatype of a tensor.

    Raises
    ------
    RequestError
        ``wrong_type``, where it is none that is read.
    """
    datatype = tensor.get("datatype")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise RequestError(
            "wrong_type",
            f"the tensor {name!r} has datatype {shown(datatype)}; send one of {', '.join(DATATYPES)}",
            field=name,
        )
    return datatype


def from_json(data: object, datatype: str, rows: int, name: str) -> list[object]:
    """The values of a tensor whose data are JSON, flat or nested as its shape is.

    Raises
    ------
    RequestError
        ``wrong_shape`` for another number of values.
    """
    if not isinstance(data, list):
        raise RequestError(
            "wrong_type", f"the data of the tensor {name!r} are {kind_of(data)}; send a list", field=name
        )
    values = [v[0] if isinstance(v, list) and len(v) == 1 else v for v in data]
    _require_count(len(values), rows, name)
    if datatype in FLOATS:
        return [None if isinstance(v, float) and math.isnan(v) else v for v in values]
    return values


def from_bytes(data: bytes, datatype: str, rows: int, name: str) -> list[object]:
    """The values of a tensor whose data are bytes.

    Raises
    ------
    RequestError
        ``wrong_shape`` for another number of values, ``wrong_type`` for a text that is not UTF-8.
    """
    if datatype == BYTES:
        return _texts(data, rows, name)
    values = np.frombuffer(data, NUMBERS[datatype]) if len(data) == rows * _width(datatype) else None
    if values is None:
        raise RequestError(
            "wrong_shape",
            f"the tensor {name!r} has {len(data)} bytes; {rows} values of {datatype} have {rows * _width(datatype)}",
            field=name,
        )
    listed: list[object] = values.tolist()
    return [None if v != v else v for v in listed] if datatype in FLOATS else listed


def to_bytes(values: list[object], datatype: str) -> bytes:
    """The bytes of a tensor."""
    if datatype != BYTES:
        return np.array(values, NUMBERS[datatype]).tobytes()
    texts = [str(value).encode() for value in values]
    return b"".join(len(text).to_bytes(_LENGTH_BYTES, "little") + text for text in texts)


def datatype_for(values: list[object]) -> str:
    """The datatype of a column of an answer."""
    kinds = set(map(type, values))
    if kinds <= _INTEGERS:
        return "INT64"
    return "FP64" if kinds <= _REALS else BYTES


def _width(datatype: str) -> int:
    return np.dtype(NUMBERS[datatype]).itemsize


def _texts(data: bytes, rows: int, name: str) -> list[object]:
    texts: list[object] = []
    place = 0
    while place < len(data):
        begins = place + _LENGTH_BYTES
        place = begins + int.from_bytes(data[place:begins], "little")
        if place > len(data):
            raise RequestError("wrong_shape", f"the bytes of the tensor {name!r} end inside an element", field=name)
        try:
            texts.append(data[begins:place].decode())
        except UnicodeDecodeError as error:
            message = f"an element of the tensor {name!r} is {shortened(repr(data[begins:place]), LONGEST_NAME)}"
            raise RequestError("wrong_type", f"{message}, which is not UTF-8", field=name, index=len(texts)) from error
    _require_count(len(texts), rows, name)
    return texts


def _require_count(found: int, rows: int, name: str) -> None:
    if found != rows:
        raise RequestError(
            "wrong_shape", f"the tensor {name!r} has {found} values, and {rows} by its shape", field=name
        )
