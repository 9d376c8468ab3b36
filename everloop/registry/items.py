"""Records as DynamoDB items.

Text, numbers and truth values become attributes of their own. Nested documents are kept as canonical
JSON text: they are only read as a whole, floats survive exactly, and hashing them is well defined.
Instants become text here, and are read here: in a record they are instants.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast, get_args, get_origin, get_type_hints, is_typeddict

from everloop.instants import instant_text
from everloop.json_text import canonical_json
from everloop.registry.exceptions import CorruptRecordError, RecordTooLargeError
from everloop.shown import shown
from everloop.typed_json import JsonObject, as_json, is_made, with_instants_read

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Attribute = dict[str, object]
"""A value as DynamoDB's client speaks it, with its type: ``{"S": "…"}``."""

Item = dict[str, Attribute]
"""An item as DynamoDB's client speaks it: attribute name to value."""


MAX_ITEM_BYTES = 400 * 1024
"""DynamoDB's limit for an item, names of attributes included
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html)."""


def item_bytes(item: Item) -> int:
    """What DynamoDB counts an item as."""
    return sum(len(name) + sum(len(str(v).encode()) for v in value.values()) for name, value in item.items())


def attribute(value: str | int | float | bool) -> Attribute:
    """A plain value as DynamoDB's client speaks it."""
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int | float):
        return {"N": repr(value)}
    return {"S": str(value)}


def plain(value: Attribute) -> str | int | float | bool:
    """The plain value of an attribute written by :func:`attribute`."""
    ((kind, content),) = value.items()
    if kind == "N":
        content = str(content)
        return int(content) if content.lstrip("-").isdigit() else float(content)
    if kind == "S":
        return str(content)
    if kind == "BOOL":
        return bool(content)
    raise CorruptRecordError(f"an attribute has the type {kind}, not string or number")


@dataclass(frozen=True)
class Record:
    """A record of the table. ``DOCUMENTS`` names the fields kept as JSON text."""

    DOCUMENTS: ClassVar[frozenset[str]] = frozenset()

    @property
    def key(self) -> tuple[str, str]:
        """Partition and sort key."""
        raise NotImplementedError

    @property
    def index_attributes(self) -> dict[str, str]:
        """Attributes that only put the record into an index."""
        return {}

    def to_json(self) -> JsonObject:
        """The record as JSON values, by field name.

        Raises
        ------
        CorruptRecordError
            When a text stands where an instant belongs.
        """
        values: JsonObject = json.loads(json.dumps(fields_as_json(self)))
        return values

    def to_item(self) -> Item:
        """The record as a DynamoDB item. Fields that are None are left out.

        Raises
        ------
        CorruptRecordError
            When a field has another type than it may have: it could never be read back.
        RecordTooLargeError
            When it is more than DynamoDB takes.
        """
        partition_key, sort_key = self.key
        item: Item = {"pk": {"S": partition_key}, "sk": {"S": sort_key}}
        for name, value in self.to_json().items():
            if value is not None:
                _require_type(type(self), name, value)
                document = name in self.DOCUMENTS
                item[name] = attribute(canonical_json(value) if document else cast("str | int | float | bool", value))
        item |= {name: {"S": value} for name, value in self.index_attributes.items()}
        size = item_bytes(item)
        if size > MAX_ITEM_BYTES:
            raise RecordTooLargeError(f"{partition_key} / {sort_key}", size, MAX_ITEM_BYTES)
        return item

    @classmethod
    def from_json(cls, document: object) -> Self:
        """Read what :meth:`to_json` wrote, by this release or another: keys that are not known here are left out.

        Raises
        ------
        CorruptRecordError
            Naming what is missing or of another type.
        """
        if not isinstance(document, dict):
            raise CorruptRecordError(f"{shown(document)} is not a valid {cls.__name__}")
        try:
            values = {field.name: document[field.name] for field in fields(cls) if field.name in document}
            for name, value in values.items():
                if value is not None:
                    _require_type(cls, name, value)
            return cls(**with_instants(cls, values))
        except (CorruptRecordError, ValueError, TypeError) as error:
            raise CorruptRecordError(f"the document is not a valid {cls.__name__}: {error}") from error

    @classmethod
    def from_item(cls, item: Item) -> Self:
        """Read the record back.

        Raises
        ------
        CorruptRecordError
            Naming the item's key and what is wrong with it.
        """
        where = f"{item.get('pk', {}).get('S')} / {item.get('sk', {}).get('S')}"
        values: dict[str, Any] = {}
        try:
            for field in fields(cls):
                if field.name in item:
                    value = plain(item[field.name])
                    values[field.name] = _document(value) if field.name in cls.DOCUMENTS else value
                    _require_type(cls, field.name, values[field.name])
                elif field.default is MISSING and field.default_factory is MISSING:
                    if NoneType not in json_types(cls)[field.name]:  # type: ignore[arg-type]  # as below
                        raise CorruptRecordError(f"it has no {field.name!r}")
                    values[field.name] = None
            record = cls(**with_instants(cls, values))
            record._require_place(item)
        except (CorruptRecordError, ValueError, TypeError, RecursionError) as error:
            raise CorruptRecordError(f"{where} is not a valid {cls.__name__}: {error}") from error
        return record

    def _require_place(self, item: Item) -> None:
        """Refuse an item whose keys, or keys in an index, are not those of its content."""
        partition_key, sort_key = self.key
        for name, value in {"pk": partition_key, "sk": sort_key, **self.index_attributes}.items():
            if item.get(name) != {"S": value}:
                raise CorruptRecordError(f"its {name} is {item.get(name)}, but its content belongs to {value}")


