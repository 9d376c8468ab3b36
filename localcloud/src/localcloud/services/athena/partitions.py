"""Which partitions of a table a query needs, and where they are."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from localcloud.services.athena.exceptions import QueryFailedError
from localcloud.services.athena.statement import Node, TableUse
from localcloud.services.firehose.seam import format_java
from localcloud.services.glue.seam import CatalogueTable

Value = str | int
Predicate = Callable[[Value], bool]

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "COMPARE_EQUAL": lambda left, right: left == right,
    "COMPARE_LESSTHAN": lambda left, right: left < right,
    "COMPARE_LESSTHANOREQUALTO": lambda left, right: left <= right,
    "COMPARE_GREATERTHAN": lambda left, right: left > right,
    "COMPARE_GREATERTHANOREQUALTO": lambda left, right: left >= right,
}
_MIRRORED = {
    "COMPARE_EQUAL": "COMPARE_EQUAL",
    "COMPARE_LESSTHAN": "COMPARE_GREATERTHAN",
    "COMPARE_LESSTHANOREQUALTO": "COMPARE_GREATERTHANOREQUALTO",
    "COMPARE_GREATERTHAN": "COMPARE_LESSTHAN",
    "COMPARE_GREATERTHANOREQUALTO": "COMPARE_LESSTHANOREQUALTO",
}
_INTEGERS = frozenset({"tinyint", "smallint", "int", "integer", "bigint"})
_BLOCK = 512
_NOW = re.compile(r"NOW(?:([+-]\d+)(YEARS?|MONTHS?|WEEKS?|DAYS?|HOURS?|MINUTES?|SECONDS?))?")
_STEPS = {"DAYS": timedelta(days=1), "HOURS": timedelta(hours=1), "MINUTES": timedelta(minutes=1)}
_STRPTIME = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}


@dataclass(frozen=True)
class Partition:
    """A part of a table: its values by key, and the S3 prefix of its objects."""

    values: tuple[str, ...]
    location: str


def partitions_of(table: CatalogueTable, use: TableUse, now: datetime) -> list[Partition]:
    """The partitions that can hold rows a query asks for.

    Conditions on partition keys that compare with constants are used, as far as the WHERE clause demands all
    of them; anything else leaves the partitions in.

    Raises
    ------
    QueryFailedError
        When the table's projection can not be understood.
    """
    if not table.partition_keys:
        return [Partition((), table.location)]
    predicates = [_predicates(key, use) for key in table.partition_keys]
    if table.parameters.get("projection.enabled", "").lower() == "true":
        found = _projected(table, predicates, now)
    else:
        found = (Partition(values, location) for values, location in table.partitions)
    return [partition for partition in found if _wanted(table, partition, predicates)]


def _wanted(table: CatalogueTable, partition: Partition, predicates: Sequence[Sequence[Predicate]]) -> bool:
    return all(
        predicate(_typed(value, key))
        for key, value, demanded in zip(table.partition_keys, partition.values, predicates, strict=True)
        for predicate in demanded
    )


def _typed(value: str, key: Mapping[str, str]) -> Value:
    return int(value) if key["Type"].lower() in _INTEGERS else value


def _predicates(key: Mapping[str, str], use: TableUse) -> list[Predicate]:
    return [found for condition in use.conditions if (found := _predicate(condition, key, use)) is not None]


def _predicate(condition: Node, key: Mapping[str, str], use: TableUse) -> Predicate | None:
    kind = condition["type"]
    if kind in _COMPARISONS:
        left, right = condition["left"], condition["right"]
        if not _is_key(left, key, use):
            left, right, kind = right, left, _MIRRORED[kind]
        constant = _constant(right, key)
        if not _is_key(left, key, use) or constant is None:
            return None
        compare = _COMPARISONS[kind]
        return lambda value: compare(value, constant)
    if kind == "COMPARE_BETWEEN" and _is_key(condition["input"], key, use):
        lower, upper = _constant(condition["lower"], key), _constant(condition["upper"], key)
        if lower is None or upper is None:
            return None
        return lambda value: lower <= value <= upper  # type: ignore[operator]  # both are of the column's type
    if kind == "COMPARE_IN" and _is_key(condition["children"][0], key, use):
        members = [_constant(child, key) for child in condition["children"][1:]]
        if None in members:
            return None
        return lambda value: value in members
    return None


def _is_key(node: Node, key: Mapping[str, str], use: TableUse) -> bool:
    if node.get("class") != "COLUMN_REF":
        return False
    *qualifier, name = (part.lower() for part in node["column_names"])
    return name == key["Name"].lower() and (not qualifier or qualifier[-1] == use.alias.lower())


def _constant(node: Node, key: Mapping[str, str]) -> Value | None:
    """The constant that ``node`` is, comparable with values of ``key``, or None."""
    is_cast = node.get("class") == "CAST" and key["Type"].lower() == "date"
    literal = (node["child"] if is_cast else node).get("literal")
    if not isinstance(literal, dict):
        return None
    is_integer = key["Type"].lower() in _INTEGERS
    if is_integer != (literal["kind"] == "INTEGER") or literal["kind"] not in ("INTEGER", "STRING"):
        return None
    return int(literal["text"]) if is_integer else literal["text"]


def _projected(table: CatalogueTable, predicates: Sequence[Sequence[Predicate]], now: datetime) -> Iterator[Partition]:
    """Partitions of a projected table whose values are wanted, key by key."""
    columns = []
    for key, demanded in zip(table.partition_keys, predicates, strict=True):
        values = _projected_values(table, key["Name"], now)
        for predicate in demanded:
            values = [value for value in values if predicate(_typed(value, key))]
        columns.append(values)
    template = table.parameters.get("storage.location.template")
    for values in itertools.product(*columns):
        named = dict(zip((key["Name"] for key in table.partition_keys), values, strict=True))
        if template:
            location = template
            for name, value in named.items():
                location = location.replace("${" + name + "}", value)
        else:
            path = "".join(f"{name}={value}/" for name, value in named.items())
            location = f"{table.location.rstrip('/')}/{path}"
        yield Partition(values, location)


def _projected_values(table: CatalogueTable, name: str, now: datetime) -> Iterable[str]:
    def option(suffix: str, default: str | None = None) -> str:
        value = table.parameters.get(f"projection.{name}.{suffix}", default)
        if value is None:
            raise _invalid(table, f"projection.{name}.{suffix} is missing")
        return value

    kind = option("type")
    if kind == "enum":
        return (value.strip() for value in option("values").split(","))
    if kind == "integer":
        first, last = (int(value) for value in option("range").split(","))
        digits = int(option("digits", "0"))
        return (str(value).zfill(digits) for value in range(first, last + 1, int(option("interval", "1"))))
    if kind == "date":
        pattern = option("format")
        unit = option("interval.unit", "DAYS")
        step = _STEPS.get(unit)
        if step is None:
            raise _invalid(table, f"projection.{name}.interval.unit {unit!r} is none of {sorted(_STEPS)}")
        begin, end = (_moment(table, text.strip(), pattern, now) for text in option("range").split(","))
        step *= int(option("interval", "1"))
        return _dates(begin, (end - begin) // step, step, pattern)
    raise _invalid(table, f"projection.{name}.type {kind!r} is none of date, enum, integer")


def _dates(first: datetime, steps: int, step: timedelta, pattern: str) -> tuple[str, ...]:
    """``steps + 1`` dates from ``first`` on, as text."""
    # Every query asks for years of dates, up to a NOW that moves: they are kept by the block.
    blocks = -(-(steps + 1) // _BLOCK)
    return tuple(itertools.chain.from_iterable(_block(first, n, step, pattern) for n in range(blocks)))[: steps + 1]


@lru_cache(maxsize=256)
def _block(first: datetime, number: int, step: timedelta, pattern: str) -> tuple[str, ...]:
    start = number * _BLOCK
    stop = min(start + _BLOCK, (datetime.max - first) // step + 1)
    return tuple(format_java(pattern, first + index * step) for index in range(start, stop))


def _moment(table: CatalogueTable, text: str, pattern: str, now: datetime) -> datetime:
    if match := _NOW.fullmatch(text):
        amount, unit = match.groups()
        if unit is None:
            return now.replace(tzinfo=None)
        unit = unit if unit.endswith("S") else unit + "S"
        if unit not in _STEPS:
            raise _invalid(table, f"{text!r}: only DAYS, HOURS and MINUTES are supported here")
        return now.replace(tzinfo=None) + int(amount) * _STEPS[unit]
    directives = re.sub(r"([A-Za-z])\1*", lambda match: _STRPTIME.get(match[0], match[0]), pattern)
    try:
        return datetime.strptime(text, directives)
    except ValueError:
        raise _invalid(table, f"{text!r} does not have the format {pattern!r}") from None


def _invalid(table: CatalogueTable, sentence: str) -> QueryFailedError:
    return QueryFailedError(f"INVALID_TABLE_PROPERTY: table {table.database}.{table.name}: {sentence}")
