"""Every query that is generated is Trino's: by its grammar, the tables' columns, and the types of what it compares.

They are run on DuckDB elsewhere. Athena is Trino; sqlglot knows the grammar and types of both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify
from sqlglot.schema import MappingSchema

from everloop import lake_tables
from everloop.dataset.exploration_query import exploration_queries
from everloop.dataset.frozen import Place
from everloop.dataset.lake_listing import LakeListing
from everloop.dataset.leakage_query import sign_queries
from everloop.dataset.row_conditions import row_conditions
from everloop.dataset.snapshot_counts import count_queries, example_queries
from everloop.dataset.snapshot_making import content_query, parts_of
from everloop.dataset.snapshot_profile import rank_queries, value_queries
from everloop.dataset.snapshot_query import snapshot_query
from everloop.dataset.standing import Period
from everloop.dataset.stratified import reached_query
from everloop.lake_tables import DATE, FROZEN, TABLES, UNLOAD
from everloop.model_file.schema import ModelDeclaration
from everloop.monitoring.fairness_query import Comparison, fairness_query
from everloop.monitoring.interval_query import interval_query
from everloop.monitoring.profile_query import features_query, profile_query, unknown_labels_query, windows_at
from everloop.monitoring.raw_scores_query import RowsApart, raw_scores_query
from everloop.recalibration.calibration import identity
from everloop.recalibration.fairness import BY
from everloop.recalibration.grouped_by import GroupBy
from everloop.recalibration.interval import Interval
from everloop.recalibration.written import Kind
from everloop.retraining.probe.making import Answered, answered_query, learned_tables, scored_table, span_query
from everloop.retraining.probe.requests import ProbeWindow
from everloop.retraining.probe.rows import window_query
from everloop.rollout.answered_query import compared_query
from everloop.rollout.shadowing import captured_rows_query
from localcloud.services.athena.statement import parse
from tests.helpers.declarations import binary_document, declare, multiclass_document, regression_document
from tests.helpers.worst_reference import worst_reference

NOW = datetime(2013, 3, 5, 12, tzinfo=UTC)
FIRST = date(2013, 1, 1)
TYPES = {
    "string": "varchar",
    "timestamp": "timestamp",
    "double": "double",
    "int": "int",
    "bigint": "bigint",
    "array<double>": "array(double)",
}
STANDING = Period(NOW - timedelta(days=9), NOW)
NUMBERS = frozenset({"INT", "BIGINT", "DOUBLE", "DECIMAL"})


def tables(declaration: ModelDeclaration) -> dict[str, dict[str, str]]:
    found = {}
    for table in (*TABLES, FROZEN):
        columns = {name: TYPES[kind] for name, kind in table.columns(declaration.data.features)}
        columns |= {DATE: "varchar"} if table.daily else {}
        columns |= {UNLOAD: "varchar"} if table.unloaded else {"$path": "varchar"}
        found[f"{declaration.model}_{table.kind}"] = columns
    return found


def stratified(declaration: ModelDeclaration) -> ModelDeclaration:
    """The same, with a test part that has rows of each class."""
    split = declaration.data.split.model_copy(
        update={"strategy": "stratified", "rows_of_each_class": 50, "most_test_days": 90}
    )
    return declaration.model_copy(update={"data": declaration.data.model_copy(update={"split": split})})


def grouped(declaration: ModelDeclaration) -> ModelDeclaration:
    """The same, with groups of its first category held out."""
    split = declaration.data.split.model_copy(
        update={"strategy": "grouped", "group": declaration.data.categories[0].name, "share": 0.2}
    )
    return declaration.model_copy(update={"data": declaration.data.model_copy(update={"split": split})})


def queries(declaration: ModelDeclaration) -> Iterator[tuple[str, str]]:
    listings = {
        "empty": LakeListing(None, None),
        "one import": LakeListing(FIRST, FIRST, ("a",), "s3://lake/history/"),
        "imports": LakeListing(FIRST, FIRST, ("a", "b"), "s3://lake/history/"),
    }
    for name, listing in listings.items():
        yield f"snapshot, {name}", snapshot_query(declaration, NOW, listing)
    place = Place("lake", declaration.model, "train-1")
    several = {
        "count": count_queries(declaration, place),
        "examples": example_queries(declaration, place, [(c, 1) for c in row_conditions(declaration)]),
        "values": value_queries(declaration, place),
        "ranks": [*rank_queries(declaration, place, 10), *rank_queries(declaration, place, 10**9)],
        "leakage": sign_queries(declaration, place, 10, NOW),
        "leakage, of many": sign_queries(declaration, place, 10**9, NOW),
        "exploration": exploration_queries(declaration, place),
        "parts": list(parts_of(declaration, place, NOW).values()),
        "parts, one of them standing": list(parts_of(declaration, place, NOW, STANDING, chosen=True).values()),
    }
    for name, found in several.items():
        yield from ((f"{name} {number}", query) for number, query in enumerate(found))
    yield "content", content_query(declaration, place, NOW)
    yield "content, a part of it standing", content_query(declaration, place, NOW, STANDING)
    if declaration.problem.type != "regression":
        yield "how far back a class reaches", reached_query(stratified(declaration), place)
    if declaration.data.categories:
        apart = grouped(declaration)
        yield "content, groups of it held out", content_query(apart, place, NOW, STANDING)
        for name, sql in parts_of(apart, place, NOW, STANDING, chosen=True).items():
            yield f"part {name}, groups of it held out", sql
    reference, windows = worst_reference(declaration), windows_at(declaration, NOW)
    yield "profile", profile_query(declaration, reference, windows, version=1)
    yield "features", features_query(declaration, reference, windows, reference.features)
    yield "unknown labels", unknown_labels_query(declaration, windows)
    yield "shadow", captured_rows_query(declaration, version=1, begin=NOW - timedelta(days=1), end=NOW)
    for labelled in (False, True):
        times = {"since": NOW - timedelta(days=1), "phase": NOW - timedelta(hours=3), "until": NOW}
        yield f"answered, labels {labelled}", compared_query(declaration, versions=(2, 1), labelled=labelled, **times)
    if declaration.problem.classes:
        return  # neither recalibrated nor probed
    yield "raw scores", raw_scores_query(declaration, windows, version=1)
    kind: Kind = "log_odds" if declaration.problem.type == "binary_classification" else "value"
    by_values, by_edges = GroupBy("line", values=("no'rth", "south")), GroupBy("distance", edges=(100.0, 2500.5))
    for name, by in {"values": by_values, "spans": by_edges}.items():
        query = raw_scores_query(declaration, windows, version=1, apart=RowsApart.of(by))
        yield f"raw scores, by {name}", query
    comparison = Comparison(by_values, by_edges, dict.fromkeys(BY, identity(kind)), days=7)
    yield "fairness", fairness_query(declaration, windows, comparison, version=1)
    if declaration.problem.type == "regression":
        yield "intervals", interval_query(declaration, windows, Interval(0.9, 2.5, 4.0), version=1)
    window = ProbeWindow(datetime(2013, 3, 1, tzinfo=UTC), datetime(2013, 3, 4, tzinfo=UTC))
    answered = window_query(declaration, window, NOW)
    yield "probe's window", answered
    yield "probe's window, counted", answered_query(declaration, window, NOW)
    for rows in (10, 1000):
        counted = Answered(rows, rows)
        yield f"probe's window, of {rows}", scored_table(declaration, window, NOW, counted, 100).query
        learned = learned_tables(declaration, place, window, NOW, {None: rows, 5: rows}, 100)
        yield from ((f"probe's rows of {days} days, of {rows}", table.query) for days, table in learned.items())
    yield "probe's spans", span_query(place, NOW, [5, 56])


WITHIN = {
    "alone_query": "sign_queries",
    "part_query": "parts_of",
    "profile_queries": "profile_query",
}
"""What makes a part of another one's query, or shares it out."""

