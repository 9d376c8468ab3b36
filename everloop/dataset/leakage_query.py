"""What is counted of a training set's frozen rows to find leakage suspects: a row of numbers for each feature.

The queries are such that Trino (Athena) and DuckDB read alike. How well a feature tells the outcome alone is asked of
about ``LOOKED_AT`` rows, which their keys' hashes choose, as they choose the halves to learn and to look.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from everloop.dataset.athena import AthenaQueries
from everloop.dataset.content_hash import milliseconds
from everloop.dataset.frozen import Place
from everloop.dataset.lake_sql import timestamp
from everloop.dataset.leakage import FeatureSigns
from everloop.dataset.snapshot_counts import Counts, Measure, Row, in_chunks, number

if TYPE_CHECKING:
    from everloop.model_file.schema import Feature, ModelDeclaration

LOOKED_AT = 200_000
BINS = 50
"""Of a number, with about as many rows each; equal values are never parted, and what is missing is one more."""

FEATURES_IN_A_QUERY = 50

LARGEST = "1E15"
"""Numbers beyond it are left out of the correlation with time: engines differ on sums of their squares."""


def count_signs(
    queries: AthenaQueries, declaration: ModelDeclaration, place: Place, counts: Counts, boundary: datetime
) -> list[FeatureSigns]:
    """The signs of every feature, in declared order."""
    data, groups = declaration.data, _feature_groups(declaration)
    answers = queries.all_rows(sign_queries(declaration, place, counts.rows, boundary))
    alone = {
        group[int(row["i"] or 0) - 1].name: row
        for group, answer in zip(groups, answers[: len(groups)], strict=True)
        for row in answer
    }
    told: dict[str, str | None] = {}
    for (row,) in answers[len(groups) :]:
        told.update(row)
    return [_signs(place_, feature, alone.get(feature.name, {}), told) for place_, feature in enumerate(data.features)]


def sign_queries(declaration: ModelDeclaration, place: Place, rows: int, boundary: datetime) -> list[str]:
    """What :func:`count_signs` asks of so many rows."""
    alone = [alone_query(place, group, rows) for group in _feature_groups(declaration)]
    return [*alone, *_plain_queries(declaration, place, boundary)]


def alone_query(place: Place, features: Sequence[Feature], rows: int) -> str:
    """How well each feature, all of one type, tells the outcomes of the half of the rows that it was not learned on."""
    columns = ", ".join(f'"{f.name}"' for f in features)
    cell = "v"
    if features[0].type == "number":
        cell = f"CASE WHEN v IS NULL THEN -1 ELSE CAST(floor({BINS}E0 * (n_upto - n_here) / n_all) AS BIGINT) END"
    # Of a row, h is its half; of a value, n, s and q count rows and sum outcomes and their squares. Of a cell c, the
    # same by half, and m is what it says of an outcome: as its rows of one half have it, drawn a little to the mean.
    return f"""WITH halved AS (
  SELECT {columns}, "label", CASE WHEN substr(to_hex(sha256(to_utf8("key"))), 9, 1) < '8' THEN 0 ELSE 1 END AS h
  FROM {place.rows(features)} {_chosen(rows)}
), counted AS (
  SELECT i, v, h, count(*) AS n, sum("label") AS s, sum("label" * "label") AS q
  FROM halved CROSS JOIN UNNEST(ARRAY[{columns}]) WITH ORDINALITY AS cells (v, i) GROUP BY 1, 2, 3
), placed AS (
  SELECT i, v, h, n, s, q, sum(n) OVER (PARTITION BY i ORDER BY v NULLS LAST) AS n_upto,
    sum(n) OVER (PARTITION BY i, v) AS n_here, sum(n) OVER (PARTITION BY i) AS n_all
  FROM counted
), celled AS (
  SELECT i, {cell} AS c, h, n, s, q FROM placed
), cells AS (
  SELECT i, c, sum(CASE WHEN h = 0 THEN n ELSE 0 END) AS n0, sum(CASE WHEN h = 0 THEN s ELSE 0E0 END) AS s0,
    sum(CASE WHEN h = 1 THEN n ELSE 0 END) AS n1, sum(CASE WHEN h = 1 THEN s ELSE 0E0 END) AS s1,
    sum(CASE WHEN h = 1 THEN q ELSE 0E0 END) AS q1
  FROM celled GROUP BY i, c
), meant AS (
  SELECT i, n1, s1, q1, (s0 + sum(s0) OVER (PARTITION BY i)
    / CASE WHEN sum(n0) OVER (PARTITION BY i) > 0 THEN sum(n0) OVER (PARTITION BY i) ELSE 1 END)
    / (n0 + 1) AS m
  FROM cells
), ordered AS (
  SELECT i, n1, s1, q1, m, sum(n1 - s1) OVER (PARTITION BY i ORDER BY m) AS z_upto,
    sum(n1 - s1) OVER (PARTITION BY i, m) AS z_here
  FROM meant
)
SELECT i, CAST(sum(n1) AS BIGINT) AS looked_at, sum(s1) AS total, sum(s1 * (z_upto - z_here / 2E0)) AS pairs,
  sum(q1 - 2E0 * m * s1 + n1 * m * m) AS unexplained, sum(q1) AS squares
