"""Reads the tensors of the Open Inference Protocol in one pass of compiled code, where they are plain JSON.

As with :mod:`everloop.serving.typed_rows` nothing is refused here: where anything is wrong, or only unusual (bytes,
wanted outputs, parameters), there is no answer, and :mod:`everloop.serving.protocols.v2` reads the document field by
field.
"""

from __future__ import annotations

import msgspec

from everloop.serving.rows import Columns
from everloop.serving.tensors import BYTES, LONGEST_GIVEN, NARROW, NUMBERS

_QUOTE = b'"'


class _Tensor(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    name: str
    shape: list[int]
    datatype: str
    data: list[bool | int | float | str | None]


class _Document(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    inputs: list[_Tensor]
    id: str | None = None


_decode = msgspec.json.Decoder(_Document).decode


def columns_of_body(body: bytes, key: str, most: int) -> Columns | None:
    """The columns of ``{"inputs": [{…}, …]}``, and its ``id``; None where it is anything else, or is not right.

    Parameters
    ----------
    key : str
        The name of the key, which no narrow floating-point number may be.
    most : int
        Rows that are taken at once.
    """
    try:
        document = _decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    inputs, given = document.inputs, document.id
    if not inputs or (given is not None and len(given) > LONGEST_GIVEN):
        return None
    rows = len(inputs[0].data)
    flat, column = [rows], [rows, 1]
    if not 0 < rows <= most:
        return None
    columns: dict[str, list[object]] = {}
    # Of each tensor the names of four fields, its name and its datatype are texts; those among its data come to them.
    texts = 1 + 6 * len(inputs) + (0 if given is None else 2)
    for tensor in inputs:
        name, shape, datatype, data = tensor.name, tensor.shape, tensor.datatype, tensor.data
        if (shape != flat and shape != column) or len(data) != rows or not 0 < len(name) <= LONGEST_GIVEN:
            return None
        strings = type(data[0]) is str if rows == 1 else sum(type(value) is str for value in data)
        if datatype == BYTES:
            texts += strings
        elif strings or datatype not in NUMBERS or (name == key and datatype in NARROW):
            return None
        columns[name] = data  # type: ignore[assignment]  # a list of what is an object
    # A document that gives a field twice has more quotes, and one with an escaped quote is read the other way.
    if len(columns) < len(inputs) or 2 * texts != body.count(_QUOTE):
        return None
    return columns, given
