"""Reads what a Parquet file says of itself at its end: columns, rows, and what was kept beside its schema.

A function that looks at no row needs no library of hundreds of megabytes for it. The footer is one struct of Thrift's
compact protocol; see https://github.com/apache/parquet-format (``parquet.thrift``) and
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from everloop.exceptions import TerminalError

MAGIC = b"PAR1"
TAIL_BYTES = 65_536
"""Read at once from the end of a file; a longer footer takes a second read."""

_BOOLEAN, _INT32, _INT64, _FLOAT, _DOUBLE, _BYTE_ARRAY = 0, 1, 2, 4, 5, 6
"""Physical types."""

_TEXT = 0
_WHOLE = frozenset({11, 12, 13, 14, 15, 16, 17, 18})
"""Converted types: UTF8, and the integers by their width. Others of an integer are dates, times and decimals."""

_ROOT_FIELDS = {"schema": 2, "rows": 3, "metadata": 5}
_STRING, _INTEGER = 1, 10
"""Logical types, as fields of their union."""


class FooterError(TerminalError):
    """These bytes are not the end of a Parquet file."""


@dataclass(frozen=True)
class Footer:
    """What a file says.

    Attributes
    ----------
    kinds : dict
        "number" or "category" by column, in the file's order; columns of other types are left out.
    metadata : dict
        What was kept beside the schema.
    """

    rows: int
    kinds: dict[str, str]
    metadata: dict[str, str]


def read_footer(read_tail: Callable[[int], bytes]) -> Footer:
    """The footer of a file.

    Parameters
    ----------
    read_tail : callable
        Gives so many bytes of the file's end, or all there are.

    Raises
    ------
    FooterError
        When it is no Parquet file, or an encrypted one.
    """
    tail = read_tail(TAIL_BYTES)
    if len(tail) < 12 or tail[-4:] != MAGIC:
        raise FooterError("no Parquet file: it does not end in PAR1")
    length = int.from_bytes(tail[-8:-4], "little")
    if length + 8 > len(tail):
        tail = read_tail(length + 8)
    if length + 8 > len(tail):
        raise FooterError(f"no Parquet file: its footer would have {length} bytes, and it has {len(tail)} in all")
    try:
        root = _Compact(tail[-8 - length : -8]).struct()
        schema = root[_ROOT_FIELDS["schema"]]
        pairs = [(pair[1], pair.get(2, b"")) for pair in root.get(_ROOT_FIELDS["metadata"], [])]
        return Footer(
            rows=int(root[_ROOT_FIELDS["rows"]]),
            kinds=dict(_kinds(schema)),
            metadata={name.decode(): value.decode() for name, value in pairs},
        )
    except (IndexError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise FooterError(f"no Parquet file: its footer can't be read ({type(error).__name__}: {error})") from error


def _kinds(schema: list[dict[int, Any]]) -> list[tuple[str, str]]:
    """Of the columns that are no groups: lists and structs hold neither numbers nor categories here."""
    found, place = [], 1
    for _ in range(schema[0].get(5, 0)):
        element = schema[place]
        kind = _kind(element)
        if kind is not None:
            found.append((element[4].decode(), kind))
        place = _after(schema, place)
    return found


def _after(schema: list[dict[int, Any]], place: int) -> int:
    """The place after an element and everything below it."""
    open_children = 1
    while open_children:
        open_children += schema[place].get(5, 0) - 1
        place += 1
    return place


def _kind(element: dict[int, Any]) -> str | None:
    physical, converted, logical = element.get(1), element.get(6), element.get(10) or {}
    if element.get(5):
        return None
    if physical in (_FLOAT, _DOUBLE):
        return "number"
    if physical in (_INT32, _INT64):
        whole = _INTEGER in logical if logical else converted is None or converted in _WHOLE
        return "number" if whole else None
    if physical == _BYTE_ARRAY and (converted == _TEXT or _STRING in logical):
        return "category"
    return None


class _Compact:
    """Values of Thrift's compact protocol. Structs are dictionaries by field number; texts are bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._place = 0

    def struct(self) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        number = 0
        while (head := self._byte()) != 0:
            step, kind = head >> 4, head & 0x0F
            number = number + step if step else self._zigzag()
            fields[number] = kind == 1 if kind in (1, 2) else self._value(kind)
        return fields

    def _value(self, kind: int) -> Any:
        if kind in (1, 2):  # in a list a boolean is a byte of its own
            return self._byte() == 1
        if kind == 3:
            return self._byte()
        if kind in (4, 5, 6):
            return self._zigzag()
        if kind == 7:
            return self._bytes(8)
        if kind == 8:
            return self._bytes(self._varint())
        if kind in (9, 10):
            return self._list()
        if kind == 12:
            return self.struct()
        raise FooterError(f"no Parquet file: its footer has a value of the unknown type {kind}")

    def _list(self) -> list[Any]:
        head = self._byte()
        size = head >> 4
        size = self._varint() if size == 15 else size
        if size > len(self._content):
            raise IndexError(f"a list of {size} elements in {len(self._content)} bytes")
        return [self._value(head & 0x0F) for _ in range(size)]

    def _byte(self) -> int:
        value = self._content[self._place]
        self._place += 1
        return value

    def _bytes(self, count: int) -> bytes:
        if self._place + count > len(self._content):
            raise IndexError(f"{count} bytes at {self._place} of {len(self._content)}")
        found = self._content[self._place : self._place + count]
        self._place += count
        return found

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