FROM ordered GROUP BY i"""


def _chosen(rows: int) -> str:
    if rows <= LOOKED_AT:
        return ""
    limit = f"{LOOKED_AT * 16**8 // rows:08X}"
    return f"WHERE substr(to_hex(sha256(to_utf8(\"key\"))), 1, 8) < '{limit}'"


def _plain_queries(declaration: ModelDeclaration, place: Place, boundary: datetime) -> Iterator[str]:
    for chunk in in_chunks(_measures(declaration, boundary)):
        about = {measure.column for measure in chunk}
        features = [f for f in declaration.data.features if f.name in about]
        expressions = ", ".join(f"{measure.sql} AS {measure.name}" for measure in chunk)
        yield f"SELECT {expressions}\nFROM {place.rows(features)}"


def _measures(declaration: ModelDeclaration, boundary: datetime) -> Iterator[Measure]:
    late = f'"time" > {timestamp(boundary)}'
    yield Measure("rows_", "count(*)")
    yield Measure("positives", 'count_if("label" = 1E0)')
    yield Measure("late_rows", f"count_if({late})")
    for place, feature in enumerate(declaration.data.features):
        name = f'"{feature.name}"'
        yield Measure(f"missing_{place}", f"count_if({name} IS NULL)", feature.name)
        yield Measure(f"missing_positives_{place}", f'count_if({name} IS NULL AND "label" = 1E0)', feature.name)
        yield Measure(f"late_missing_{place}", f"count_if({name} IS NULL AND {late})", feature.name)
        if feature.type == "number":
            since = f"CAST({milliseconds(chr(34) + 'time' + chr(34))} AS DOUBLE)"
            kept = f"CASE WHEN abs({name}) < {LARGEST} THEN {name} END"
            yield Measure(f"time_correlation_{place}", f"corr({kept}, {since})", feature.name)


def _signs(place: int, feature: Feature, alone: Row, told: Row) -> FeatureSigns:
    def whole(name: str) -> int:
        return int(told[name] or 0)

    looked_at, total = int(alone.get("looked_at") or 0), number(alone.get("total")) or 0.0
    missing, positives = whole(f"missing_{place}"), whole("positives")
    correlation = number(told.get(f"time_correlation_{place}"))
    return FeatureSigns(
        name=feature.name,
        rows=looked_at,
        positives=round(total) if 0 <= total <= looked_at else 0,
        pairs=number(alone.get("pairs")) or 0.0,
        unexplained=number(alone.get("unexplained")) or 0.0,
        spread=(number(alone.get("squares")) or 0.0) - (total * total / looked_at if looked_at else 0.0),
        present=whole("rows_") - missing,
        present_positives=positives - whole(f"missing_positives_{place}"),
        missing=missing,
        missing_positives=whole(f"missing_positives_{place}"),
        late_missing=whole(f"late_missing_{place}"),
        late_rows=whole("late_rows"),
        time_correlation=correlation if correlation is not None and math.isfinite(correlation) else None,
    )


def _feature_groups(declaration: ModelDeclaration) -> list[Sequence[Feature]]:
    return [*_groups(declaration.data.numbers), *_groups(declaration.data.categories)]


def _groups(features: Sequence[Feature]) -> Iterator[Sequence[Feature]]:
    for start in range(0, len(features), FEATURES_IN_A_QUERY):
        yield features[start : start + FEATURES_IN_A_QUERY]
