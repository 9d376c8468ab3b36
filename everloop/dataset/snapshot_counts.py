"""What is counted of a training set's frozen rows, and what its contract makes of the counts.

A query answers with one row, however many rows it counts. Wide declarations are counted by several.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from everloop.dataset import rule_words
from everloop.dataset.content_hash import milliseconds
from everloop.dataset.frozen import Place
from everloop.dataset.lake_sql import double
from everloop.dataset.row_conditions import RowCondition, row_conditions
from everloop.dataset.set_rules import (
    age_violations,
    alike_violations,
    balance_violations,
    class_violations,
    size_violations,
)
from everloop.dataset.violations import MAX_EXAMPLES, MOST_TOLD, Violation
from everloop.lake_tables import SUPERSEDED
from everloop.problem_types import BINARY, MULTICLASS
from everloop.shown import shown

if TYPE_CHECKING:
    from everloop.model_file.schema import Feature, ModelDeclaration

Row = Mapping[str, str | None]
"""A row of an answer: text by column."""

MOST_EXPRESSIONS = 300
MOST_BYTES = 200_000
"""Of one query, where one expression alone is no longer. Athena takes 262,144 bytes, and compiles every expression."""


@dataclass(frozen=True)
class NumberFacts:
    """Of a number's cells that are not missing; None where all are."""

    least: float | None
    greatest: float | None
    mean: float | None


@dataclass(frozen=True)
class Counts:
    """What was counted.

    Attributes
    ----------
    rows, unlabelled, superseded : int
        Labelled rows, rows without a label, and rows that gave way to others of their key.
    first, last : datetime or None
        The times of the labelled rows; None where there are none.
    lowest, highest : float or None
        Of the finite labels.
    positives : int
        Labels that are 1.
    classes : tuple of int
        Of several classes, the rows of each.
    broken : dict
        By the place of each condition in :func:`everloop.dataset.row_conditions.row_conditions`, the rows that meet it.
    missing : dict
        Of each feature, the rows that lack it.
    numbers, distinct : dict
        Of each number feature, and how many values each category feature has.
    """

    rows: int
    unlabelled: int
    superseded: int
    first: datetime | None
    last: datetime | None
    lowest: float | None
    highest: float | None
    positives: int
    broken: dict[int, int]
    missing: dict[str, int]
    numbers: dict[str, NumberFacts]
    distinct: dict[str, int]
    classes: tuple[int, ...] = ()


def count_queries(declaration: ModelDeclaration, place: Place) -> list[str]:
    """The queries whose answers :func:`read_counts` takes, in their order: the first one is of all frozen rows."""
    whole = f"""SELECT count_if("label" IS NULL) AS unlabelled, coalesce(sum({SUPERSEDED}), 0) AS superseded
FROM {place.rows(labelled=False)}"""
    return [whole, *(_count(declaration, place, chunk) for chunk in in_chunks(_measures(declaration)))]


@dataclass(frozen=True)
class Measure:
    """An expression over rows, what it is called, and the column that it is about."""

    name: str
    sql: str
    column: str = ""


def _count(declaration: ModelDeclaration, place: Place, measures: Sequence[Measure]) -> str:
    about = {measure.column for measure in measures}
    features = [f for f in declaration.data.features if f.name in about]
    expressions = ", ".join(f"{measure.sql} AS {measure.name}" for measure in measures)
    return f"SELECT {expressions}\nFROM {place.rows(features)}"


