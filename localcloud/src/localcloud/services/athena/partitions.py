"""Which partitions of a table a query needs, and where they are."""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from localcloud.services.athena.exceptions import QueryFailedError
from localcloud.services.athena.statement import TableUse
from localcloud.services.athena.tree import Node
from localcloud.services.firehose.seam import format_java
from localcloud.services.glue.seam import CatalogueTable

Value = str | int

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
_FIRST_YEAR_OF_FOUR_DIGITS = 1000
_NOW = re.compile(r"NOW(?:([+-]\d+)(YEARS?|MONTHS?|WEEKS?|DAYS?|HOURS?|MINUTES?|SECONDS?))?")
_STEPS = {"DAYS": timedelta(days=1), "HOURS": timedelta(hours=1), "MINUTES": timedelta(minutes=1)}
_STRPTIME = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}


@dataclass(frozen=True)
class Predicate:
    """A condition on a key's values; none below ``lowest`` or above ``highest`` meets it, where there are such."""

    holds: Callable[[Any], bool]
    lowest: Value | None = None
    highest: Value | None = None


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
        return list(_projected(table, use, predicates, now))
    registered = (Partition(values, location) for values, location in table.partitions)
    return [partition for partition in registered if _wanted(table, partition, predicates)]


def _wanted(table: CatalogueTable, partition: Partition, predicates: Sequence[Sequence[Predicate]]) -> bool:
    return all(
        list(_held(key, demanded, [value]))
        for key, value, demanded in zip(table.partition_keys, partition.values, predicates, strict=True)
    )


def _held(key: Mapping[str, str], demanded: Sequence[Predicate], values: Iterable[str]) -> Iterable[str]:
    """Those values of a key that all its predicates hold of, in their order."""
    is_integer = key["Type"].lower() in _INTEGERS
    for predicate in demanded:
        values = [value for value in values if predicate.holds(int(value) if is_integer else value)]
    return values


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
        return Predicate(
            lambda value: compare(value, constant),
            lowest=None if "LESS" in kind else constant,
            highest=None if "GREATER" in kind else constant,
        )
    if kind == "COMPARE_BETWEEN" and _is_key(condition["input"], key, use):
        lower, upper = _constant(condition["lower"], key), _constant(condition["upper"], key)
        if lower is None or upper is None:
            return None
        return Predicate(lambda value: lower <= value <= upper, lower, upper)
    if kind == "COMPARE_IN" and _is_key(condition["children"][0], key, use):
        members = [_constant(child, key) for child in condition["children"][1:]]
        if None in members:
            return None
        return Predicate(lambda value: value in members)
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


def _projected(
    table: CatalogueTable, use: TableUse, predicates: Sequence[Sequence[Predicate]], now: datetime
) -> tuple[Partition, ...]:
    """Partitions of a projected table whose values are wanted, key by key."""
    columns = tuple(
        tuple(_held(key, demanded, _projected_values(table, key["Name"], use, demanded, now)))
        for key, demanded in zip(table.partition_keys, predicates, strict=True)
    )
    names = tuple(key["Name"] for key in table.partition_keys)
    return _located(names, columns, table.parameters.get("storage.location.template"), table.location)


@lru_cache(maxsize=4)
def _located(
    names: tuple[str, ...], columns: tuple[tuple[str, ...], ...], template: str | None, location: str
) -> tuple[Partition, ...]:
    """A partition for each combination of values; kept, for a query without bounds asks for all days of decades."""
    found = []
    for values in itertools.product(*columns):
        named = dict(zip(names, values, strict=True))
        if template:
            place = template
            for name, value in named.items():
                place = place.replace("${" + name + "}", value)
        else:
            place = f"{location.rstrip('/')}/" + "".join(f"{name}={value}/" for name, value in named.items())
        found.append(Partition(values, place))
    return tuple(found)


def _projected_values(
    table: CatalogueTable, name: str, use: TableUse, demanded: Sequence[Predicate], now: datetime
) -> Iterable[str]:
    """The values of a projected key; those of dates without what ``demanded`` rules out anyway."""

    def option(suffix: str, default: str | None = None) -> str:
        value = table.parameters.get(f"projection.{name}.{suffix}", default)
        if value is None:
            raise _invalid(table, f"projection.{name}.{suffix} is missing")
        return value

    kind = option("type")
    if kind == "injected":
        return _injected(name, use)
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
        dates = range((end - begin) // step + 1)
        return _dates(begin, _possible(dates, begin, step, pattern, demanded), step, pattern)
    raise _invalid(table, f"projection.{name}.type {kind!r} is none of date, enum, injected, integer")


def _injected(name: str, use: TableUse) -> list[str]:
    """The values that the query itself names."""
    key = {"Name": name, "Type": "string"}
    named = [found for condition in use.conditions if (found := _named(condition, key, use)) is not None]
    if not named:
        raise QueryFailedError(
            f"CONSTRAINT_VIOLATION: For the injected projected partition column {name}, the WHERE clause must contain "
            "only static equality conditions, and at least one such condition must be present."
        )
    return [value for value in named[0] if all(value in others for others in named[1:])]


def _named(condition: Node, key: Mapping[str, str], use: TableUse) -> list[str] | None:
    """The constants that a condition holds a key to; None of a condition of another kind."""
    if condition["type"] == "COMPARE_EQUAL":
        sides = (condition["left"], condition["right"]), (condition["right"], condition["left"])
        nodes = [[other] for side, other in sides if _is_key(side, key, use)]
    elif condition["type"] == "COMPARE_IN" and _is_key(condition["children"][0], key, use):
        nodes = [condition["children"][1:]]
    else:
        return None
    values = [_constant(node, key) for node in nodes[0]] if nodes else [None]
    return None if None in values else [str(value) for value in values]


def _possible(dates: range, first: datetime, step: timedelta, pattern: str, demanded: Sequence[Predicate]) -> range:
    """Which of the dates, by number, the bounds of all predicates leave; all where their texts do not sort as they do.

    A query asks for a few days of years.
    """

    def text(number: int) -> str:
        return format_java(pattern, first + number * step)

    if not _sorts_by_time(pattern) or first.year < _FIRST_YEAR_OF_FOUR_DIGITS:
        return dates
    begin, end = 0, len(dates)
    for predicate in demanded:
        if isinstance(predicate.lowest, str):
            begin = max(begin, bisect_left(dates, predicate.lowest, key=text))
        if isinstance(predicate.highest, str):
            end = min(end, bisect_right(dates, predicate.highest, key=text))
    return dates[begin:end]


def _sorts_by_time(pattern: str) -> bool:
    fields = [match[0] for match in re.finditer(r"'[^']*'|([A-Za-z])\1*", pattern) if match[1]]
    return bool(fields) and fields == list(_STRPTIME)[: len(fields)]


def _dates(first: datetime, numbers: range, step: timedelta, pattern: str) -> list[str]:
    """The dates of these numbers, counted in steps from ``first`` on, as text."""
    # A query without bounds asks for years of dates, up to a NOW that moves: they are kept by the block.
    found: list[str] = []
    for number in range(numbers.start // _BLOCK, -(-numbers.stop // _BLOCK)):
        begin = number * _BLOCK
        found += _block(first, number, step, pattern)[max(numbers.start - begin, 0) : numbers.stop - begin]
    return found


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