def _document(text: Any) -> Any:
    """A nested document. Any text but the canonical one was not written here, and might not hash at all."""
    document = json.loads(text)
    if canonical_json(document) != text:
        raise CorruptRecordError(f"{text[:100]!r} is not canonical JSON")
    return document


def _require_type(cls: type[Record], name: str, value: Any) -> None:
    allowed = json_types(cls)[name] - {NoneType}  # type: ignore[arg-type]  # mypy takes the class for one of its records
    if type(value) not in allowed:
        wanted = " or ".join(sorted(t.__name__ for t in allowed))
        raise CorruptRecordError(f"{name!r} is {type(value).__name__}, not {wanted}")


def fields_as_json(record: DataclassInstance) -> JsonObject:
    """A record's fields by name, its instants as text, those of nested documents too.

    Raises
    ------
    CorruptRecordError
        When something else stands where an instant belongs.
    """
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    for name in instants_of(type(record)):
        if values[name] is not None:
            if not isinstance(values[name], datetime):
                raise CorruptRecordError(f"{name!r} is {shown(values[name])}, not an instant")
            values[name] = instant_text(values[name])
    return {name: as_json(value) if name in _made_of(type(record)) else value for name, value in values.items()}


def with_instants(kind: type[Any], values: dict[str, Any]) -> dict[str, Any]:
    """The values of a record's fields, with its instants read from their text, those of nested documents too.

    Raises
    ------
    ValueError
        Naming the place whose text names no instant.
    """
    hints = _made_of(kind)  # type: ignore[arg-type]  # mypy takes the class for one of its records
    made = {name: with_instants_read(hint, values[name], name) for name, hint in hints.items() if name in values}
    return {**values, **made}


@cache
def _made_of(kind: type[Any]) -> dict[str, Any]:
    """The types of those fields of a record that are instants, or documents that hold some."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind) if is_made(hints[field.name])}


@cache
def instants_of(kind: type[Any]) -> frozenset[str]:
    """The fields of a record that are instants."""
    hints = get_type_hints(kind)
    return frozenset(
        field.name for field in fields(kind) if datetime in (get_args(hints[field.name]) or (hints[field.name],))
    )


@cache
def json_types(kind: type[Any]) -> dict[str, frozenset[type]]:
    """What each field of a record or a command may be, as JSON has it."""
    hints = get_type_hints(kind)
    return {field.name: frozenset(_json_types(hints[field.name])) for field in fields(kind)}


def _json_types(hint: Any) -> set[type]:
    options = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    origins = {get_origin(option) or option for option in options}
    # DynamoDB and JSON know one kind of number, and neither enumerations nor instants; a typed dict is a dict.
    found = {_json_type(origin) for origin in origins}
    return found | ({int} if float in found else set())


def _json_type(kind: Any) -> type:
    if is_typeddict(kind):
        return dict
    return str if issubclass(kind, StrEnum | datetime) else kind