DECLARATIONS = {
    "classification": declare(binary_document()),
    "several classes": declare(multiclass_document()),
    "several classes, Brier": declare(multiclass_document(gate={"metric": "brier"})),
    "regression": declare(regression_document(data={"target_min": 0})),
    "every rule": declare(
        binary_document(
            data={
                "training_window_days": 30,
                "features": [
                    {"name": "distance", "type": "number", "min": 0, "max": 5000},
                    {"name": "line", "type": "category", "values": ["no'rth", "south"], "unseen": "refuse"},
                ],
            }
        )
    ),
}
EVERY = [(f"{kind}: {name}", kind, sql) for kind, d in DECLARATIONS.items() for name, sql in queries(d)]
TEXTS = {sql: name for name, _, sql in EVERY[::-1]}
"""Each text once, by the first name that it has: many a rule of a declaration changes few of its queries."""
OF_TABLES = {(sql, str(tables(DECLARATIONS[kind]))): (name, kind, sql) for name, kind, sql in EVERY[::-1]}
"""The same of each text and the tables that it reads."""


@pytest.mark.parametrize("sql", TEXTS, ids=TEXTS.values())
def test_every_query_has_only_functions_that_mean_the_same_in_the_local_cloud(
    sql: str, connection: duckdb.DuckDBPyConnection
) -> None:
    parse(sql, "everloop", connection)


