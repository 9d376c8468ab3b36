"""What a training set's exploration is made of: counts by the frozen rows' engine, a few hundred rows for a feature.

The queries are such that Trino (Athena) and DuckDB read alike. Nothing here grows with rows: numbers come in ``BINS``
bins, categories by their ``MOST_FREQUENT`` values, time in days.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from everloop.dataset.athena import AthenaQueries
from everloop.dataset.content_hash import EPOCH
from everloop.dataset.frozen import Place
from everloop.dataset.leakage import FeatureSigns
from everloop.dataset.leakage_query import FEATURES_IN_A_QUERY, LARGEST
from everloop.dataset.snapshot_counts import Measure, Row, in_chunks, number
from everloop.dataset.snapshot_profile import LONGEST_SHOWN
from everloop.documents.exploration import CellDocument, DayDocument, ExplorationDocument, FeatureDocument
from everloop.problem_types import REGRESSION
from everloop.shown import shortened

if TYPE_CHECKING:
    from everloop.model_file.schema import Feature, ModelDeclaration

BINS = 20
MOST_FREQUENT = 15
MOST_CORRELATED = 24
"""Number features that are correlated with each other: the first ones declared."""


def explore(
    queries: AthenaQueries, declaration: ModelDeclaration, place: Place, signs: Sequence[FeatureSigns]
) -> ExplorationDocument:
    """Everything that a training set's page shows and its ``snapshot.json`` does not have.

    Of several classes the page is about one of them against all others: that of ``place``, which the signs are of.
    """
    target, classes = declaration.data.target, declaration.problem.classes
    if classes and place.one_class is not None:
        target = f"{target}: {classes[place.one_class]}"
    groups = _feature_groups(declaration)
    asked = exploration_queries(declaration, place)
    answers = queries.all_rows(asked)
    cells: dict[str, list[Row]] = {}
    for group, answer in zip(groups, answers[: len(groups)], strict=True):
        for row in answer:
            cells.setdefault(group[int(row["i"] or 0) - 1].name, []).append(row)
    days, ((repeated,)), *pairs = answers[len(groups) :]
    told = {name: value for ((row),) in pairs for name, value in row.items()}
    names = [f.name for f in _correlated(declaration)]
    classification = declaration.problem.type != REGRESSION
    return {
        "model": declaration.model,
        "classification": classification,
        "target": target,
        "features": [_feature(each, cells.get(each.name, []), classification=classification) for each in signs],
        "days": [_day(row) for row in sorted(days, key=lambda row: int(row["d"] or 0))],
        "repeated": int(repeated["n"] or 0),
        "correlated": names,
        "correlations": [[_pair(told, one, other) for other in range(len(names))] for one in range(len(names))],
    }


def exploration_queries(declaration: ModelDeclaration, place: Place) -> list[str]:
    """What :func:`explore` asks."""
    return [
        *(_cells(place, group) for group in _feature_groups(declaration)),
        _days(place),
        _repeated(declaration, place),
        *_correlations(declaration, place),
    ]


def _cells(place: Place, features: Sequence[Feature]) -> str:
    columns = ", ".join(f'"{f.name}"' for f in features)
    counted = f"""SELECT i, v, count(*) AS n, sum("label") AS s
    FROM {place.rows(features)} CROSS JOIN UNNEST(ARRAY[{columns}]) WITH ORDINALITY AS cells (v, i)
    WHERE v IS NOT NULL GROUP BY i, v"""
    if features[0].type != "number":
        return f"""SELECT i, v, n, s FROM (
  SELECT i, v, n, s, row_number() OVER (PARTITION BY i ORDER BY n DESC, v) AS p FROM ({counted}) counted
) ranked WHERE p <= {MOST_FREQUENT}"""
    return f"""SELECT i, c, min(v) AS least, max(v) AS greatest, CAST(sum(n) AS BIGINT) AS n, sum(s) AS s FROM (
  SELECT i, v, n, s, CAST(floor({BINS}E0 * (n_upto - n) / n_all) AS BIGINT) AS c FROM (
    SELECT i, v, n, s, sum(n) OVER (PARTITION BY i ORDER BY v) AS n_upto, sum(n) OVER (PARTITION BY i) AS n_all
    FROM ({counted}) counted
  ) placed
) celled GROUP BY i, c"""


def _days(place: Place) -> str:
    return f"""SELECT date_diff('day', {EPOCH}, "time") AS d, count(*) AS n, sum("label") AS s,
  sum("label" * "label") AS q FROM {place.rows()} GROUP BY 1"""


def _repeated(declaration: ModelDeclaration, place: Place) -> str:
    features = declaration.data.features
    columns = ", ".join(f'"{f.name}"' for f in features)
    return f"""SELECT CAST(coalesce(sum(n - 1), 0) AS BIGINT) AS n FROM (
  SELECT count(*) AS n FROM {place.rows(features)} GROUP BY {columns}
) counted"""


def _correlations(declaration: ModelDeclaration, place: Place) -> Iterator[str]:
    features = _correlated(declaration)
    measures = (
        Measure(f"c_{one}_{other}", f"corr({_bounded(features[one])}, {_bounded(features[other])})", "several")
        for one, other in combinations(range(len(features)), 2)
    )
    for chunk in in_chunks(measures):
        expressions = ", ".join(f"{measure.sql} AS {measure.name}" for measure in chunk)
        yield f"SELECT {expressions}\nFROM {place.rows(features)}"


def _bounded(feature: Feature) -> str:
    return f'CASE WHEN abs("{feature.name}") < {LARGEST} THEN "{feature.name}" END'


def _correlated(declaration: ModelDeclaration) -> Sequence[Feature]:
    return declaration.data.numbers[:MOST_CORRELATED]


def _pair(told: Mapping[str, str | None], one: int, other: int) -> float | None:
    if one == other:
        return 1.0
    value = number(told.get(f"c_{min(one, other)}_{max(one, other)}"))
    return value if value is not None and math.isfinite(value) else None


def _day(row: Row) -> DayDocument:
    return {
        "day": int(row["d"] or 0),
        "rows": int(row["n"] or 0),
        "sum": number(row["s"]) or 0.0,
        "squares": number(row["q"]) or 0.0,
    }


def _feature(signs: FeatureSigns, rows: Sequence[Row], *, classification: bool) -> FeatureDocument:
    early, early_missing = signs.present + signs.missing - signs.late_rows, signs.missing - signs.late_missing
    return {
        "name": signs.name,
        "present": signs.present,
        "missing": signs.missing,
        "early_missing": early_missing / early if early else None,
        "late_missing": signs.late_missing / signs.late_rows if signs.late_rows else None,
        "alone": signs.alone(classification=classification),
        "looked_at": signs.rows,
        "cells": [_cell(row) for row in rows],
    }


def _cell(row: Row) -> CellDocument:
    found: CellDocument = {"rows": int(row["n"] or 0), "sum": number(row["s"]) or 0.0}
    if "c" in row:
        found["least"], found["greatest"] = float(row["least"] or 0), float(row["greatest"] or 0)
    else:
        found["value"] = shortened(str(row["v"]), LONGEST_SHOWN)
    return found


def _feature_groups(declaration: ModelDeclaration) -> list[Sequence[Feature]]:
    data = declaration.data
    return [
        features[start : start + FEATURES_IN_A_QUERY]
        for features in (data.numbers, data.categories)
        for start in range(0, len(features), FEATURES_IN_A_QUERY)
    ]