def in_chunks(measures: Iterable[Measure]) -> Iterator[list[Measure]]:
    """The expressions by the query, none of which has too many."""
    chunk: list[Measure] = []
    size = 0
    for measure in measures:
        length = len(measure.sql.encode()) + 3 * len(measure.column)
        if chunk and (len(chunk) == MOST_EXPRESSIONS or size + length > MOST_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(measure)
        size += length
    if chunk:
        yield chunk


def read_counts(declaration: ModelDeclaration, answers: Sequence[Sequence[Row]]) -> Counts:
    """The counts of the answers to :func:`count_queries`."""
    told: dict[str, str | None] = {}
    for (row,) in answers:
        told.update(row)
    data = declaration.data
    return Counts(
        rows=_whole(told["rows_"]),
        unlabelled=_whole(told["unlabelled"]),
        superseded=_whole(told["superseded"]),
        first=_instant(told["first_ms"]),
        last=_instant(told["last_ms"]),
        lowest=number(told["lowest"]),
        highest=number(told["highest"]),
        positives=_whole(told["positives"]),
        broken={i: _whole(told[f"broken_{i}"]) for i, _ in enumerate(row_conditions(declaration))},
        missing={f.name: _whole(told[f"missing_{i}"]) for i, f in enumerate(data.features)},
        numbers={
            f.name: NumberFacts(*(number(told[f"{what}_{i}"]) for what in ("least", "greatest", "mean")))
            for i, f in enumerate(data.features)
            if f.type == "number"
        },
        distinct={f.name: _whole(told[f"distinct_{i}"]) for i, f in enumerate(data.features) if f.type != "number"},
        classes=tuple(_whole(told[f"class_{i}"]) for i, _ in enumerate(declaration.problem.classes or [])),
    )


def _measures(declaration: ModelDeclaration) -> Iterator[Measure]:
    finite = 'CASE WHEN is_finite("label") THEN "label" END'
    yield Measure("rows_", "count(*)")
    yield Measure("first_ms", milliseconds('min("time")'))
    yield Measure("last_ms", milliseconds('max("time")'))
    yield Measure("lowest", f"min({finite})")
    yield Measure("highest", f"max({finite})")
    yield Measure("positives", 'count_if("label" = 1E0)')
    for place, _ in enumerate(declaration.problem.classes or []):
        yield Measure(f"class_{place}", f'count_if("label" = {double(float(place))})')
    for place, condition in enumerate(row_conditions(declaration)):
        yield Measure(f"broken_{place}", condition.count, condition.column)
    for place, feature in enumerate(declaration.data.features):
        yield from (Measure(f"{what}_{place}", sql, feature.name) for what, sql in _of_feature(feature).items())


def _of_feature(feature: Feature) -> dict[str, str]:
    name = f'"{feature.name}"'
    missing = {"missing": f"count_if({name} IS NULL)"}
    if feature.type == "number":
        return {**missing, "least": f"min({name})", "greatest": f"max({name})", "mean": f"avg({name})"}
    return {**missing, "distinct": f"count(DISTINCT {name})"}


def broken_conditions(declaration: ModelDeclaration, counts: Counts) -> list[tuple[RowCondition, int]]:
    """The conditions that some row meets, with how many do."""
    return [(c, counts.broken[i]) for i, c in enumerate(row_conditions(declaration)) if counts.broken[i]]


def example_queries(
    declaration: ModelDeclaration, place: Place, broken: Sequence[tuple[RowCondition, int]]
) -> list[str]:
    """The queries whose answers :func:`violations` takes: a few keys and values of each condition, the oldest first.

    The first is of the labels there are, for the rule about classes. Of more conditions than an error tells, the rest
    have no examples.
    """
    labels = f"""SELECT DISTINCT "label" AS label FROM {place.rows()}
WHERE is_finite("label") ORDER BY 1 LIMIT 3"""
    features = {f.name: f for f in declaration.data.features}
    selects = []
    for number_, (condition, _) in enumerate(broken[:MOST_TOLD]):
        feature = features.get(condition.column)
        rows = place.rows([feature] if feature else [])
        selects.append(Measure(f"e{number_}", _examples(rows, number_, condition)))
    return [labels, *(" UNION ALL ".join(select.sql for select in chunk) for chunk in in_chunks(selects))]


def _examples(rows: str, number_: int, condition: RowCondition) -> str:
    column = f'"{condition.column}"'
    if not condition.broken:
        return f"""SELECT * FROM (
  SELECT {number_} AS rule, {column} AS k, {column} AS v FROM {rows}
  GROUP BY {column} HAVING count({column}) > 1 ORDER BY {column} LIMIT {MAX_EXAMPLES}
) e{number_}"""
    value = f"CAST({column} AS VARCHAR)" if condition.shows else "CAST(NULL AS VARCHAR)"
    return f"""SELECT * FROM (
  SELECT {number_} AS rule, "key" AS k, {value} AS v FROM {rows}
  WHERE {condition.broken} ORDER BY "time", "key" LIMIT {MAX_EXAMPLES}
) e{number_}"""


def violations(
    declaration: ModelDeclaration,
    counts: Counts,
    as_of: datetime,
    examples: Sequence[Sequence[Row]] = (),
) -> list[Violation]:
    """Every rule of the contract that the labelled rows break.

    Parameters
    ----------
    examples : sequence
        The answers to :func:`example_queries`, where a row breaks a rule.
    """
    data = declaration.data
    kinds = {"label": "number", **{f.name: f.type for f in data.features}}
    found = [
        _violation(condition, count, place, kinds.get(condition.column, "text"), examples)
        for place, (condition, count) in enumerate(broken_conditions(declaration, counts))
    ]
    found += size_violations(declaration, counts.rows, counts.missing)
    if counts.rows and declaration.problem.type == MULTICLASS:
        found += class_violations(declaration, counts.classes, "labelled rows")
    elif counts.rows:
        classification = declaration.problem.type == BINARY
        alike = alike_violations(
            counts.rows, counts.lowest, counts.highest, "labelled rows", classification=classification
        )
        found += alike
        if classification and not alike:
            found += balance_violations(counts.positives, counts.rows, data.positive_rate)
    return found + age_violations(counts.last, declaration, as_of)


def _violation(
    condition: RowCondition, count: int, place: int, kind: str, answers: Sequence[Sequence[Row]]
) -> Violation:
    labels, *rows = answers or ([],)
    rule = condition.rule
    if condition.code == "label_not_binary":
        rule = rule_words.not_binary([float(row["label"] or 0) for row in labels])
    examples = tuple(
        _example(condition, row, kind) for answer in rows for row in answer if _whole(row["rule"]) == place
    )
    return Violation(condition.code, condition.column, count, rule_words.in_rows(count, rule), examples)


def _example(condition: RowCondition, row: Row, kind: str) -> str:
    at = f"key {row['k']!r}"
    if not condition.shows:
        return at
    value = number(row["v"]) if kind == "number" else row["v"]
    return f"{at}, has {shown(value)}"


def number(text: str | None) -> float | None:
    """A number of an answer; None where it is null."""
    return None if text is None else float(text)


def _whole(text: str | None) -> int:
    return int(text or 0)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(text))


def quartiles_of(ranked: Sequence[tuple[float, int, int]], total: int) -> list[float]:
    """The quartiles as numpy's linear interpolation has them.

    Parameters
    ----------
    ranked : sequence of (value, rows before it, rows up to it)
        Values in rising order; every rank that is needed lies in one of them.
    total : int
        Rows with a value.
    """
    return [_quartile(ranked, (total - 1) * quarter) for quarter in (1, 2, 3)]


def _quartile(ranked: Sequence[tuple[float, int, int]], quarters: int) -> float:
    """The value at the rank of so many quarters."""
    rank, rest = divmod(quarters, 4)
    low = _at(ranked, rank)
    if not rest:
        return low
    high, share = _at(ranked, rank + 1), rest / 4
    step = high - low
    if math.isinf(step):
        return low * (1 - share) + high * share
    return low + step * share if share < 0.5 else high - step * (1 - share)


def _at(ranked: Sequence[tuple[float, int, int]], rank: int) -> float:
    return next(value for value, before, upto in ranked if before <= rank < upto)