def test_whatever_makes_a_query_is_tried_here() -> None:
    """By its name, which ends as all of them do; a new one is found."""
    made = re.compile(r"^def ([a-z]\w*_quer(?:y|ies))\(", re.MULTILINE)
    package = Path(lake_tables.__file__).parent
    found = {name for file in package.rglob("*.py") for name in made.findall(file.read_text(encoding="utf-8"))}
    here = Path(__file__).read_text(encoding="utf-8")
    assert len(found) > 15
    assert {name for name in found if f"{WITHIN.get(name, name)}(" not in here} == set()


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def problems(sql: str, schema: Mapping[str, Any]) -> list[str]:
    """What Trino would not take: raises where it is its grammar or a column that is not there."""
    tree: Any = sqlglot.parse_one(sql, read="trino", error_level=sqlglot.ErrorLevel.RAISE)
    known = MappingSchema(dict(schema), dialect="trino")
    tree = annotate_types(qualify(tree, schema=known, dialect="trino"), schema=known, dialect="trino")
    found = [f"{select.alias_or_name} has no type" for select in tree.selects if _family(select) is None]
    for node in tree.find_all(exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE):
        sides = _family(node.left), _family(node.right)
        if sides[0] != sides[1]:
            found.append(f"{node.sql(dialect='trino')} compares {sides[0]} and {sides[1]}")
    for node in tree.find_all(exp.Between):
        sides = _family(node.this), _family(node.args["low"])
        if sides[0] != sides[1]:
            found.append(f"{node.sql(dialect='trino')} compares {sides[0]} and {sides[1]}")
    return found


def _family(node: exp.Expression) -> str | None:
    if node.type is None or node.type.this == exp.DataType.Type.UNKNOWN:
        return None
    name = str(node.type.this.name)
    return "number" if name in NUMBERS else name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "sql"),
    [(kind, sql) for _, kind, sql in OF_TABLES.values()],
    ids=[name for name, _, _ in OF_TABLES.values()],
)
def test_a_generated_query_is_trinos(kind: str, sql: str) -> None:
    assert problems(sql, tables(DECLARATIONS[kind])) == []


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("SELECT key FROM late_train_history WHERE label = 'late'", "compares number and VARCHAR"),
        ("SELECT key FROM late_train_history WHERE time > 5", "compares TIMESTAMP and number"),
        ("SELECT key FROM late_train_history WHERE key BETWEEN 1 AND 2", "compares VARCHAR and number"),
        ("SELECT nobody_knows(key) AS x FROM late_train_history", "x has no type"),
    ],
)
def test_what_is_not_trinos_is_found(sql: str, problem: str) -> None:
    (found,) = problems(sql, tables(DECLARATIONS["classification"]))
    assert problem in found


@pytest.mark.parametrize(
    "sql", ["SELECT nothing FROM late_train_history", "SELECT key FROM late_train_history WHERE", "SELECT (1"]
)
def test_what_does_not_read_is_refused(sql: str) -> None:
    with pytest.raises(SqlglotError):
        problems(sql, tables(DECLARATIONS["classification"]))
